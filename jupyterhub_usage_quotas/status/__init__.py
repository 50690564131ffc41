"""Status: where users stand, from policies, usage and adjustments, for one, some or all users.

The Hub, its services and the command line all use this, so that they decide on the same inputs.
What must not live here: rules (`quotas/`), queries (`metering/`), pages.
"""
