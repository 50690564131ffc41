"""The demo: a whole installation on one machine: Prometheus with a month of usage, and a
JupyterHub.

What lives here: `run` is the demo itself, `month` what its users did, `jupyterhub_config` its Hub,
and `spawner` offers profiles without a cluster. `processes` and `history` start real programs and
make up recorded usage; the tests use these two as well. What must not: anything that is used in
production.
"""
