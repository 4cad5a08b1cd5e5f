# make reproduce   the whole study, from nothing to the report
# make test        the tests
# make verify      the long tests, and the property tests on many more examples
# make soak        that, and twenty kills in a row
# make smoke       every stage on a study of a minute
# make coverage    whether intervals cover and verdicts keep quiet, on simulated scores
# make ui          the recorded runs in MLflow
# make bench       speed and memory beside what one would pick instead, into benchmarks/
# make numbers     put the answers of the committed reports into README and docs
# make lock        resolve the dependencies of pyproject.toml anew

SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true

.PHONY: install reproduce test verify soak smoke bench coverage ui numbers lint lock clean

install: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

reproduce: install
	dvc repro --keep-going
	@echo "open reports/index.html"

# A file of tests at a time on every core, the longest first (tests/conftest.py): the tests of a file share what is
# expensive to make.
test: install
	python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

verify: install
	python -m pytest -m "verify or hypothesis" --hypothesis-profile verify

soak: verify
	STUDY_TEST_KILLS=20 python -m pytest -m "verify or not verify" -k sigkill \
		tests/training/test_train.py tests/search/test_search.py

smoke: install
	study run smoke

coverage: install
	python -m benchmarks.coverage --worlds 4000

bench: install
	python -m benchmarks

ui: install
	mlflow ui --backend-store-uri sqlite:///mlflow.db

numbers: install
	python -m study.report.excerpt README.md docs/results.md

lint: install
	ruff check . && ruff format --check . && lint-imports

# Universal: one lock for Linux and macOS, Python 3.11 and newer.
lock: install
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra study --extra dev --extra bench --universal --python-version 3.11 \
		--no-header --no-annotate --no-emit-index-url --upgrade --output-file requirements.lock

clean:
	rm -rf .venv build *.egg-info
