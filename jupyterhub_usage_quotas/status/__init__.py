"""Status: where users stand, from policies, usage and adjustments, for one, some or all users.

The Hub, its services and the command line all use this, so that they decide on the same inputs.
What lives here: the inputs of a decision, users' statuses, the words for them, and the languages
of those. What must not: rules (`quotas/`), queries (`metering/`), pages.
"""
