"""How usage is held against a limit, a file a kind."""
