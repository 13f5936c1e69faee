# The interface for people; `make` lists the targets.
# Needs Python 3.11 or newer with venv, git and make; everything else is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin
ACTIVATE := . $(BIN)/activate
# Containers forbid bytecode, and each of a run's many processes then compiles this project again.
export PYTHONDONTWRITEBYTECODE :=
# Bytecode is compiled at installation; without it each start of TensorFlow takes 20 s.
UV := $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version
# Training and scoring also run on the software of Aurora, in an environment of its own.
AURORA := .venv-tf2.15
# Aurora's own Python where this machine has it, so that the training is tested on it.
AURORA_PYTHON ?= $(shell for p in python3.10 "$$(pyenv root 2>/dev/null)"/versions/3.10.*/bin/python3 \
    $(PYTHON); do $$p -m venv -h >/dev/null 2>&1 && echo $$p && break; done)
AURORA_TESTS := $(patsubst %,tests/test_%.py,architecture checkpoint choice dataset epoch losses \
    network optimizer precision resume sampling saving schedule training warm)

# Strict: a broken link is an error. The variable silences an advertisement.
SITE := $(ACTIVATE) && NO_MKDOCS_2_WARNING=1 mkdocs build --quiet

.PHONY: help setup dev demo test test-aurora check format lock docs bench clean

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
	    "$$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements-dev.lock)"
	@$(UV) --python .venv --requirement requirements.lock
	@$(BIN)/uv pip install --quiet --python .venv --no-deps --no-build-isolation --editable .
	@touch $@

# Among them an MPI of its own, which must not hide a machine's: for tests, not for users.
dev: .venv/dev

.venv/dev: requirements-dev.lock | setup
	@echo "Installing what the tests need"
	@$(UV) --python .venv --requirement requirements-dev.lock
	@touch $@

$(AURORA)/installed: envs/training-tf2.15.lock | setup
	@echo "Installing TensorFlow 2.15 into $(AURORA) ($$($(AURORA_PYTHON) --version))"
	@$(AURORA_PYTHON) -m venv --clear $(AURORA)
	@$(UV) --python $(AURORA) --requirement envs/training-tf2.15.lock
	@touch $@

demo: setup ## the experiment on the embedded data: 24 drugs, about 2 minutes
	@$(ACTIVATE) && snakemake --config experiment=demo
	@$(ACTIVATE) && python scripts/summary.py output/demo

test: dev ## all tests, those of the training on both TensorFlows
	@$(ACTIVATE) && pytest
	@if $(AURORA_PYTHON) -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then \
	    $(MAKE) --no-print-directory test-aurora; else \
	    echo "left out: TensorFlow 2.15 needs Python 3.10 or 3.11 (make test AURORA_PYTHON=python3.10)"; fi

test-aurora: $(AURORA)/installed
	@PYTHONPATH=src $(AURORA)/bin/python -m pytest $(AURORA_TESTS)

check: dev ## what CI checks: style, types, the graph's lint, the links of docs/, tests
	@$(ACTIVATE) && ruff check . && ruff format --check .
	@$(ACTIVATE) && snakefmt --check Snakefile rules
	@$(ACTIVATE) && mypy
	@$(ACTIVATE) && shellcheck -x envs/aurora/*.sh
	@$(ACTIVATE) && snakemake --lint --config output=$$(mktemp -d)
	@$(SITE) --site-dir $$(mktemp -d)
	@$(MAKE) --no-print-directory test

format: dev ## format Python and Snakemake files
	@$(ACTIVATE) && ruff check --fix . && ruff format . && snakefmt Snakefile rules

lock: dev ## renew the locks of the environments
	@$(LOCK) 3.11 pyproject.toml --output-file requirements.lock
	@$(LOCK) 3.11 pyproject.toml --extra dev --constraint requirements.lock \
	    --output-file requirements-dev.lock
	@$(LOCK) 3.10 envs/training-tf2.15.in --output-file envs/training-tf2.15.lock
	@$(LOCK) 3.10 envs/aurora/added.in --no-annotate --constraint envs/training-tf2.15.lock \
	    --output-file envs/aurora/added.lock

docs: dev ## renew the generated pages of docs/, and build the site of them into site/
	@$(ACTIVATE) && python scripts/document.py docs && python benchmarks/table.py
	@$(SITE)

bench: dev ## measure speed on this machine (GDSC2=DIR, raw tables, adds accuracy and time to quality)
	@$(ACTIVATE) && python benchmarks/graph.py && python benchmarks/partition.py && \
	    python benchmarks/training.py && python benchmarks/answers.py && python benchmarks/stage.py && \
	    python benchmarks/overhead.py && python benchmarks/warm_memory.py && python benchmarks/coverage.py
	@$(if $(GDSC2),$(ACTIVATE) && python benchmarks/accuracy.py $(GDSC2) && python benchmarks/quality.py $(GDSC2))

clean: ## remove what the targets made, except experiments
	rm -rf .venv $(AURORA) .venv-aurora .pytest_cache .mypy_cache .ruff_cache .hypothesis .snakemake
