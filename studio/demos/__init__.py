"""Demos: what trained artifacts can do, as strips (PNG), animations (GIF) and numbers (JSON)."""
