# Everything happens in .venv, installed from this folder's own files.
#
# PYTHON      the interpreter to start from, 3.11 or newer
# TORCH       the build of torch, e.g. TORCH='torch==2.14.0'; remembered until `make clean`
# TORCH_ARGS  pip options for torch alone, e.g. an index with CPU or CUDA builds; remembered too
# PIP_ARGS    pip options for every install

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin

-include $(VENV)/torch.mk
PYTHON ?= python3
TORCH ?= torch==2.13.0
TORCH_ARGS ?=
PIP_ARGS ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=

PIP = $(BIN)/python -m pip install -qq --disable-pip-version-check $(PIP_ARGS)
PINS := $(VENV)/constraints.txt
TORCH_STAMP := $(VENV)/.torch-$(shell printf '%s' '$(TORCH) $(TORCH_ARGS)' | cksum | cut -d' ' -f1)
COLLECT_STAMP := $(VENV)/.collect-installed
DOCS_STAMP := $(VENV)/.docs-installed
QUICK_STAMP := $(VENV)/.quick-installed
TEST_STAMP := $(VENV)/.test-installed
OLDEST_STAMP := $(VENV)/.oldest-installed

# An environment without torch, where data, analysis and commands are tested.
LIGHT := $(VENV)/light
LIGHT_PACKAGES := -p calprune.data -p calprune.analyze -p calprune.judge -p calprune.commands
LIGHT_TESTS := tests/data tests/analyze tests/judge tests/commands
HEAVY_TESTS = $(filter-out $(LIGHT_TESTS) %__pycache__,$(patsubst %/,%,$(wildcard tests/*/))) $(wildcard tests/test_*.py) \
    $(shell grep -rl 'mark\.torch' --include='*.py' $(LIGHT_TESTS))
RUN_TESTS := -m pytest -n auto --dist loadfile

# Packages that stand before the others, and what is tested with them: a minute's worth.
OLDEST := $(VENV)/oldest
OLDEST_TESTS := tests/test_project.py::test_transformers_is_the_one_that_is_promised \
    tests/collect/in_model/test_reference.py tests/collect/transformers_traps \
    $(addprefix tests/collect/test_,checkpoints.py conformance.py decode.py llava.py llava_next.py names.py \
    pictures.py signals.py templates.py embedded.py::test_multiple_choice_offers_two_to_four \
    embedded.py::test_without_an_image_it_cannot_know)

STORE := demo/store
FIGURES := demo/figures
REPORT := demo/report.html
TRAINED := build/training
SITE := build/site

# Strict: a dead link, an unknown name or a page outside the navigation is an error. Not --quiet, which
# keeps warnings from being counted.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

.PHONY: help
help:  ## this text
	@echo 'make TARGET [PYTHON=python3.12] [TORCH="torch==2.14.0"] [TORCH_ARGS=...] [PIP_ARGS=...]'
	@sed -n 's/^\([a-z]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10 | sed 's/^/  /'

.PHONY: demo
demo: $(COLLECT_STAMP)  ## install, collect and analyse the embedded model on drawn shapes
	@echo '== collect (some minutes)'
	@CALPRUNE_STORE=$(STORE) $(BIN)/calprune collect --study calibration --bench shapes
	@echo '== analyze'
	@CALPRUNE_STORE=$(STORE) $(BIN)/calprune analyze --metric ece --by split
	@echo '== figures, the study and its report, side by side'
	@export CALPRUNE_STORE=$(STORE) OMP_NUM_THREADS=1; \
	$(BIN)/calprune report --study calibration --out $(REPORT) & report=$$!; \
	$(BIN)/calprune analyze --plot $(FIGURES); \
	$(BIN)/calprune report --study calibration --format table; \
	wait $$report
	@echo
	@echo 'report:  $(REPORT)'
	@echo 'figures: $(FIGURES)'
	@echo 'cache:   $(STORE)   (again: export CALPRUNE_STORE=$(STORE); $(BIN)/calprune ls)'

.PHONY: docs
docs: $(DOCS_STAMP)  ## the documentation as a site; needs no torch
	@$(MKDOCS) --site-dir $(SITE)
	@echo 'site: $(SITE)/index.html   (opens as a file, needs no network)'

.PHONY: quick
quick: $(QUICK_STAMP)  ## lint, types, import contracts and quick tests, without torch: a minute
	@$(LIGHT)/bin/ruff check
	@$(LIGHT)/bin/ruff format --check
	@$(LIGHT)/bin/mypy --cache-dir=.mypy_cache/light --follow-imports=silent $(LIGHT_PACKAGES)
	@$(LIGHT)/bin/lint-imports --no-logo
	@OMP_NUM_THREADS=1 $(LIGHT)/bin/python -m pytest -q -m 'light and not slow' tests/data tests/analyze tests/judge tests/commands $(PYTEST_ARGS)

.PHONY: test
test: $(TEST_STAMP) $(OLDEST_STAMP) $(DOCS_STAMP) $(QUICK_STAMP)  ## lint, format, types, import contracts, the site, tests with coverage
	@echo '== lint'
	@$(BIN)/ruff check
	@echo '== format'
	@$(BIN)/ruff format --check
	@echo '== types'
	@$(BIN)/mypy
	@echo '== import contracts'
	@$(BIN)/lint-imports --no-logo
	@echo '== docs'
	@$(MKDOCS) --site-dir $(SITE)
	@echo '== tests without torch'
	@OMP_NUM_THREADS=1 $(LIGHT)/bin/python $(RUN_TESTS) -m light --cov --cov-report= tests/data tests/analyze tests/judge tests/commands $(PYTEST_ARGS)
	@echo '== tests with torch'
	@OMP_NUM_THREADS=1 $(BIN)/python $(RUN_TESTS) -m 'not light' --cov --cov-append --cov-report=term-missing:skip-covered $(HEAVY_TESTS) $(PYTEST_ARGS)
	@echo '== tests with the oldest transformers'
	@OMP_NUM_THREADS=1 CALPRUNE_TRANSFORMERS=oldest PYTHONPATH='$(CURDIR)/$(OLDEST)' \
	    $(BIN)/python $(RUN_TESTS) $(OLDEST_TESTS)

.PHONY: bench
bench: $(TEST_STAMP)  ## what is fast enough and what is not: ratios against targets, some minutes
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.targets $(BENCH_ARGS)

.PHONY: train
train: $(COLLECT_STAMP)  ## train the embedded model anew, both seeds (hours); installs nothing
	@for seed in 0 1; do for stage in tower language; do \
	    echo "== $$stage, seed $$seed"; \
	    $(BIN)/python -m training $$stage --seed $$seed --out $(TRAINED) || exit 1; \
	done; done
	@echo '== choose'
	@$(BIN)/python -m training choose --out $(TRAINED) --into $(TRAINED)/chosen

.PHONY: clean
clean:  ## remove the environment, the demo and caches; keep trained models
	rm -rf $(VENV) $(SITE) demo dist .coverage .hypothesis .import_linter_cache .mypy_cache \
	    .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment --------------------------------------------------------------------------

$(BIN)/python:
	@command -v '$(PYTHON)' >/dev/null || \
	    { echo 'no $(PYTHON) here; name another: make $(MAKECMDGOALS) PYTHON=python3.12' >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'calprune needs Python 3.11 or newer, and $(PYTHON) is' \
	        "$$('$(PYTHON)' -c 'import platform; print(platform.python_version())');" \
	        'name another: make $(MAKECMDGOALS) PYTHON=python3.12' >&2; exit 1; }
	@echo '== environment in $(VENV)'
	@'$(PYTHON)' -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# The pins without torch, whose build the user may choose.
$(PINS): constraints.txt | $(BIN)/python
	@grep -v '^torch==' constraints.txt > $@

# torch goes first and by name: otherwise pip takes the largest build it can find.
$(TORCH_STAMP): | $(PINS)
	@echo '== installing $(TORCH) (up to some minutes)'
	@if compgen -G '$(VENV)/.torch-*' >/dev/null; then \
	    rm -f $(VENV)/.torch-*; $(BIN)/python -m pip uninstall -qq -y torch; fi
	@$(PIP) $(TORCH_ARGS) -c $(PINS) '$(TORCH)'
	@$(if $(filter-out file,$(origin TORCH) $(origin TORCH_ARGS)),printf 'TORCH ?= %s\nTORCH_ARGS ?= %s\n' '$(TORCH)' '$(TORCH_ARGS)' > $(VENV)/torch.mk)
	@touch $@

$(COLLECT_STAMP): pyproject.toml $(PINS) $(TORCH_STAMP)
	@echo '== installing calprune with [collect]'
	@$(PIP) -c $(PINS) -e '.[collect]'
	@touch $@

$(DOCS_STAMP): pyproject.toml $(PINS)
	@echo '== installing what the site needs'
	@$(PIP) -c $(PINS) -e '.[docs]'
	@touch $@

$(TEST_STAMP): $(COLLECT_STAMP)
	@echo '== installing what the tests need'
	@$(PIP) -c $(PINS) -e '.[test]'
	@touch $@

$(QUICK_STAMP): pyproject.toml $(PINS)
	@echo '== installing what quick tests need into $(LIGHT), without torch'
	@test -d $(LIGHT) || $(BIN)/python -m venv $(LIGHT)
	@$(LIGHT)/bin/python -m pip install -qq --disable-pip-version-check $(PIP_ARGS) -c $(PINS) -e '.[quick]'
	@touch $@

$(OLDEST_STAMP): constraints-oldest.txt | $(TEST_STAMP)
	@echo '== installing the oldest transformers into $(OLDEST)'
	@rm -rf $(OLDEST)
	@$(PIP) --no-deps --target $(OLDEST) -r constraints-oldest.txt
	@touch $@
