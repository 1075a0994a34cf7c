# The two commands a newcomer needs are `make run` and `make test`; `make check` is the inner loop.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
QUICK := -q -m "not system"
# Left to `make test`: PostgreSQL (mostly the same tests once more), work of seconds, and four of five random examples.
INNER := -q -m "not system and not postgres and not long" --hypothesis-profile=inner
# A process for each part, side by side; the parts take about the same time. Each collects its own tests alone, and where
# one waits, another works.
PARTS := server/cli auth_backends storage
UNITS := $(PARTS:%=unit-%) unit-rest
BESIDE := --jobs=4 --output-sync=target
# What is tested against auth_backends/ and storage/, whose branch coverage must stay at 95 % or more; in parts side by side.
TESTED_auth := tests/unit/auth_backends tests/contract tests/fuzz
TESTED_database := tests/unit/storage/database
TESTED_files := tests/unit/storage/files tests/front_ends/test_decision_table.py
COVERED_PARTS := auth database files
COVERED := $(foreach part,$(COVERED_PARTS),$(TESTED_$(part)))
# The same against real directories; the other tests of that folder start the whole server.
DIRECTORIES := tests/directories
WHOLE := tests/directories/test_directory_sign_in.py
# Of the other tests that start no server, those of the command line and of server/ are parts of their own.
CLI := tests/unit/server/cli
SERVER := tests/unit/server

# Also where the shell forbids it: without kept byte code each process compiles and rewrites all the tests anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test check lint types unit $(UNITS) $(COVERED_PARTS:%=covered-%) quick-cli quick-server quick-rest clean

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
	$(MAKE) --no-print-directory $(BESIDE) lint types
	$(BIN)/coverage erase
	$(MAKE) --no-print-directory $(BESIDE) $(COVERED_PARTS:%=covered-%)
	$(BIN)/coverage run -m pytest -q -n 2 --dist loadscope $(DIRECTORIES) $(WHOLE:%=--ignore=%)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --fail-under=95 --omit='*/contract*.py,*/migrations/*'
	$(MAKE) --no-print-directory $(BESIDE) quick-cli quick-server quick-rest
	$(BIN)/pytest -q -n 2 --dist loadscope --no-loadscope-reorder --durations=15 -m system tests $(DIRECTORIES:%=--ignore=%)
	$(BIN)/pytest -q $(WHOLE)

$(COVERED_PARTS:%=covered-%): covered-%:
	$(BIN)/coverage run -m pytest $(QUICK) $(TESTED_$*)

quick-cli:
	$(BIN)/pytest $(QUICK) $(CLI)

quick-server:
	$(BIN)/pytest $(QUICK) $(SERVER) --ignore=$(CLI)

quick-rest:
	$(BIN)/pytest $(QUICK) tests $(SERVER:%=--ignore=%) $(COVERED:%=--ignore=%)

check: $(VENV)/.dev
	$(MAKE) --no-print-directory $(BESIDE) $(UNITS) lint types

lint:
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports --no-cache

types:
	$(BIN)/mypy

unit:
	$(MAKE) --no-print-directory $(BESIDE) $(UNITS)

$(PARTS:%=unit-%): unit-%:
	$(BIN)/pytest $(INNER) tests/unit/$*

unit-rest:
	$(BIN)/pytest $(INNER) tests/unit $(PARTS:%=--ignore=tests/unit/%) tests/contract tests/architecture

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .coverage*
