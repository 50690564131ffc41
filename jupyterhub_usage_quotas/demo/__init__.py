"""A whole installation on one machine: Prometheus with a month of usage, and a JupyterHub.

`run` is the demo itself; `processes` and `history` start real programs and make up recorded
usage. The tests use the latter two as well. Nothing here is used in production.
"""
