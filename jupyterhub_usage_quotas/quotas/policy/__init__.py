"""What an admin can write: policies, whom and which servers they cover, their limits.

What lives here: frozen values, and how they are read from a configuration, with every mistake in it
at once. What must not: what follows from them (`resolve.py` on).
"""
