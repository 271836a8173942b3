"""Layouts and painter tuned end to end."""
