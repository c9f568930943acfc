# make install   .venv with all that users need; instant when it is up to date
# make demo      three bundled tasks through the ladder of this machine
# make test      the whole test-suite
# make lint      ruff, pyright, import-linter
# make bench     the benchmarks of benchmarks/
# make lock      pin the dependencies anew (needs uv)

PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(if $(shell $(p) -c 'import sys; print(sys.version_info >= (3, 11) or "")' 2>/dev/null),$(p))))
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
PYTEST := $(if $(COVERAGE),$(BIN)/coverage run -m pytest,$(BIN)/python -m pytest)

.PHONY: install dev demo test lint bench lock system clean

install: .venv/.installed
dev: .venv/.dev

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Rung needs Python 3.11 or newer; none was found. Set PYTHON=…"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "Python's venv module is missing. On Debian or Ubuntu: apt install python3-venv"; exit 1; }

.venv/.installed: .venv/bin/python requirements.lock pyproject.toml
	@echo "installing Rung into .venv"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.installed requirements-dev.lock
	@echo "installing what the tests need"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

demo: install
	@$(BIN)/rung demo

# The system packages that tests use. As root on Debian they are installed; else we say how.
system:
	@sh tests/system-packages.sh

test: dev system
	$(PYTEST) -n 2 --dist loadgroup -rs

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: dev
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

LOCK := uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --quiet \
  --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header
lock:
	$(LOCK) --group build -o requirements.lock
	$(LOCK) --group build --group dev -o requirements-dev.lock

clean:
	rm -rf .venv .cache .coverage* .pytest_cache .ruff_cache .hypothesis .import_linter_cache
