"""The viewer (users see it as the Usage Quota Dashboard): where everybody stands, pages and API."""
