"""What trained artifacts can do, as a person plays with them."""
