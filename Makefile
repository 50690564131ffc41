# make demo   a JupyterHub with quotas and a month of usage, at http://127.0.0.1:8000;
#             PORT=8001 for another port
# make quick  lint, unit and contract tests: while you work, under four minutes
# make test   every check there is; what continuous integration runs
# make bench  how long decisions take; bench-meter, bench-start, bench-minute, bench-viewer, bench-ledger and
#             bench-costs: what the meter costs, a first start, and every minute, how long users wait for the
#             dashboard, how soon what people decide is in force, and how long it takes to say what a year cost
#             (they write pages in docs/explanation)
# make bench-peer  this package beside an earlier one of the same name, which decides at launches only
# make bench-scale  a hundred thousand users, on a stand-in for a store of several machines
# make bench-first-denial  how long it takes from nothing to the first denial (writes a page, too)
# make compare-credits  what the credit service charges, and this package, in the same scenarios
# make soak   a bad day in a quarter of an hour: every fault of a Prometheus, real Hubs (writes a page, too)
# make docs   the documentation, as docs/_build/html
# make lint   ruff, mypy, the order of imports (lint-imports), the pages' scripts and JupyterLab's
#             extension (tsc)
# make static  the scripts and styles of the pages, from frontend/
# make clean  remove everything that these made

PYTHON ?= python3
# More than cores: some wait for the clock, and Hubs for their users.
WORKERS ?= $(shell expr $$(nproc) + 2)
# How many examples property tests try: dev, ci or nightly (tests/conftest.py).
HYPOTHESIS_PROFILE ?= ci
export HYPOTHESIS_PROFILE
# What the machine has set must not slow down every program that the tests start.
unexport PYTHONDONTWRITEBYTECODE
PIP_INSTALL = install --quiet --disable-pip-version-check
# That of Python itself takes more than twice as long to find out what to install; it would do.
NEWER_PIP = $(PIP_INSTALL) --upgrade pip || true
# It checks IRIs in JSON schemas, which none here has, and its import takes three seconds of every start of
# a Hub or of a server.
WITHOUT_IRIS = uninstall --quiet --yes --disable-pip-version-check rfc3987-syntax
export PATH := $(CURDIR)/.tools/node_modules/.bin:$(PATH)

.PHONY: demo quick test bench bench-meter bench-peer bench-scale bench-simulate bench-start bench-minute bench-viewer bench-ledger bench-costs bench-first-denial compare-credits soak docs lint clean free-port programs programs-of-tests static
.DEFAULT_GOAL := test

demo: free-port programs static .venv/demo
	@.venv/bin/jupyterhub-usage-quotas demo$(if $(PORT), --port '$(PORT)')

test: lint static programs-of-tests .venv-hub5/test .venv-spawner6/test
	.venv/bin/python -m pytest --numprocesses $(WORKERS) --durations 30 --durations-min 5

quick: export HYPOTHESIS_PROFILE = dev
quick: lint static programs-of-tests
	.venv/bin/python -m pytest --numprocesses $(WORKERS) tests/unit tests/contract

bench: programs-of-tests .venv/bench .venv/test
	.venv/bin/python -m pytest benchmarks --benchmark-columns=min,median,max

bench-meter: programs-of-tests .venv/bench .venv/test
	.venv/bin/python -m benchmarks.bench_meter

bench-peer: programs-of-tests .venv/bench .venv/test .venv-peer/bench
	.venv/bin/python -m benchmarks.bench_peer

bench-scale: programs-of-tests .venv/bench .venv/test
	.venv/bin/python -m benchmarks.bench_scale

bench-simulate: .venv/bench .venv/test
	.venv/bin/python -m benchmarks.bench_simulate

bench-start: programs-of-tests .venv/bench
	.venv/bin/python -m benchmarks.bench_start

bench-minute: programs-of-tests .venv/bench .venv/test
	.venv/bin/python -m benchmarks.bench_minute

bench-viewer: programs-of-tests .venv/bench .venv/test
	.venv/bin/python -m benchmarks.bench_viewer

bench-ledger: programs-of-tests .venv/bench .venv/test
	.venv/bin/python -m benchmarks.bench_ledger

bench-costs: .venv/bench
	.venv/bin/python -m benchmarks.bench_costs

bench-first-denial: programs-of-tests .venv/bench .venv/test
	.venv/bin/python -m benchmarks.bench_first_denial

compare-credits: programs-of-tests .venv/test .venv-credit-service/bin/python
	.venv/bin/python -m benchmarks.compare_credits $(CURDIR)/.venv-credit-service/bin/python

soak: programs-of-tests .venv/bench .venv/test .venv-hub5/test
	.venv/bin/python -m benchmarks.soak

docs: .venv/docs
	.venv/bin/python -m sphinx -W --keep-going -n -b html docs docs/_build/html

lint: .venv/test frontend/node_modules/.package-lock.json labextension/node_modules/.package-lock.json
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	@npm run --silent --prefix frontend check
	@npm test --silent --prefix labextension
	@npm run --silent --prefix labextension check

# Before the minutes that it takes to install everything.
free-port:
	@$(PYTHON) -I jupyterhub_usage_quotas/demo/ports.py '$(or $(PORT),8000)'

programs: $(if $(filter demo,$(MAKECMDGOALS)),free-port)
	@scripts/install-programs

# Databases and a browser: nothing but the tests waits for them.
programs-of-tests: programs
	@scripts/install-programs --tests

static: jupyterhub_usage_quotas/services/viewer/static/usage-quota.js

jupyterhub_usage_quotas/services/viewer/static/usage-quota.js: $(wildcard frontend/src/*) jupyterhub_usage_quotas/hub/pages/static/header.css frontend/node_modules/.package-lock.json
	@npm run --silent --prefix frontend build -- --log-level=warning

frontend/node_modules/.package-lock.json: frontend/package.json frontend/package-lock.json | programs
	@npm ci --prefix frontend --ignore-scripts --loglevel=error
	@touch $@

labextension/node_modules/.package-lock.json: labextension/package.json labextension/package-lock.json | programs
	@npm ci --prefix labextension --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# The newest JupyterHub: what the package is developed against. Its pip serves the others, too.
.venv/bin/python: | programs static
	$(PYTHON) -m venv .venv
	.venv/bin/pip $(NEWER_PIP)

.venv/demo: pyproject.toml | .venv/bin/python
	.venv/bin/pip $(PIP_INSTALL) --editable '.[demo]'
	@touch $@

# The credit service's own package, which shares a name with a part of ours: in a place of its own.
.venv-credit-service/bin/python:
	$(PYTHON) -m venv .venv-credit-service
	.venv-credit-service/bin/pip $(PIP_INSTALL) 'jupyterhub-credit-service==0.4.2' 'jupyterhub==5.4.*' 'sqlalchemy<2.1'

.venv/bench: pyproject.toml | .venv/bin/python
	.venv/bin/pip $(PIP_INSTALL) --editable '.[bench]'
	@touch $@

.venv/docs: pyproject.toml | .venv/bin/python
	.venv/bin/pip $(PIP_INSTALL) --editable '.[docs]'
	@touch $@

.venv/test: pyproject.toml | .venv/bin/python
	.venv/bin/pip $(PIP_INSTALL) --editable '.[test]'
	.venv/bin/pip $(WITHOUT_IRIS)
	@touch $@

# JupyterHub 5, which most deployments run: the end-to-end tests start Hubs from it, too.
.venv-hub5/test: pyproject.toml | .venv/bin/python
	$(PYTHON) -m venv --without-pip .venv-hub5
	.venv/bin/pip --python .venv-hub5 $(PIP_INSTALL) --editable . 'jupyterhub>=5.5,<6' 'jupyter-server>=2' 'oauthenticator>=17'
	.venv/bin/pip --python .venv-hub5 $(WITHOUT_IRIS)
	@touch $@

# The KubeSpawner before it had slug schemes, in the same JupyterHub: a copy, in which programs name their Python.
.venv-spawner6/test: .venv-hub5/test
	rm -rf .venv-spawner6
	mkdir .venv-spawner6 && cp -a .venv-hub5/. .venv-spawner6 && rm .venv-spawner6/test
	grep -rlI '\.venv-hub5' .venv-spawner6/bin | xargs sed -i 's,\.venv-hub5,.venv-spawner6,g'
	.venv/bin/pip --python .venv-spawner6 $(PIP_INSTALL) 'jupyterhub-kubespawner>=6.2,<7'
	.venv/bin/pip --python .venv-spawner6 $(WITHOUT_IRIS)
	@touch $@

# The earlier package of the same name, of other authors: nothing else may be installed beside it. It is
# written for Python 3.12 and newer: before, quotes within quotes of a text are a syntax error.
.venv-peer/bench: | .venv/bin/python
	$(PYTHON) -m venv --without-pip .venv-peer
	.venv/bin/pip --python .venv-peer $(PIP_INSTALL) 'jupyterhub-usage-quotas==0.2.1'
	sed -i -E "s/\{(output|policy)\[\"(\w+)\"\]\}/{\1['\2']}/g" .venv-peer/lib/python3*/site-packages/jupyterhub_usage_quotas/*.py
	@touch $@

clean:
	rm -rf docs/_build frontend/node_modules labextension/node_modules labextension/lib labextension/build labextension/jupyterlab_usage_quotas/labextension jupyterhub_usage_quotas/services/viewer/static .venv .venv-hub5 .venv-spawner6 .venv-peer .venv-credit-service .tools .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
