"""What a pair is, how it is stored, read and checked."""

import os

# Threads that wait for the others of their team sleep; by default they spin, and beside another
# busy process all of them wait for the one that is not scheduled. Read when PyTorch is loaded, so
# every room that computes imports this one first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
