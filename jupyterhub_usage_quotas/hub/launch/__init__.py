"""A launch: read the server's request, decide, and allow or deny it.

What lives here: the spawn hook, what is read of a spawner, the message of a denial, and the record
that observers get. What must not: rules (they are in `quotas`), the inputs of a decision (they are
gathered in `status/inputs.py`), and metrics (they observe, from `hub/metrics`).
"""
