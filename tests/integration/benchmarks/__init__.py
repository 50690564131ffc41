"""Tests of what benchmarks are made of, with real programs."""
