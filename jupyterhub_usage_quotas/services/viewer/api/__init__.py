"""The viewer's JSON API."""
