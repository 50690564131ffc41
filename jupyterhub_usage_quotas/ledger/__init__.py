"""The ledger: people's decisions (grants, overrides, exemptions), with actor, time and reason.

What lives here: the ports (`base`), what they accept (`entries`, `drafts`, `granting`), and what
keeps adjustments behind them (`memory`; `sql/` in a database). What must not: rules. What an
adjustment makes of a limit is in `quotas/adjustments.py`.
"""
