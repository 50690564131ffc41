"""Credits as the JupyterHub Credit Service has them: its options, and policies they stand for.

What lives here: the names, defaults and checks of its options; the option of ours for the same.
What must not: calling an admin's functions for a user, which the Hub does (`hub/credits/`).
"""
