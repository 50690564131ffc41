"""The session log in the Hub: what it sees of its servers, in memory at once, in SQL soon after.

What lives here: what is in memory (`book`), when servers start and end (`spawners`), and the loop
that writes, finds servers again after a restart, and deletes what is old (`recorder`). What must
not: SQL (`ledger/sql/sessions.py`), and what usage is made of it (`metering/sources`).
"""
