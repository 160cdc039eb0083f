# Needs make and a Python 3.11, 3.12 or 3.13; everything else is installed into .venv. `make` lists the targets.

# The first of these that runs and is new enough; PYTHON=... on the command line names another.
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)
SUITABLE = $(shell for name in $(PYTHONS); do \
	$$name -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1 \
		&& command -v $$name && break; done)
# Why one of them does not suit, as a line; 126 and 127 are the shell's own answers.
WHY_NOT = said=$$($$name -c 'import sys; print("%d.%d" % sys.version_info[:2]); import venv, ensurepip' 2>/dev/null); \
	case $$?,$$said in \
		127,*) why="there is no such program";; \
		126,*) why="it may not be executed (permissions of it, of a directory above it, or a file system mounted noexec)";; \
		0,*) why="it is Python $$said";; \
		*,3.1[123]) why="it lacks the module venv or ensurepip";; \
		*,?*) why="it is Python $$said";; \
		*) why="it is no Python, or does not start";; \
	esac; echo "  $$name: $$why" >&2
BIN := .venv/bin
RUN := $(BIN)/python -m
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$(( (n > 7 ? 7 : n) + 1 )))  # tests wait as well as work

# uv brings its own list of authorities unless told to trust the machine's, as pip does.
export UV_SYSTEM_CERTS := 1

# What a shell left behind must not change a run; the warehouse's own connection may come from outside.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV
unexport $(filter-out AIRFLOW_CONN_HYPERTAPE_DB,$(filter AIRFLOW_%,$(.VARIABLES)))

# Your project: make up PROJECT=dir. Each verb of it needs the same.
ifneq ($(PROJECT),)
export HYPERTAPE_PROJECT := $(abspath $(PROJECT))
endif

.DEFAULT_GOAL := help
.PHONY: help demo up down status test coverage check docs screenshots bench lock clean install browser services

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

demo: install ## run the real DAGs once on sample data, or on a CSV tree: make demo DATA=dir
	@$(RUN) hypertape.orchestration.demo $(if $(DATA),--data "$(DATA)")

up: install ## start the warehouse and Airflow; over the demo's data: make up WAREHOUSE=demo; with Celery: EXECUTOR=celery
	@$(RUN) hypertape.orchestration.standalone up $(if $(WAREHOUSE),--warehouse $(WAREHOUSE)) \
		$(if $(EXECUTOR),--executor $(EXECUTOR))

status: install ## say what `make up` started, where it is and how it is
	@$(RUN) hypertape.orchestration.standalone status

down: install ## stop what `make up` started
	@$(RUN) hypertape.orchestration.standalone down

test: install browser services ## run the test suite: make test ARGS="-k load" JOBS=4; ARGS=--thorough for long proofs
	@$(RUN) pytest -n $(JOBS) $(ARGS)

coverage: install browser services ## run the test suite and say which lines it leaves out; measuring takes half as long again
	@$(RUN) pytest -n $(JOBS) --cov --cov-report term:skip-covered $(if $(ARGS),,--cov-fail-under 90) $(ARGS)

browser: install ## find the browser for tests/web, or install one
	@$(BIN)/python tests/browser.py

services: install ## find or install the servers that tests run: RabbitMQ, PgBouncer, Redis, Prometheus, Docker Compose
	@$(BIN)/python tests/services.py

check: install ## lint, format, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: install ## build the documentation as a site in build/site, strictly; it asks nothing of the web
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "file://$(CURDIR)/build/site/index.html"

screenshots: install browser ## take pictures of the pages, from what `make demo` has loaded; the README's are two of them
	@$(BIN)/python docs/tools/screenshots.py

bench: install ## measure loads, reads, indicators, migrations, CSV; prints ratios
	@$(RUN) benchmarks $(ARGS)

lock: install ## rewrite requirements.txt from requirements.in, keeping versions: make lock ARGS=--upgrade
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
		--custom-compile-command "make lock" requirements.in --output-file requirements.txt $(ARGS)

clean: ## remove .venv and caches; the data in .hypertape stays
	rm -rf .venv build dist htmlcov .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.hypertape/*' -prune -exec rm -rf {} +

# The environment is built once, and again when the lock, the package's metadata or its own place changes.
install: ## build .venv; every other target does this first
	@{ pwd; cat requirements.txt pyproject.toml; } | cmp -s - .venv/installed || $(MAKE) --no-print-directory .venv

.PHONY: .venv
.venv: PYTHON_PATH := $(SUITABLE)
.venv:
	@if [ -z "$(PYTHON_PATH)" ]; then \
		echo "hypertape needs Python 3.11, 3.12 or 3.13 with its venv module:" >&2; \
		for name in $(PYTHONS); do $(WHY_NOT); done; \
		echo "Install it (Debian: apt install python3-venv), or name it: make demo PYTHON=/path/to/python3.12" >&2; \
		exit 1; fi
	@echo "Building .venv with $(PYTHON_PATH) ..."
	@rm -rf .venv
	@$(PYTHON_PATH) -m venv .venv
	@$(RUN) pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.txt)"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@{ pwd; cat requirements.txt pyproject.toml; } > .venv/installed
