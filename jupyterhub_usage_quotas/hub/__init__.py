"""Inside the Hub: set-up, the spawn hook, messages and pages for users, metrics.

What lives here: everything that knows traitlets and JupyterHub. What must not: rules (they are
in `quotas`) and queries (they are in `metering`).
"""
