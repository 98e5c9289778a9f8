"""Notebook 01: the studies' files read, cell lines and compounds matched across them, one table of
doses.
"""
