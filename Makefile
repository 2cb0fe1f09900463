# Weft. `make help` lists what there is; every target makes .venv first, from the pins in requirements.lock.
PYTHON ?= python3
CONFIG ?= small
JOBS ?= 2
SEED ?= 1
COUNT ?= 20000
TESTS ?= cycles

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CODE := hw golden sim weft tests examples

.DEFAULT_GOAL := help
.PHONY: demo test test-all campaign faults hashes cycles verilog bench networks lint format docs clean help

demo: $(STAMP)  ## run the trained digits network on the generated Verilog and print the report
	@$(BIN)/python examples/digits/demo.py

test: $(STAMP)  ## the tests, without the slow ones
	@$(BIN)/python -m pytest -q -n $(JOBS) -m "not slow"

test-all: $(STAMP)  ## every test
	@$(BIN)/python -m pytest -q -n $(JOBS)

campaign: $(STAMP)  ## random networks on the golden machine and the reference interpreter; goes on where it was stopped (SEED=1, COUNT=20000)
	@$(BIN)/python -m tests.random_networks.campaign --seed $(SEED) --count $(COUNT) --jobs $(JOBS)

faults: $(STAMP)  ## plant each fault of tests/faults/table.py in a copy of the tree, and see that a test of `make test` notices it
	@$(BIN)/python -m tests.faults.plant $(NAMES)

hashes: $(STAMP)  ## put the hashes of generated Verilog and compiled networks on record in tests/hashes/recorded.json (NAMES="nano tiny")
	@$(BIN)/python -m tests.hashes.record $(NAMES)

cycles: $(STAMP)  ## put the cycles on record in tests/rtl/cycles.json as they are on the generated Verilog now (TESTS="cycles and not slow")
	@WEFT_RECORD_CYCLES=1 $(BIN)/python -m pytest -q -n $(JOBS) tests/rtl -m "$(TESTS)"

verilog: $(STAMP)  ## Verilog of one configuration in build/ (CONFIG=small)
	@$(BIN)/weft generate --config $(CONFIG) -o build/$(CONFIG).v

bench: $(STAMP)  ## speed of the simulated RTL: MACs and cycles a second; seconds that compiling takes
	@$(BIN)/python -m weft.cli.bench
	@$(BIN)/python -m tests.compile_bench

networks: $(STAMP)  ## every network of ../shared/models on the RTL: cycles, utilization, energy (FOLDER=..., CONFIG=small)
	@$(BIN)/python -m weft.cli.networks $(FOLDER) --config $(CONFIG)

lint: $(STAMP)  ## linter, formatter and type checker
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy

format: $(STAMP)  ## let the formatter and the linter's fixes rewrite the code
	@$(BIN)/ruff check --fix-only $(CODE)
	@$(BIN)/ruff format $(CODE)

docs: $(STAMP)  ## write the generated pages of docs/ from the tables in hw and weft
	@$(BIN)/python -m weft.docs

clean:  ## remove what was built and .venv
	@rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A missing tool is one line: its name and how to get it.
need = command -v $(1) >/dev/null 2>&1 || { echo "weft: error: $(1) is missing; $(2)" >&2; exit 2; }

$(STAMP): pyproject.toml requirements.lock
	@$(call need,$(PYTHON),install Python 3.11 or newer ('apt-get install python3 python3-venv') or say where it is: make PYTHON=/path/to/python3)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "weft: error: $(PYTHON) is older than Python 3.11; install 3.11 or newer, or say where it is: make PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "weft: error: $(PYTHON) has no module venv; 'apt-get install python3-venv'" >&2; exit 2; }
	@$(call need,g++,it builds the simulator: 'apt-get install g++')
	@$(call need,make,'apt-get install make')
	@$(call need,perl,Verilator's front is written in it: 'apt-get install perl')
	@$(call need,git,'apt-get install git')
	@echo "weft: making $(VENV) from requirements.lock (a minute or two, once)" >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)
