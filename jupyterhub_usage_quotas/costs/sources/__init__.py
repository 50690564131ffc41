"""Sources of costs: what each kind of bill says, day by day.

What lives here: a file a source, and what they have in common (`base`). What must not: whose a cost
is by usage (that is in `attribute`), and what is kept of it (that is in `cost_store`).
"""
