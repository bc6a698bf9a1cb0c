# Both commands do all their set-up: a fresh machine needs Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Byte code is kept whatever the caller's environment says: else every process that a test starts compiles torch anew.
export PYTHONDONTWRITEBYTECODE :=
PIP := $(BIN)/pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test audit soak fuzz-table camvid clean

demo: $(VENV)/demo  ## Train a small network on the built-in scenes, beside its baselines (4 minutes on 2 cores)
	rm -rf runs/demo
	$(BIN)/wholenet fit scenes --preset demo --out runs/demo

test: $(VENV)/test  ## Everything that CI runs: format, lint, types, tests, doctests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	! $(BIN)/pip check | grep -v -e '^cityscapesscripts ' -e '^No broken'
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

audit:  ## Look the pinned versions up among known vulnerabilities; needs the network
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet --no-compile --disable-pip-version-check pip-audit
	$(VENV)/audit/bin/pip-audit --strict --no-deps --progress-spinner off --requirement constraints.txt

soak: $(VENV)/test  ## Kill a run fifty times, and compare it with one that was never stopped (7 minutes on 2 cores)
	OMP_NUM_THREADS=1 $(BIN)/python tests/soak.py --kills 50

fuzz-table: $(VENV)/test  ## What wholenet says of damaged data: docs/data-problems.md
	OMP_NUM_THREADS=1 $(BIN)/python tests/data/fuzz.py > docs/data-problems.md.new
	mv docs/data-problems.md.new docs/data-problems.md

camvid: $(VENV)/demo  ## The CamVid recipe; make camvid DATA=path/to/camvid
	$(BIN)/wholenet fit $(DATA) --preset camvid-cpu --out runs/camvid
	$(BIN)/wholenet evaluate runs/camvid $(DATA) --split test
	$(BIN)/wholenet evaluate runs/camvid/control $(DATA) --split test

$(VENV)/demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) --editable .
	touch $@

$(VENV)/test: $(VENV)/demo
	$(PIP) --editable '.[dev]'
	$(PIP) --no-deps cityscapesscripts pyquaternion
	touch $@

clean:
	rm -rf $(VENV) runs .pytest_cache .ruff_cache
