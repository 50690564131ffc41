"""Weekly budgets: server time per week, by the tier of a server's profile and the role of its user.

What lives here: the option, and the policies that it is another way to write. What must not: rules.
To `quotas/` these are policies like others.
"""
