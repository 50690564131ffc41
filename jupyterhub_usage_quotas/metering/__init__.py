"""What was used, as Prometheus recorded it.

What lives here: PromQL builders (`promql`), the HTTP client (`prometheus`), what each source of
usage exports and how it is seen to be alive (`sources`), and the readings made from it
(`meter`). What must not: rules, and anything of JupyterHub.
"""
