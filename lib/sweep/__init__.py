"""Notebook 05: the grid of runs, the features of a fold, training by shards,
scores and the ledger.
"""
