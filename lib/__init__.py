"""Shared logic of the compendium: one small module per step, used by the notebooks and by `run_all.py`."""
