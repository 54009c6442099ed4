# Two commands are all a fresh machine needs: `make quickstart` and `make test`.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES := pyproject.toml constraints.txt

.PHONY: quickstart test check clean

quickstart: $(VENV)/installed-serve
	$(VENV)/bin/tunesmith quickstart

# each process of the tests computes with one thread; a file's tests share what was made for them
test: $(VENV)/installed-dev
	$(VENV)/bin/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --durations 40

# what CI asks for beyond the tests
check: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/python scripts/check_docs.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed-serve: $(SOURCES) | $(VENV)/bin/python
	$(PIP) --editable '.[serve]'
	touch $@

$(VENV)/installed-dev: $(SOURCES) | $(VENV)/bin/python
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/installed-serve

clean:
	rm -rf $(VENV) runs dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
