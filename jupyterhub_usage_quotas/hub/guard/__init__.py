"""The guard: watches running servers, warns, gives grace, stops.

What lives here: what is found about running servers after each refresh and each decision in the
ledger, what the guard remembers, how servers are stopped, and how notices are sent. What must not:
rules (they are in `quotas/stopping/`), pages, and the API.
"""
