# Both commands do all their set-up: a fresh machine needs Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test camvid clean

demo: $(VENV)/demo  ## Train a small network on the built-in scenes, beside its baselines (4 minutes on 2 cores)
	rm -rf runs/demo
	$(BIN)/wholenet fit scenes --config recipes/demo.yaml --out runs/demo

test: $(VENV)/test  ## Everything that CI runs: format, lint, types, tests, doctests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile

camvid: $(VENV)/demo  ## The CamVid recipe; make camvid DATA=path/to/camvid
	$(BIN)/wholenet fit $(DATA) --config recipes/camvid-cpu.yaml --out runs/camvid
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
