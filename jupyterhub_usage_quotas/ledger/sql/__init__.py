"""The ledger in SQL: SQLite, PostgreSQL and MariaDB.

What lives here: addresses (`url`), the connection and its one thread (`database`), the tables
(`schema`, `migrations`), and the stores on them (`store`; `cached` in the Hub). What must not: what
an adjustment may be (`ledger/entries.py`), and what it makes of a limit (`quotas/adjustments.py`).
"""
