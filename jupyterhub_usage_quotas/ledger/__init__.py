"""The ledger: people's decisions (grants, overrides, exemptions), with actor, time and reason.

What lives here: the ports (`base`), and what keeps adjustments behind them (`memory`; `store` in
SQL, with its tables in `schema` and `migrations`). What must not: rules. What an adjustment makes
of a limit is in `quotas/adjustments.py`.
"""
