"""The viewer's pages: handlers, and what each part of a page shows."""
