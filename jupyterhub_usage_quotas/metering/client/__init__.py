"""The client of a Prometheus-compatible server.

What lives here: `promql` (the only place that puts outside text into a query), the HTTP client, its
connection (credentials and certificates), the parser of answers, the breaker, and the worker thread
that keeps large answers off the event loop. What must not: what any metric means.
"""
