# Entry points. They need Python 3.11 or newer, GNU make and nothing else; `make PYTHON=python3.12 demo` takes another interpreter.
PYTHON ?= python3
# Which build of torch: cpu, auto (what the driver of the machine takes), or a CUDA version such as cu130.
# Where pip is told of a local folder of wheels, the build that lies there is taken.
TORCH ?= $(if $(PIP_FIND_LINKS),,cpu)
VENV := .venv
PY := $(VENV)/bin/python
UV_INSTALL = UV_FIND_LINKS="$${PIP_FIND_LINKS:-}" $(VENV)/bin/uv pip install $(if $(TORCH),--torch-backend $(TORCH)) --python $(PY)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: setup lock demo test test-all lab bench report reference lint clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Python 3.11 or newer is needed and this is %d.%d: name another, as in make PYTHON=python3.12 $(MAKECMDGOALS)" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	@echo "Installing the packages of requirements.lock into $(VENV), once; torch$(if $(TORCH), for $(TORCH)) is the largest of them."
	$(VENV)/bin/pip install -q uv
	$(UV_INSTALL) -q -r requirements.lock
	$(UV_INSTALL) -q --no-deps -e .
	$(PY) -c "from lib.hill import fit; fit.fit([9, 8, 7, 6], [1, 0.9, 0.4, 0.2])"  # compiles the Hill solver, once
	touch $@

# The lock again, after a change of the requirements in pyproject.toml; `make lock UPGRADE=--upgrade` takes newer versions.
# torch stands without hashes, since its builds differ by machine, and names the CUDA libraries that belong to it itself.
UNLOCKED := /^[a-z]/ { torch = /^torch==/; cuda = /^(cuda|nvidia)-|^triton==/ }
lock: $(VENV)/bin/uv
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --all-extras --generate-hashes --no-annotate $(UPGRADE) \
	    --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	awk '$(UNLOCKED) cuda || torch && /--hash/ { next } torch { sub(/ \\$$/, "") } { print }' requirements.lock > requirements.part
	mv requirements.part requirements.lock

$(VENV)/bin/uv:
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q uv

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
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n 2 --dist loadfile -m slow

lab: setup
	$(VENV)/bin/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/01_ingest.ipynb $(if $(filter 0,$(shell id -u)),--allow-root)

bench: setup
	$(PY) -m benchmarks

lint: setup
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .

clean:
	rm -rf $(VENV) data/processed data/interim results/runs
