"""Metrics on the Hub's endpoint: our own health, users' usage, and running servers."""
