"""What must hold of a stored pair set; nothing here trusts what wrote it."""
