"""What people decided: grants, overrides and exemptions, with who, when and why.

What lives here: the ports (`base`), and what keeps adjustments behind them (`memory`). What must
not: rules. What an adjustment makes of a limit is in `quotas/adjustments.py`.
"""
