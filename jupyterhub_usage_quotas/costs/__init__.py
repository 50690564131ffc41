"""Costs: what the bill says, by hub, component, user and group, so that it adds up.

What lives here: the rules (`values`, `money`, `attribute`, `spreading`, `groups`, `report`), which
are pure; where bills come from (`sources/`); and what is kept of bills and daily usage. What must
not: pages, and what services answer (they are in `services`).
"""
