# The two commands are `make run` and `make test`; both set up .venv first where that is needed.
PYTHON ?= python3
BIN := .venv/bin
PINS := .venv/.pins
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help run test setup clean

help:  ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(READY)  ## prepare, train, judge and rank with the embedded default (ARGS="fold=3" adds overrides)
	$(BIN)/python -m lmol.run $(ARGS)

test: $(READY)  ## ruff, mypy, pytest
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 $(ARGS)

setup: $(READY)  ## only the environment

clean:  ## remove the environment (runs under outputs/ stay)
	rm -rf .venv build *.egg-info

# A new environment when the pins change; the project itself is installed again when its metadata does.
$(PINS): requirements.txt
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(READY): $(PINS) setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
