# Two commands: `make run` and `make test`. Everything they need, they set up in .venv.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
BIN := .venv/bin

REPO ?= .
RANGE ?=

.PHONY: help run serve test check-python check lint format types arch docs docs-fix house suites bench bench-gateway bench-overload fuzz-gateway lock setup setup-run setup-serve clean

help: ## List the commands
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: setup-run ## Write the release notes of REPO (default: this one) for RANGE (default: since the last tag)
	@$(BIN)/lockgate model pull --if-missing smollm2 minilm >&2
	@$(BIN)/lockgate run release-notes --repo "$(REPO)" $(if $(RANGE),--range "$(RANGE)")

# `exec`: a signal to this shell is one to the gateway, which then ends in order.
serve: setup-serve ## Serve the tasks and the two default models on loopback (ARGS="--listen ADDRESS")
	@$(BIN)/lockgate model pull --if-missing smollm2 minilm >&2
	@exec $(BIN)/lockgate serve $(ARGS)

test: setup ## Run the tests
	@$(BIN)/python -m pytest $(ARGS)

check-python: ## Check types and run the tests on another Python: PYTHON=python3.13 (ARGS as for test)
	@tools/setup.sh dev build/python
	@version=$$(build/python/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
	@build/python/bin/mypy --no-error-summary --cache-dir build/mypy --python-version $$version
	@build/python/bin/python -m pytest $(ARGS)

check: lint types arch docs test ## Everything that CI demands

lint: setup ## ruff, and the shell scripts' syntax
	@$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	for script in tools/*.sh .ci/run; do bash -n "$$script"; done

format: setup ## Format the code
	@$(BIN)/ruff check -q --fix-only . ; $(BIN)/ruff format -q .

types: setup ## mypy, strict
	@$(BIN)/mypy --no-error-summary

arch: setup ## The layers
	@$(BIN)/lint-imports --no-cache >.venv/arch.log 2>&1 || { cat .venv/arch.log; exit 1; }

house: setup ## The tails: long modules and functions, wide signatures, broad excepts, duplicates
	@$(BIN)/python tools/house.py

# -E: a page that is not read again warns no more, so a second run would pass.
docs: setup ## Hold generated blocks to the program, and build the pages
	@$(BIN)/cog --check docs/reference/*.md >/dev/null || { echo "docs/reference is stale: run make docs-fix" >&2; exit 1; }
	$(BIN)/python -m sphinx -q -E -n -W --keep-going docs docs/_build

docs-fix: setup ## Renew the generated blocks of the docs
	@$(BIN)/cog -r docs/reference/*.md

suites: setup-run ## Evaluate the built-in tasks on real histories (needs ../shared/data)
	@$(BIN)/lockgate model pull --if-missing smollm2 minilm >&2
	@$(BIN)/python tools/suites.py
	$(BIN)/lockgate eval build/suites/review/promptfooconfig.yaml
	$(BIN)/lockgate eval build/suites/release-notes/promptfooconfig.yaml

bench: ## Time the program beside its peers, and test the classifier (needs ../shared/data)
	@tools/setup.sh bench
	$(BIN)/python bench/speed.py
	$(BIN)/python bench/eval_speed.py
	$(BIN)/python bench/commit_types.py
	$(BIN)/python bench/packing.py
	$(BIN)/python bench/transfer.py
	$(BIN)/python bench/release_verify.py
	$(BIN)/python bench/gate_simulation.py
	$(BIN)/python bench/model_against_rules.py
	$(BIN)/python bench/overload.py
	$(BIN)/python bench/guards.py
	$(BIN)/python bench/guards_peers.py
	$(BIN)/python bench/books_speed.py
	$(BIN)/python bench/gateway_cost.py
	$(BIN)/python bench/money_simulation.py

bench-gateway: ## Time the gateway beside its peers (ARGS=--quick; needs two cores, gcc, wrk, nginx, npm)
	@tools/setup.sh bench
	@PYTHONPATH=bench $(BIN)/python bench/gateway/run.py $(ARGS)

bench-overload: ## Three times the gateway's capacity, failing upstreams, a database that is away
	@tools/setup.sh bench
	@PYTHONPATH=bench $(BIN)/python bench/gateway_overload.py $(ARGS)

fuzz-gateway: setup ## Send the gateway 100,000 hostile requests, and compare what ran with what may
	@$(BIN)/python bench/gateway_fuzz.py

lock: ## Renew the lock files (needs uv)
	@tools/lock.sh

setup-serve:
	@tools/setup.sh serve

setup-run:
	@tools/setup.sh run

setup:
	@tools/setup.sh dev

clean: ## Remove what the commands above made
	@rm -rf .venv build dist docs/_build .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
