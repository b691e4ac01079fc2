# Needs Python 3.11+, make and the package index. `make demo` and `make test` are the two commands of the README.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
STAMP := $(VENV)/.installed
ARGS ?=
JOBS ?= logical
# Tests on every processor; those of one module, and those of one server, stay together (tests/conftest.py). JOBS=0: one after another.
PARALLEL := -n $(JOBS) --dist loadscope
# Compiled test modules are kept, whatever the environment says: without them collecting alone takes longer than many tests.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install demo test check check-static check-tests bench conformance test-postgres test-hapi lock docs clean

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Yifang needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -c 'import pathlib; pathlib.Path("$(STAMP)").touch()'

demo: install
	$(BIN)/yifang demo $(ARGS)

test: install
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

check: install
	$(MAKE) --no-print-directory -j2 check-static check-tests

check-static: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/yifang map check

check-tests: install
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not postgres and not hapi and not node" --hypothesis-profile=quick $(ARGS)

bench: install
	$(BIN)/python -m tests.bench $(ARGS)

conformance: install
	$(BIN)/python -m tests.validation.conformance $(ARGS)

test-postgres: install
	$(BIN)/python -m tests.services postgres -- $(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-hapi: install
	$(BIN)/python -m tests.services hapi -- $(BIN)/python -m pytest $(PARALLEL) $(ARGS)

docs: install
	$(BIN)/python -m tools.references
	$(BIN)/python -m tests.acid.differences

lock:
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --extra dev -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) build dist
