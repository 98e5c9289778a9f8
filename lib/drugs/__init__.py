"""Notebook 04: descriptors of compounds, their scaling and their quality."""
