"""Benchmarks, cost estimates, endurance: run on purpose, never by a stage."""
