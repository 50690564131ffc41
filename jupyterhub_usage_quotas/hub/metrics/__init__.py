"""Metrics on the Hub's endpoint: our own health, users' usage, and running servers.

What lives here: collectors and observers, which export what is cached. What must not: names of
metrics and labels (others depend on them: they are in `conventions.py`), queries, and anything that
a scrape would have to wait for.
"""
