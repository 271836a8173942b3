"""What training costs on a GPU: multiply-adds, counted on the meta device, as hours."""
