# The interface for people; `make` lists the targets.
# Needs Python 3.11 or newer with venv, git and make; everything else is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin
ACTIVATE := . $(BIN)/activate
# Bytecode is compiled at installation; without it each start of TensorFlow takes 20 s.
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode

.PHONY: help setup demo test check format lock docs bench clean

help:
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: .venv/installed ## build .venv from the lock

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "error: Python 3.11 or newer is needed; name one with 'make PYTHON=...'"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	    { echo "error: $(PYTHON) has no venv; on Debian: apt install python3-venv"; exit 1; }
	@echo "Installing into .venv (TensorFlow alone is 600 MB; about a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    "$$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements.lock)"
	@$(UV) --require-hashes --requirement requirements.lock
	@$(UV) --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## the experiment on the embedded data: 24 drugs, about 4 minutes
	@$(ACTIVATE) && snakemake --config experiment=demo
	@$(ACTIVATE) && python scripts/summary.py output/demo

test: setup ## all tests
	@$(ACTIVATE) && pytest

check: setup ## what CI checks: style, types, the graph's lint, tests
	@$(ACTIVATE) && ruff check . && ruff format --check .
	@$(ACTIVATE) && snakefmt --check Snakefile rules
	@$(ACTIVATE) && mypy
	@$(ACTIVATE) && snakemake --lint --config output=$$(mktemp -d)
	@$(ACTIVATE) && pytest

format: setup ## format Python and Snakemake files
	@$(ACTIVATE) && ruff check --fix . && ruff format . && snakefmt Snakefile rules

lock: setup ## renew requirements.lock from pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --quiet --extra dev --universal --python-version 3.11 \
	    --generate-hashes --output-file requirements.lock

docs: setup ## renew the generated pages of docs/
	@$(ACTIVATE) && python scripts/document.py docs

bench: setup ## measure speed on this machine
	@$(ACTIVATE) && python benchmarks/graph.py && python benchmarks/partition.py

clean: ## remove what the targets made, except experiments
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .snakemake
