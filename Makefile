# Two commands on a fresh machine do everything: `make demo` and `make test`. Each makes an
# environment of its own, .venv, unless one is active.

PYTHON ?= python3
VENV := $(or $(VIRTUAL_ENV),.venv)
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.gbmix-installed

.PHONY: demo test test-oldest lint types doctest docs format install

demo: install
	$(BIN)/python -m benchmarks.demo

# a thread for each of the parallel test processes
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

# against the oldest versions that pyproject.toml allows, in an environment of its own
test-oldest:
	test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet -c tests/oldest.txt -e ".[test]"
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -n auto

doctest: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --doctest-modules gbmix_sklearn

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

docs: install
	$(BIN)/python -m pip install --quiet -e ".[docs]"
	$(BIN)/sphinx-build -W -b html docs docs/_build

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(INSTALLED)

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test,dev,weights]"
	touch $@
