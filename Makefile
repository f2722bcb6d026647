# Everything runs in .venv, made by the first target that needs it. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := env -u PYTHONPATH
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install install-test format lint types demo test test-slow bench docs clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), "thesisbench needs Python 3.11 to 3.13"'
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[wandb]'
	@touch $@

$(VENV)/.installed-test: $(STAMP)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[wandb,test,lint]'
	@touch $@

install: $(STAMP)  ## Install the program into .venv

install-test: $(VENV)/.installed-test  ## Install what the tests and checks need as well

demo: install  ## Regenerate Table 2.1 of kayhan on this machine (5 to 10 minutes on 2 cores)
	$(RUN) $(BIN)/thesisbench reproduce kayhan.t2.1 --scale small

test: install-test  ## Run the tests (a few minutes)
	$(RUN) $(BIN)/ruff check --quiet .
	$(RUN) $(BIN)/ruff format --check --quiet .
	$(RUN) $(BIN)/python -m pytest -m "not slow and not gpu" -n 2

test-slow: install-test  ## Smoke of every recipe, faults, and what is too slow for every day
	$(RUN) $(BIN)/python -m pytest -m "slow and not gpu" -n 2 --dist loadfile

format: install-test  ## Format the code
	$(RUN) $(BIN)/ruff format .
	$(RUN) $(BIN)/ruff check --fix .

lint: install-test types  ## Check style, and print its figures
	$(RUN) $(BIN)/ruff check .
	$(RUN) $(BIN)/ruff format --check .
	$(RUN) $(BIN)/python scripts/style_figures.py

types: install-test  ## Check types
	$(RUN) $(BIN)/mypy

bench: install-test  ## Measure what the program costs, side by side with plain loops
	$(RUN) $(BIN)/python -m benchmarks

docs: install  ## Render the numbers in the chapter READMEs from accepted records
	$(RUN) $(BIN)/python scripts/render_docs.py

clean:  ## Remove caches and the virtual environment; runs and reports stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build *.egg-info
