"""A launch: read the server's request, decide, and allow or deny it."""
