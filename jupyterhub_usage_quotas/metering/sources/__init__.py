"""What each source of usage reports."""
