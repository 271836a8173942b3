"""Pairs from models: what to draw, who draws it, in which parts."""
