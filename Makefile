# make serve builds the book and serves it; make test runs what guards the project.
# Needed: Python 3.11 or newer. All else is installed into VENV.

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
BENCH_VENV := $(VENV)-bench
RECORD_VENV := $(VENV)-record

PY := $(VENV)/bin/python
# One process for each processor; threads of BLAS beside them would only get in the way.
PYTEST := OPENBLAS_NUM_THREADS=1 $(PY) -m pytest --nbval --numprocesses auto
# The cells of a notebook stay together. Files with few tests are not the shortest: in their order.
BY_FILE := --dist loadfile --no-loadscope-reorder --ignore tests/site
BOOK_SOURCES := $(shell find _config.yml _toc.yml intro.md references.bib chapters website backprop_lib \
	pyproject.toml README.md LICENSE \( -type f -o -type d \) -not -path '*/.*' -not -path '*/__pycache__*')

.DEFAULT_GOAL := help
.NOTPARALLEL:
unexport PYTHONPATH PYTHONHOME
.PHONY: help serve book test test-all browser test-library mutants bench record notebooks format constraints runtime-archive clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Settings: PORT=8000, PYTHON=python3 (3.11 or newer), VENV=.venv"

serve: $(VENV)/book.stamp ## build the book and serve it at http://127.0.0.1:PORT
	@$(PY) scripts/serve.py --port $(PORT) _build/html $(MAKE) --no-print-directory book

book: _build/book.stamp ## build the website into _build/html, warnings as errors

test: $(VENV)/test.stamp browser book ## run what guards the project, but for what takes long
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) scripts/javascript.py
	$(PY) -m mypy
	$(PYTEST) -m "not thorough" $(BY_FILE)
	$(PYTEST) -m "not thorough" --dist worksteal tests/site # each test where there is time

test-all: $(VENV)/test.stamp browser book ## run what takes long and hardly ever differs: every notebook in the browser's Python, accessibility of every page, mutants, Lighthouse, the newest Python
	$(PYTEST) -m thorough --dist worksteal tests
	@$(PY) scripts/newest_python.py $(MAKE) --no-print-directory

browser: $(VENV)/test.stamp ## find the Chromium that the tests drive, or get one
	@$(PY) scripts/browser.py > /dev/null

test-library: $(VENV)/test.stamp ## run the tests that need neither website nor browser (TESTS="chapters tests/proof")
	$(PYTEST) $(BY_FILE) $(TESTS)

mutants: $(VENV)/test.stamp ## change every backward in every small way; which guard notices? (ONLY=linear)
	$(PY) scripts/mutants.py $(ONLY)

bench: $(BENCH_VENV)/stamp ## compare with PyTorch, JAX and autograd, on an idle machine (QUICK=1, ONLY=step)
	$(BENCH_VENV)/bin/python -m bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

# On every processor MKL computes in the same order, so that a recording differs by little.
record: $(RECORD_VENV)/stamp ## record what PyTorch computes, in an environment of its own (CHECK=1 compares, and writes nothing)
	MKL_CBWR=COMPATIBLE $(RECORD_VENV)/bin/python scripts/record_pytorch.py $(if $(CHECK),--check)

notebooks: $(VENV)/book.stamp ## execute and normalise the notebooks after an edit
	$(PY) scripts/notebooks.py

format: $(VENV)/test.stamp ## bring code and notebooks into the form of ruff, scripts and styles into Biome's
	$(PY) -m ruff format
	$(PY) -m ruff check --fix
	$(PY) scripts/javascript.py --write

constraints: $(VENV)/book.stamp ## pin again everything below the two requirement files
	$(PY) -m pip install uv==0.13.9
	@{ echo "# Every package below requirements.txt and tests/requirements.txt, pinned for Python 3.11 and newer."; \
	   echo "# Made by: make constraints"; \
	   sed -e '/^-[ce]/d' requirements.txt tests/requirements.txt | $(PY) -m uv pip compile - --universal \
	   --python-version 3.11 --no-annotate --no-header --no-emit-index-url --no-emit-find-links --quiet; \
	} > constraints.new
	mv constraints.new constraints.txt

runtime-archive: $(VENV)/book.stamp ## put the files of Python for the browser into one archive, for machines without a network
	$(PY) scripts/runtime_archive.py pyodide-files.zip

clean: ## remove what was built and the environments
	rm -rf _build $(VENV) $(BENCH_VENV) $(RECORD_VENV)

$(VENV)/book.stamp: requirements.txt constraints.txt pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo "error: $(PYTHON) is not there: install Python 3.11 or newer, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) scripts/environment.py $(VENV) requirements.txt
	@touch $@

$(VENV)/test.stamp: $(VENV)/book.stamp tests/requirements.txt
	@$(PYTHON) scripts/environment.py $(VENV) requirements.txt tests/requirements.txt
	@touch $@

_build/book.stamp: $(VENV)/book.stamp $(BOOK_SOURCES)
	rm -rf _build # else a page that is gone stays, and a warning is told only once
	$(VENV)/bin/jupyter-book build . -n -W --keep-going
	@touch $@

$(BENCH_VENV)/stamp: bench/requirements.txt pyproject.toml
	@$(PYTHON) scripts/environment.py $(BENCH_VENV) bench/requirements.txt
	@touch $@

$(RECORD_VENV)/stamp: scripts/requirements.txt
	@$(PYTHON) scripts/environment.py $(RECORD_VENV) scripts/requirements.txt
	@touch $@
