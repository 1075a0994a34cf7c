# The two commands a newcomer needs are `make run` and `make test`; `make check` is the inner loop.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test check lint types unit clean

run: $(VENV)/.runtime
	exec $(BIN)/quaymaster serve --demo

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml
	tools/make-venv $(PYTHON) $(VENV) requirements/runtime.lock
	touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml
	tools/make-venv $(PYTHON) $(VENV) requirements/dev.lock
	touch $@ $(VENV)/.runtime

test: $(VENV)/.dev
	tools/install-test-programs
	$(MAKE) lint types
	$(BIN)/coverage erase
	$(BIN)/coverage run --parallel-mode -m pytest -m "not system" tests/unit tests/contract tests/fuzz tests/architecture
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='auth_backends/*,storage/*' --omit='*/contract.py,*/migrations/*' --fail-under=95 --skip-covered
	$(BIN)/pytest -m system tests

check: $(VENV)/.dev lint types unit

lint:
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports --no-cache

types:
	$(BIN)/mypy

unit:
	$(BIN)/pytest -q -n 2 -m "not system" tests/unit tests/contract tests/architecture

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .coverage*
