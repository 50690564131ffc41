"""Checks of what the admin wrote.

What lives here: the validation of a whole configuration, and the checks that several options need
(addresses, secrets). What must not: options; each checks its own value.
"""
