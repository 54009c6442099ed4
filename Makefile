# Two commands are all a fresh machine needs: `make quickstart` and `make test`.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES := pyproject.toml constraints.txt

.PHONY: quickstart test check openai clean

quickstart: $(VENV)/installed-serve
	$(VENV)/bin/tunesmith quickstart

# each process of the tests computes with one thread; a file's tests share what was made for them
test: $(VENV)/installed-dev
	$(VENV)/bin/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile \
		--no-loadscope-reorder --durations 40

# what CI asks for beyond the tests
check: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/python scripts/check_docs.py

# what the official client does with a studio, by the oldest version that is allowed and the newest there is
openai: $(VENV)/installed-dev
	for version in '==2.0' '>=2.0'; do \
		rm -rf build/openai && \
		$(VENV)/bin/pip install --quiet --no-deps --target build/openai "openai$$version" distro && \
		PYTHONPATH=build/openai $(VENV)/bin/python -c 'import openai; print("openai", openai.__version__)' && \
		PYTHONPATH=build/openai $(VENV)/bin/python -m pytest --quiet \
			tests/integration/studio/test_story.py tests/integration/studio/routes/test_client.py || exit 1; \
	done

# the pip that comes with Python may be years old, and take much longer to find what fits together
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) pip

# pip compiles one file after the other, compileall on all cores; packages bring files for other Pythons, too
define install
	$(PIP) --no-compile --editable '.[$(1)]'
	$(VENV)/bin/python -W ignore -m compileall -qq -j 0 $(VENV)/lib src || true
endef

$(VENV)/installed-serve: $(SOURCES) | $(VENV)/bin/python
	$(call install,serve)
	touch $@

$(VENV)/installed-dev: $(SOURCES) | $(VENV)/bin/python
	$(call install,dev)
	touch $@ $(VENV)/installed-serve

clean:
	rm -rf $(VENV) runs dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
