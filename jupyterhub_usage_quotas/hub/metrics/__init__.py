"""What the Hub's metrics endpoint says: our own health, users' usage, and running servers."""
