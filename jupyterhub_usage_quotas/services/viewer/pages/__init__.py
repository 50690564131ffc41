"""The viewer's pages: handlers, and what each part of a page shows.

What lives here: functions from a status to values for a template. What must not: HTML (that is in
`templates`), and sentences that the Hub's pages show, too (they are in `status/text.py`).
"""
