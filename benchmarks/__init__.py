"""Measurements on real data; each script prints a table and saves JSON with the machine it ran on."""
