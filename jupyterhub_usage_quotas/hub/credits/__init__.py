"""Credits as the JupyterHub Credit Service has them: the Hub's part of `jupyterhub_credit_service`.

What lives here: its mixins, what its functions give for users, its endpoints. What must not: rules,
and balances that are stored: to `quotas/` credits are a resource like others.
"""
