"""Notebook 03: expression, mutations, gene sets, scaling, batch correction and cancer types of cell lines."""
