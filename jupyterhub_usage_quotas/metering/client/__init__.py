"""How a Prometheus is asked: connection, TLS, signatures, responses, circuit breaker, PromQL."""
