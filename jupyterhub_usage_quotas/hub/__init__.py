"""Inside the Hub: set-up, the refresh loop, the dashboard as a service, and a room each for
launches, pages and metrics.

What lives here: everything that runs in the Hub's process and knows JupyterHub's objects (`types`
names what is used of them). What must not: rules (they are in `quotas`), queries (they are in
`metering`), options (they are in `config`), and what runs beside the Hub (that is in `services`).
"""
