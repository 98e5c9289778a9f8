"""Notebook 03: expression, mutations, gene sets, scaling and cancer types of cell lines."""
