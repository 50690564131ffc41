"""Where users stand: policies, usage and adjustments gathered once, for one, some or all users.

The Hub, its services and the command line all ask here, so that they decide on the same things.
What must not live here: rules (`quotas/`), queries (`metering/`), pages.
"""
