"""What an admin can write: policies, scopes, selectors and limits, and how they are parsed."""
