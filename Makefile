# make FOLDER=/tmp/bits bits-record, change something, make FOLDER=/tmp/bits bits
PYTHON ?= $(firstword $(wildcard .venv/bin/python) python3)
FOLDER ?= /tmp/rlplay-bits
# Notices about MkDocs's successors
export NO_MKDOCS_2_WARNING = 1
export DISABLE_MKDOCS_2_WARNING = true

.PHONY: help install test quick slow lint format layers docs docs-serve bits-record bits bench

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: ## a virtual environment with everything for development and the site
	python3 -m venv .venv && .venv/bin/pip install -e '.[dev,docs]'

test: ## the default suite
	$(PYTHON) -m pytest

quick: ## numbers, rules, spaces, storage, the window's state: under a minute
	$(PYTHON) -m pytest -m quick

slow: ## the long suites
	$(PYTHON) -m pytest -m slow

lint: ## style, types, layers
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) docs/draw_layers.py --check

format: ## mend the style
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

layers: ## draw docs/images/layers.svg and the table of the architecture page
	$(PYTHON) docs/draw_layers.py

docs: ## build the site into site/, every warning an error
	$(PYTHON) -m mkdocs build --strict

docs-serve: ## the site while you write
	$(PYTHON) -m mkdocs serve

bits-record: ## train every agent and keep what it learned in FOLDER
	$(PYTHON) tests/same_bits.py record $(FOLDER)

bits: ## train again and compare with FOLDER, bit for bit
	$(PYTHON) tests/same_bits.py compare $(FOLDER)

bench: ## measure tables, environments, networks and policy gradients
	for name in tabular environments networks policy_gradients; do $(PYTHON) tests/benchmarks/$$name.py || exit 1; done
