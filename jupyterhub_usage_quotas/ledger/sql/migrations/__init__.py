"""How the tables of the ledger came to be: alembic's revisions, in their order, in `versions`.

A revision is never changed once it was released. What lives elsewhere: the tables as they are now,
in `schema`; when a ledger is upgraded, in `database`.
"""
