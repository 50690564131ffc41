"""The viewer (users see it as the Usage Quota Dashboard): pages and an API of users' status.

What lives here: the application with its addresses, its configuration and arguments, and what pages
and API share. What must not: what another service would need, too (that is in `services/web`), and
status or decisions (they are in `status`).
"""
