"""The studio as a page: a server for this machine alone, and what a browser is given."""
