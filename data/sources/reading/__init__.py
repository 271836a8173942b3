"""What reading a dataset takes beside its layout: listing, pairing, and saying what is wrong."""
