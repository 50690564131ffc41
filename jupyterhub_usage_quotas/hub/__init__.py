"""Inside the Hub: configuration, the spawn hook, what users are told, the exporter.

What lives here: everything that knows traitlets and JupyterHub. What must not: rules (they are
in `quotas`) and queries (they are in `metering`).
"""
