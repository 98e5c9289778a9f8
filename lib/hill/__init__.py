"""Notebook 02: the Hill curve, its compiled fit, the quality of the fits and the agreement of
replicates.
"""
