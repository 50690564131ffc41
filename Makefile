# make demo   a JupyterHub with quotas and a month of usage, at http://127.0.0.1:8000
# make test   every check there is; what continuous integration runs
# make bench  how long decisions take; bench-meter: what the meter costs (writes docs/explanation/speed.md)
# make lint   ruff and mypy only
# make clean  remove everything that these made

PYTHON ?= python3
PIP_INSTALL = bin/pip install --quiet --disable-pip-version-check
export PATH := $(CURDIR)/.tools/node_modules/.bin:$(PATH)

.PHONY: demo test bench bench-meter lint clean programs
.DEFAULT_GOAL := test

demo: programs .venv/demo
	@.venv/bin/jupyterhub-usage-quotas demo

test: lint .venv-hub5/test
	.venv/bin/python -m pytest

bench: .venv/bench
	.venv/bin/python -m pytest benchmarks --benchmark-columns=min,median,max

bench-meter: .venv/bench
	.venv/bin/python -m benchmarks.bench_meter

lint: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

programs:
	@scripts/install-programs $(if $(filter demo,$(MAKECMDGOALS)),,--browser)

# The newest JupyterHub: what the package is developed against.
.venv/bin/python: | programs
	$(PYTHON) -m venv .venv

.venv/demo: pyproject.toml | .venv/bin/python
	.venv/$(PIP_INSTALL) --editable '.[demo]'
	@touch $@

.venv/bench: pyproject.toml | .venv/bin/python
	.venv/$(PIP_INSTALL) --editable '.[bench]'
	@touch $@

.venv/test: pyproject.toml | .venv/bin/python
	.venv/$(PIP_INSTALL) --editable '.[test]'
	@touch $@

# JupyterHub 5, which most deployments run: the end-to-end tests start Hubs from it, too.
.venv-hub5/test: pyproject.toml | programs
	$(PYTHON) -m venv .venv-hub5
	.venv-hub5/$(PIP_INSTALL) --editable . 'jupyterhub>=5.5,<6' 'jupyter-server>=2'
	@touch $@

clean:
	rm -rf .venv .venv-hub5 .tools .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
