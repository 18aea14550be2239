# The two commands are `make run` and `make test`; both set up .venv first where that is needed.
PYTHON ?= python3
BIN := .venv/bin
PINS := .venv/.pins
READY := .venv/.ready
# The newest Python at hand beyond the pins' 3.11; NEWEST=... names another.
NEWEST ?= $(firstword $(foreach v,3.14 3.13 3.12,$(shell python$(v) -c 'print("python$(v)")' 2>/dev/null)))
NEWEST_BIN := .venv-newest/bin
NEWEST_READY := .venv-newest/.ready
NEWEST_TESTS := tests/evaluation tests/ranking tests/model/test_comparer.py tests/training/test_trainer.py
# An editable install is found after the path, where any folder lmol/, such as that of a clone seen from
# the folder above, would come first as a namespace package; on the path, the package does.
CHECKOUT_FIRST := -c 'import pathlib, sysconfig; \
    pathlib.Path(sysconfig.get_path("purelib"), "lmol_checkout.pth").write_text("$(CURDIR)\n")'

# Compiled modules are kept: each process would compile the package again otherwise, for a second.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-all guard test-newest setup-newest newest setup clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(READY)  ## train and evaluate the built-in example (ARGS="fold=3" adds overrides)
	$(BIN)/python -m lmol.run $(ARGS)

test: $(READY)  ## ruff, mypy, pytest
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-all: $(READY)  ## also the slow tests: launchers, several processes, signals, benchmarks
	$(MAKE) test ARGS="--all $(ARGS)"

test-newest: $(NEWEST_READY)  ## a small main job and some tests with setup.cfg's own ranges on the newest Python
	cd .venv-newest && bin/python -m lmol.run data.source.num_images=60 data.schedule.num_pairs=96 \
	    train.batch_pairs=8 threads=1 hydra.run.dir=runs/$$(date +%s)
	$(NEWEST_BIN)/python -m pytest -q -k 'not nf4 and not int8' $(NEWEST_TESTS)

guard: $(READY)  ## results of small commands against those of commit BASE, bit for bit
	$(BIN)/python tests/guard.py $(if $(BASE),--base $(BASE))

setup-newest: $(NEWEST_READY)

newest:
	@echo $(NEWEST)

setup: $(READY)  ## only the environment

clean:  ## remove the environment (runs under outputs/ stay)
	rm -rf .venv .venv-newest build *.egg-info

# A new environment when the pins change; the project itself is installed again when its metadata does.
$(PINS): requirements.txt
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(READY): $(PINS) setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@$(BIN)/python $(CHECKOUT_FIRST)
	@touch $@

$(NEWEST_READY): setup.cfg pyproject.toml
	@test -n "$(NEWEST)" || { echo "no Python from 3.12 on was found; name one with NEWEST=..."; exit 2; }
	$(NEWEST) -m venv --clear .venv-newest
	$(NEWEST_BIN)/python -m pip install --quiet -e . pytest choix
	@$(NEWEST_BIN)/python $(CHECKOUT_FIRST)
	@touch $@
