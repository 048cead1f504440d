# Everything runs in .venv, which `install` makes; PYTHON names the Python (3.11 or newer) to make it with.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PYTEST_ON_ALL_CORES := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

.PHONY: install demo test test-slow test-gpu verify lint format clean
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	@echo "Installing: minutes, and about 6 GB with the CUDA build of torch. For the CPU build, see README.md."
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	@touch $(STAMP)

install: $(STAMP)  ## make .venv and install into it

demo: install  ## train a segmentation network on the embedded digits for two minutes
	$(BIN)/python -m visionkit.train task=segmentation

test: install  ## run the tests (minutes)
	$(PYTEST_ON_ALL_CORES)

test-slow: install  ## run the slow tests, those that train by the clock one after the other
	$(BIN)/python -m pytest -m slow tests/slow
	$(PYTEST_ON_ALL_CORES) -m slow --ignore=tests/slow

test-gpu: install  ## run the tests that need a GPU (minutes)
	$(PYTEST_ON_ALL_CORES) -m gpu

verify: install  ## run the full matrices (hours) and write their tables to benchmarks/
	$(PYTEST_ON_ALL_CORES) -m full
	$(BIN)/python -m benchmarks.verify

lint: install  ## check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install  ## put the code into the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove .venv and what builds and tests leave; runs/ stays
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
