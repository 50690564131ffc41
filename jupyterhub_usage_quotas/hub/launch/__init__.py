"""A launch: read what is about to start, decide, and allow or deny it."""
