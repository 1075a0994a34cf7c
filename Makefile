# The two commands a newcomer needs are `make run` and `make test`; `make check` is the inner loop.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
QUICK := -q -n 2 -m "not system"
# The inner loop has SQLite only: what needs a PostgreSQL server, mostly the same tests once more, is left to `make test`.
INNER := -q -n 2 -m "not system and not postgres"
# What is tested against auth_backends/ and storage/, whose branch coverage must stay at 95 % or more.
COVERED := tests/unit/auth_backends tests/unit/storage tests/contract tests/fuzz tests/front_ends/test_decision_table.py
# The same against real directories; the other tests of that folder start the whole server.
DIRECTORIES := tests/directories
WHOLE := tests/directories/test_directory_sign_in.py

# Also where the shell forbids byte code: to compile and rewrite all the tests anew takes each process ten seconds.
export PYTHONDONTWRITEBYTECODE :=

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
	$(BIN)/coverage run -m pytest $(QUICK) $(COVERED)
	$(BIN)/coverage run -m pytest -q -n 2 --dist loadscope $(DIRECTORIES) $(WHOLE:%=--ignore=%)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --fail-under=95 --omit='*/contract*.py,*/migrations/*'
	$(BIN)/pytest $(QUICK) tests $(COVERED:%=--ignore=%)
	$(BIN)/pytest -q -n 2 --dist loadscope -m system tests $(DIRECTORIES:%=--ignore=%)
	$(BIN)/pytest -q $(WHOLE)

check: $(VENV)/.dev lint types unit

lint:
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports --no-cache

types:
	$(BIN)/mypy

unit:
	$(BIN)/pytest $(INNER) tests/unit tests/contract tests/architecture

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .coverage*
