"""The Hub's own pages: what they say about quotas, and how our templates extend the Hub's.

What lives here: templates, their words, and the overlay that puts them between the Hub's and an
admin's. What must not: anything that a page of the Hub would have to wait for, and what the
dashboard says, too (that is in `status/text.py`).
"""
