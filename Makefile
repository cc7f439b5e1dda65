# Everything builds on `make venv`; each target does its own set-up.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
EQUIPMENT := PYTHONPATH=test $(PY) -m equipment.tools

.PHONY: help venv check unit test test-all demo demo-simulate demo-down e2e-tests bench bundle build-images push-images fuzz mutants docs proto \
	requirements clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/ready ## .venv/ with every command installed

$(VENV)/ready: requirements/test.txt requirements/build.txt pyproject.toml hacks/make-venv
	hacks/make-venv $(VENV)

demo: venv ## the main job with real parts, as root: a node, then the whole chain (KEEP=1 leaves it up)
	FOUND_WILL_DO=1 PYTHONPATH=test $(PY) hacks/demo.py

demo-simulate: venv ## what the policies do, on machines that need not exist: no root, no containerd, no Go
	$(PY) hacks/demo_simulate.py

demo-down: venv ## end what `make demo KEEP=1` has left
	FOUND_WILL_DO=1 PYTHONPATH=test $(PY) hacks/demo.py --down

check: venv ## format, lint, types, import direction
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

unit: venv ## tests that need no root and no Go
	$(PY) -m pytest -n 2 -m "not needs_root and not needs_go and not slow" test/unit test/property test/relay

test: venv ## everything that fits an hour on two cores, from nothing
	hacks/run-tests

test-all: venv ## the rest as well: all runtimes, all of critest, long runs
	hacks/run-tests --all

e2e-tests: venv ## the whole chain on this machine; KUBECONFIG=… for a real garden (ARGS='--label-filter enable')
	$(PY) -m pytest -q $(if $(KUBECONFIG),--kubecfg=$(KUBECONFIG)) $(ARGS) test/e2e

bench: venv ## what the relay costs, against a direct connection (ARGS='--only pod-16 --rounds 7')
	PYTHONPATH=test $(PY) -m bench.run $(ARGS)

bundle: venv ## what a node runs, as a tree and a tarball in build/ (ARGS='--architecture arm64')
	$(PY) hacks/build-bundle --tarball build/cri-resmgr.tar.gz $(ARGS)

build-images: ## the images, for amd64 and arm64 (REGISTRY=localhost:5001 TAG=latest)
	hacks/build-images

push-images: ## push them, and print their digests (REGISTRY, TAG as above)
	hacks/push-images

fuzz: venv ## mutated and random bytes for ten minutes
	hacks/fuzz --minutes 10

mutants: venv ## break the relay on purpose in a hundred places: each must fail a test
	$(PY) hacks/mutate

docs: venv ## write the generated pages anew
	$(PY) hacks/make-flag-docs > docs/flags.md
	$(PY) hacks/make-config-docs
	$(PY) -m cri_resmgr.config.adjustment_schema > examples/adjustment-schema.yaml

proto: venv ## write the *_pb2.py files anew
	hacks/make-proto

requirements: ## resolve the hashed requirement files anew (needs uv)
	hacks/make-requirements

clean: ## what was built in the checkout; the cache of test equipment stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
