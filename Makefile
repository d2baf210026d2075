# Everything a person or the CI does with this tree; `make` alone says what there is.
# All of it happens in .venv, which is made when it is needed: python3 >= 3.11, git, make and a package index are enough.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
EDITABLE := --config-settings editable_mode=compat -e# a path that is read at once; the other mode costs every start 15 ms
WORKERS ?= 2
ARGS ?=
SHARED := --dist loadfile --no-loadscope-reorder# in the order of the tree, so that no worker is left with the long ones of tests/e2e at the end
unexport PYTHONDONTWRITEBYTECODE# images set it; to compile everything anew costs each of the hundreds of daemons of the tests a second

# The first Python of at least 3.11; `make setup PYTHON=/path/to/python` takes another.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; break; fi; done)

PROTOS := $(sort $(wildcard protos/aios/v1/*.proto))
SERVICES := $(shell grep -l '^service ' $(PROTOS))
PROTOC = $(BIN)/python -m grpc_tools.protoc -I protos

.DEFAULT_GOAL := help
.PHONY: help setup demo test quick soak test-vm lint format types imports protos protos-check check bench clean distclean
.DELETE_ON_ERROR:

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## .venv with everything that development needs

demo: $(VENV)/.demo ## a real training run: three learning rates as a job array, with live output
	@$(BIN)/python docs/examples/digits/demo.py $(ARGS)

# The examples are the same everywhere, so that what passes here passes there; `make quick` draws others each time.
test: $(VENV)/.dev ## all tests (ARGS='-k name' picks some, WORKERS=1 runs one at a time)
	$(BIN)/python -m pytest -n $(WORKERS) $(SHARED) --hypothesis-seed=0 $(ARGS)

quick: $(VENV)/.dev ## the tests that take no time
	$(BIN)/python -m pytest tests/unit tests/arch -m 'not slow' -q $(ARGS)

SOAK := tests/e2e tests/integration tests/unit/jobs/test_engine_machine.py tests/unit/models/formats/test_fuzzed.py
soak: $(VENV)/.dev ## the tests with real processes at full size: 1 GB of output, thousands of jobs, a kill at every step, what chance finds (an hour)
	AIOS_LONG_TESTS=1 $(BIN)/python -m pytest $(SOAK) -n $(WORKERS) $(SHARED) $(ARGS)

test-vm: $(VENV)/.dev ## the system service in a booted Debian, under emulation: root, a Debian host, half an hour (tests/vm/README.md)
	AIOS_VM_TESTS=1 $(BIN)/python -m pytest tests/vm -v $(ARGS)

lint: $(VENV)/.dev ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## puts the format right, and what ruff can correct by itself
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy

imports: $(VENV)/.dev ## who may import whom
	$(BIN)/lint-imports --no-logo

protos: $(VENV)/.dev ## aios/v1 again, from protos/
	$(PROTOC) --python_out=. --pyi_out=. $(PROTOS)
	$(PROTOC) --grpc_python_out=. $(SERVICES)

protos-check: $(VENV)/.dev ## aios/v1 is what protos/ makes
	@made=$$(mktemp -d) && trap 'rm -rf "$$made"' EXIT && \
	$(PROTOC) --python_out="$$made" --pyi_out="$$made" $(PROTOS) && $(PROTOC) --grpc_python_out="$$made" $(SERVICES) && \
	diff -r -x __pycache__ -x __init__.py -x py.typed "$$made/aios/v1" aios/v1 || { echo 'error: aios/v1 is not what protos/ makes'; echo 'hint: make protos'; exit 1; }

check: lint types imports protos-check test ## all that a change must pass

bench: $(VENV)/.dev ## the benchmarks: throughput, latency, footprint, isolation, scheduling, placement, fragmentation, simulation, models
	@for b in throughput latency footprint isolation scheduling placement fragmentation simulation models; do $(BIN)/python -m benchmarks.$$b $(ARGS) || exit 1; done

clean: ## removes what the tools leave behind
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache demo-output
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## removes .venv too
	rm -rf $(VENV) *.egg-info

$(VENV)/.dev: pyproject.toml | $(BIN)/pip
	@echo 'setting up .venv for development (once; about a minute)'
	@$(PIP) $(EDITABLE) '.[dev,postgres]'
	@touch $@

$(VENV)/.demo: pyproject.toml | $(BIN)/pip
	@echo 'setting up .venv for the demo (once; about a minute)'
	@$(PIP) $(EDITABLE) '.[demo]'
	@touch $@

# Debian and Ubuntu keep what `python3 -m venv` needs in a package of its own: root gets it, others are told how.
$(BIN)/pip:
	@if [ -z "$(PYTHON)" ]; then \
		echo 'error: no Python of 3.11 or newer was found'; echo 'hint: install one, or name it: make setup PYTHON=/path/to/python3'; exit 1; fi
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		package=$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "installing $$package, which makes virtual environments"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$package >/dev/null; \
		else \
			echo "error: $(PYTHON) cannot make a virtual environment: its module ensurepip is not installed"; \
			echo "hint: sudo apt-get install $$package"; exit 1; fi; fi
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
