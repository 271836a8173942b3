"""How anything is trained: what a method is, the one loop, and what it leaves."""
