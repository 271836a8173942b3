"""New layouts of patches of real ones: grids, matching, plans."""
