"""What may befall a clone between two runs, and how it is mended."""
