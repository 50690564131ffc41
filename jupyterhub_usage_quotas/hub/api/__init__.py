"""What lives here: the endpoints below `/hub/api/usage-quotas/`, for users' servers and scripts:
where a user stands, and another profile for a server that runs.

What must not: rules, queries of usage for what is only shown, and pages.
"""
