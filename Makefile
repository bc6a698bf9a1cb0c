# Both commands do all their set-up: a fresh machine needs Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Byte code is kept whatever the caller's environment says: else every process that a test starts compiles torch anew.
export PYTHONDONTWRITEBYTECODE :=
PIP := $(BIN)/pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint audit soak learning fuzz-table camvid clean

demo: $(VENV)/demo  ## Train a small network on the built-in scenes, beside its baselines, and half of it (5 minutes on 2 cores)
	rm -rf runs/demo runs/demo-half runs/demo-half-by-chance
	$(BIN)/wholenet fit scenes --preset demo --out runs/demo
	$(BIN)/wholenet fit scenes --preset demo --control false --budget 50% --out runs/demo-half
	$(BIN)/wholenet fit scenes --preset demo --control false --budget 50% --budget-by random --out runs/demo-half-by-chance
	$(BIN)/wholenet compare runs/demo runs/demo-half runs/demo-half-by-chance | tail -n 4

test: $(VENV)/test  ## Everything that CI runs: format, lint and types, beside the tests and doctests
	@echo '$(MAKE) lint runs beside the tests; what it says is shown when it fails, and at the end'
	@log=$(VENV)/lint.log; \
	{ $(MAKE) --no-print-directory lint >$$log 2>&1 || { cat $$log; exit 1; }; } & lint=$$!; \
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder; tests=$$?; \
	wait $$lint; lint=$$?; cat $$log; \
	echo "tests: exit status $$tests; format, lint and types: exit status $$lint"; \
	test $$tests -eq 0 && test $$lint -eq 0

lint: $(VENV)/test  ## Format, lint, types, and whether what is installed fits together
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	! $(BIN)/pip check | grep -v -e '^cityscapesscripts ' -e '^No broken'

audit:  ## Look the pinned versions up among known vulnerabilities; needs the network
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet --no-compile --disable-pip-version-check pip-audit
	$(VENV)/audit/bin/pip-audit --strict --no-deps --progress-spinner off --requirement constraints.txt

soak: $(VENV)/test  ## Kill a run fifty times, and compare it with one that was never stopped (7 minutes on 2 cores)
	OMP_NUM_THREADS=1 $(BIN)/python tests/soak.py --kills 50

learning: $(VENV)/test  ## What networks for words and disparity reach in a minute, and all methods on all cell spaces (6 minutes)
	OMP_NUM_THREADS=1 $(BIN)/pytest --slow tests/test_learning.py tests/test_matrix.py

fuzz-table: $(VENV)/test  ## What wholenet says of damaged data: docs/data-problems.md
	OMP_NUM_THREADS=1 $(BIN)/python tests/data/fuzz.py > docs/data-problems.md.new
	mv docs/data-problems.md.new docs/data-problems.md

camvid: $(VENV)/demo  ## The CamVid recipe, and half of it; make camvid DATA=path/to/camvid
	$(BIN)/wholenet fit $(DATA) --preset camvid-cpu --out runs/camvid
	$(BIN)/wholenet fit $(DATA) --preset camvid-cpu --control false --budget 50% --out runs/camvid-half
	$(BIN)/wholenet fit $(DATA) --preset camvid-cpu --control false --budget 50% --budget-by random --out runs/camvid-half-by-chance
	$(BIN)/wholenet evaluate runs/camvid $(DATA) --split test
	$(BIN)/wholenet evaluate runs/camvid/control $(DATA) --split test
	$(BIN)/wholenet compare runs/camvid runs/camvid-half runs/camvid-half-by-chance | tail -n 4

$(VENV)/demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) --editable .
	touch $@

$(VENV)/test: $(VENV)/demo
# What is imported first is compiled first: once, while pip is at work, and not in each of the tests' processes.
	$(BIN)/python -c 'import matplotlib.pyplot, torch._dynamo, torch.onnx' & $(PIP) --editable '.[dev]'; s=$$?; wait; exit $$s
	$(PIP) --no-deps cityscapesscripts pyquaternion
	touch $@

clean:
	rm -rf $(VENV) runs .pytest_cache .ruff_cache
