"""What the pages of benchmarks are made of: see `benchmarks.results`."""

from benchmarks.results import Measured, machine, table

__all__ = ["Measured", "machine", "table"]
