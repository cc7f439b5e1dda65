# Everything builds on `make venv`; each target does its own set-up.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: help venv check unit test test-all demo bench requirements proto clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/ready ## .venv/ with every command installed

$(VENV)/ready: requirements/test.txt requirements/build.txt pyproject.toml hacks/make-venv
	hacks/make-venv $(VENV)

check: venv ## format, lint, types, import direction
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

requirements: ## resolve the hashed requirement files anew
	hacks/make-requirements
