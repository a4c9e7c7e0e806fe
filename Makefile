# One command a job; `make` alone lists them. Needs make and Python 3.11 or newer with venv, nothing else.
#
# The environment is .venv, beside this file. .venv/.ready is written as the last step of its making and holds the path it was made
# for, so an interrupted set-up, a copied checkout and a Python that has gone are all seen and made good. .venv/.locked is a copy of
# the lock that is installed, .venv/.home where: a changed lock makes .venv anew, a change of pyproject.toml alone only installs the
# project again.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN   := .venv/bin
READY := .venv/.ready
# uv installs the lock five times as fast as pip, which installs uv from the same lock.
PIP   := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps
UV    := $(BIN)/uv --no-config pip
# Systems that `rehydrate bench compare` runs, each in an environment of its own.
PEERS := $(basename $(wildcard evaluation/compare/peers/*.in))
# How often `make test-kills` kills.
N     ?= 20

# Tests start hundreds of processes. Where the shell says that no bytecode is written, each of them would compile all of us anew.
export PYTHONDONTWRITEBYTECODE :=

# uv must not fetch an interpreter of its own.
export UV_PYTHON_DOWNLOADS := never

ifneq ($(shell test -x $(BIN)/python && cat $(READY) 2>/dev/null),$(CURDIR))
$(READY): FORCE
endif

.PHONY: help setup demo test lint check fmt bench test-kills services test-services lock clean FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## create .venv with the locked dependencies and the command .venv/bin/rehydrate
	@:

demo: $(READY) ## run the main job on a small feed and kill agents while they work
	$(BIN)/rehydrate demo

test: $(READY) ## run the tests
	$(BIN)/pytest

lint: $(READY) ## lint, format, types and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## do all that CI does: lint, format, types, import rules, tests

fmt: $(READY) ## format the code and repair what the linter can
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

bench: $(READY) ## measure durable steps, replay, agent overhead and the swarm; one JSON object each
	@$(BIN)/rehydrate bench steps --json
	@$(BIN)/rehydrate bench replay --json
	@$(BIN)/rehydrate bench execute --json
	@$(BIN)/rehydrate bench swarm --json

test-kills: $(READY) ## kill processes in the middle of their work, N=20 times
	$(BIN)/pytest tests/system -m kills --kills=$(N)

services: $(READY) ## bring what tests on real servers need: PostgreSQL, and Kafka as jars by Maven
	$(BIN)/python -m tests.services.install

test-services: services ## run the tests on PostgreSQL and Apache Kafka, the long ones too
	REHYDRATE_TEST_SERVICES=required $(BIN)/pytest -m services

lock: $(READY) ## write requirements.lock and those of the benchmark's peers; UPGRADE=1 takes the newest versions
	$(UV) compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --quiet \
	    --no-emit-find-links --no-emit-index-url --custom-compile-command "make lock" \
	    $(if $(UPGRADE),--upgrade) --output-file requirements.lock
	for peer in $(PEERS); do $(UV) compile $$peer.in --universal --python-version 3.11 --generate-hashes --quiet \
	    --no-emit-find-links --no-emit-index-url --custom-compile-command "make lock" \
	    $(if $(UPGRADE),--upgrade) --output-file $$peer.lock || exit 1; done
	for npm in evaluation/compare/peers/*.npm; do npm install --prefix $$npm --package-lock-only --omit-lockfile-registry-resolved \
	    --ignore-scripts --no-audit --no-fund || exit 1; done

clean: ## remove .venv, caches and builds; the data in .rehydrate stays
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What is told goes to stderr: stdout belongs to the target that needed the set-up.
$(READY): requirements.lock pyproject.toml
	@set -eu; exec >&2; \
	rm -f $(READY); \
	if [ "$$(cat .venv/.home 2>/dev/null)" != "$(CURDIR)" ] || ! cmp -s requirements.lock .venv/.locked \
	        || ! $(BIN)/python -c '' 2>/dev/null; then \
	    python=; \
	    for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python); do \
	        python=$$("$$candidate" -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 11); print(sys._base_executable)' \
	            2>/dev/null) && break || python=; \
	    done; \
	    if [ -z "$$python" ]; then \
	        echo 'make setup: no Python 3.11 or newer with venv found$(if $(PYTHON), at $(PYTHON)).'; \
	        echo '  Debian, Ubuntu: apt install python3 python3-venv'; \
	        echo '  or name one that is elsewhere: make setup PYTHON=/path/to/python3'; \
	        exit 1; \
	    fi; \
	    echo "setup: .venv with $$("$$python" --version) and the packages of requirements.lock"; \
	    rm -rf .venv; \
	    "$$python" -m venv .venv; \
	    awk '/^uv==/ { on = 1 } on && /^ *#/ { exit } on' requirements.lock >.venv/uv.lock; \
	    $(PIP) --requirement .venv/uv.lock; \
	    $(UV) install --python $(BIN)/python --quiet --compile-bytecode --require-hashes --no-deps --requirement requirements.lock || { \
	        echo 'setup: uv could not, trying pip, which knows the index of its own configuration'; \
	        $(PIP) --requirement requirements.lock; \
	    }; \
	    $(UV) check --python $(BIN)/python --quiet || { $(UV) check --python $(BIN)/python; exit 1; }; \
	    cp requirements.lock .venv/.locked; \
	    printf '%s\n' "$(CURDIR)" >.venv/.home; \
	fi; \
	echo 'setup: the project itself'; \
	$(UV) install --python $(BIN)/python --quiet --no-deps --no-build-isolation --offline --editable .; \
	printf '%s\n' "$(CURDIR)" >$(READY)

FORCE:
