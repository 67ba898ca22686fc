# One word per intention. To use another Python or place: make demo PYTHON=python3.12 VENV=/somewhere/else

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := $(VENV)-peers
# Python compiles a module when it is first imported: most of PyTorch's never are, and to compile all takes a minute
PIP_FLAGS := --disable-pip-version-check --no-compile
# and what is compiled then must be kept: a shell that forbids it would have every process compile PyTorch again
unexport PYTHONDONTWRITEBYTECODE

# the first Python that is new enough
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.DEFAULT_GOAL := help
.PHONY: help setup demo app test test-slow check format bench bench-diagnosis bench-recorder

help: ## show this
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## make the environment, or bring it up to date
	@if cat requirements.txt pyproject.toml | cmp -s - $(STAMP); then exit 0; fi; \
	if [ ! -x $(BIN)/python ]; then \
		if [ -z "$(PYTHON)" ]; then \
			echo "GradScope needs Python 3.11 or newer, and python3 is $$(python3 -V 2>&1 || true);" \
				"install one, or name it: make setup PYTHON=/path/to/python3.12" >&2; exit 2; fi; \
		echo "Making $(VENV) with $$($(PYTHON) -V)"; \
		$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }; \
	fi; \
	echo "Installing what requirements.txt lists; PyTorch is large, this takes minutes the first time"; \
	$(BIN)/python -m pip install $(PIP_FLAGS) --progress-bar on -r requirements.txt && \
	$(BIN)/python -m pip install $(PIP_FLAGS) -qq --no-deps -e . && \
	cat requirements.txt pyproject.toml > $(STAMP)

demo: setup ## train five small runs, then open the dashboard
	@$(BIN)/gradscope demo

app: setup ## open the dashboard
	@$(BIN)/gradscope ui

test: setup ## the tests, without the long trainings
	@$(BIN)/python -m pytest -m "not slow" -n logical --maxprocesses 4 --dist loadfile

test-slow: setup ## the tests that train for minutes
	@$(BIN)/python -m pytest -m slow

check: setup ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## bring the code into form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## what our loop and the dashboard cost, as ratios
	@set -e; for file in $(filter-out benchmarks/recorder_% benchmarks/gpu_% benchmarks/diagnosis.py benchmarks/search.py, $(wildcard benchmarks/*.py)); do \
		echo "== $$file"; $(BIN)/python $$file; done

bench-diagnosis: setup ## how good the diagnosis is, on labelled trainings: about half an hour on 2 cores
	@nice -n 19 $(BIN)/python -m benchmarks.diagnosis --half report --cure --out docs/results/diagnosis.md

# Others' recorders have an environment of their own beside ours, which lends it PyTorch and everything else.
bench-recorder: setup ## what recording costs, ours and others', as ratios
	@if [ ! -x $(PEERS)/bin/python ]; then \
		$(BIN)/python -m venv $(PEERS) && \
		printf '%s\n' "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" "$(CURDIR)" \
			> "$$($(PEERS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ours.pth"; fi
	@$(PEERS)/bin/python -m pip install $(PIP_FLAGS) -q -r benchmarks/requirements-peers.txt || \
		echo "Not all of benchmarks/requirements-peers.txt can be installed here; what is missing is left out." >&2
	@$(PEERS)/bin/python benchmarks/recorder_overhead.py --write docs/benchmarks/recorder.md $(BENCH)
