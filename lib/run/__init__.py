"""What `run_all.py` stands on: profiles, content keys, scheduling, papermill; no science."""
