# Everything a new machine needs is Python 3.11.2 or later with its venv module, and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
UV ?= uv
# Twice as many as two cores, because whole elections mostly wait for the clock.
WORKERS ?= 4

.PHONY: help setup demo test test-network test-faults simulate soak lint types layers check docs lock clean

help:           ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

setup: $(VENV)/.installed  ## install the locked dependencies and the project into .venv
ifneq ($(origin PYTHON),file)
	@asked="$$($(PYTHON) -V)"; is="$$($(BIN)/python -V)"; [ "$$asked" = "$$is" ] \
	|| { echo "$(VENV) has $$is, not the $$asked that PYTHON asks for; say VENV=.venv-other too, or make clean" >&2; exit 1; }
endif

$(VENV)/.installed: requirements/dev.txt pyproject.toml sandbox/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11.2 or later is needed; set PYTHON=/path/to/python3.11") if sys.version_info < (3, 11, 2) else None'
	[ "$$($(PYTHON) -V)" = "$$($(BIN)/python -V 2>&1)" ] || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable . --editable sandbox
	touch $@

demo: setup     ## two elections on three nodes, with a service killed in each: less than three minutes
	$(BIN)/node-fsm demo $(ARGS)

test: setup     ## run all tests (those on the real node only where jcli and jormungandr are found)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not long and not faults" $(ARGS)

test-network: setup  ## elections on the real node whose network is cut, and votes by the thousand: three quarters of an hour, as root
	$(BIN)/python -m pytest -m long tests/netns $(ARGS)

# A few minutes on two cores. A seed gives one history where text is hashed alike.
SIMULATED ?= 3000

simulate: setup  ## SIMULATED=3000 elections on virtual time, with faults at any moment
	PYTHONHASHSEED=0 $(BIN)/python -m tests.simulation --elections $(SIMULATED)

test-faults: setup  ## each fault in each phase by real means, then thousands of simulated elections with faults
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m faults tests/faults
	$(MAKE) simulate

# So many that wait for the clock, 45 s each, and so many on time that jumps.
soak: ELECTIONS = 200
soak: VIRTUAL = 1000
soak: setup     ## ELECTIONS=200 in a row in one set of processes that are killed, then 1,000 on virtual time: two hours and a half
	$(BIN)/python -m tests.soak --elections $(ELECTIONS)
	$(BIN)/python -m tests.soak.virtual --elections $(VIRTUAL)

lint: setup     ## ruff: style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup    ## mypy, strict
	$(BIN)/mypy

layers: setup   ## import-linter: who may import whom
	$(BIN)/lint-imports

check: lint types layers test  ## style, types, layers and tests

docs: setup     ## write the generated pages and build the site
	$(BIN)/node-fsm table --markdown > docs/phases.md
	$(BIN)/node-fsm commands --markdown > docs/commands.md
	$(BIN)/mkdocs build --strict

COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11.2 --generate-hashes --no-emit-index-url --no-header

lock:           ## write the hashed lock files anew (needs uv)
	$(COMPILE) pyproject.toml -o requirements/runtime.txt
	$(COMPILE) sandbox/pyproject.toml --no-emit-package node-fsm -c requirements/runtime.txt -o requirements/sandbox.txt
	$(COMPILE) pyproject.toml sandbox/pyproject.toml --no-emit-package node-fsm --group dev -c requirements/sandbox.txt -o requirements/dev.txt
	$(COMPILE) requirements/build.in -c requirements/dev.txt -o requirements/build.txt

clean:          ## remove what the targets made
	rm -rf $(VENV) site dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
