# Doorbell of the compendium. `make demo` and `make test` need nothing but Python 3.10 or newer.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: setup demo test test-all lab bench report reference lint clean

setup: $(VENV)/.ready

# uv installs the lock in seconds; a local wheel folder that pip knows is shown to uv too.
$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q uv
	UV_FIND_LINKS="$${PIP_FIND_LINKS:-}" $(VENV)/bin/uv pip install -q --python $(PY) -r requirements.lock
	UV_FIND_LINKS="$${PIP_FIND_LINKS:-}" $(VENV)/bin/uv pip install -q --python $(PY) --no-deps -e .
	$(PY) -c "from lib.hill import fit; fit.fit([9, 8, 7, 6], [1, 0.9, 0.4, 0.2])"  # compiles the Hill solver, once
	touch $@

demo: setup
	$(PY) run_all.py --profile demo

# What is committed of both runs: executed copies, tables and figures of the demo as they are now, and what notebook 06
# makes of the packed reference sweep (results/sweep; nothing is trained).
reference: demo
	$(PY) run_all.py --profile reference_analysis
	$(PY) -m results.keep

report: setup
	$(PY) -m results.report

# Everything but the tests marked slow, on two processors; threads of a library would only fight for them.
test: setup
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n 2 --dist loadfile -m "not slow"

# And the slow ones: whole runs, killed workers, a real Slurm and a real browser where they are installed.
test-all: test
	$(PY) -m pytest -q -m slow

lab: setup
	$(VENV)/bin/jupyter lab notebooks

bench: setup
	$(PY) -m benchmarks

lint: setup
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .

clean:
	rm -rf $(VENV) data/processed data/interim results/runs
