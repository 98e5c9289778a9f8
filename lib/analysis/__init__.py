"""Notebook 06: from the ledger to the tables, figures and claims."""
