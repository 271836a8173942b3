"""Say how good it is: scores of cells, layouts and images, and the report."""
