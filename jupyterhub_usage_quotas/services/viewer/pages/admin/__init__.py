"""The pages of those who decide: finding users, giving more, budgets, limits tried on the past.

What lives here: their handlers, forms and tables. What must not: what may be decided (`ledger/`),
and pages that everybody has, but for the page of what was given to them (`history`).
"""
