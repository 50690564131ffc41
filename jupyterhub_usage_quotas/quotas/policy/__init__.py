"""Policies as an admin writes them: their limits, and the users and servers that they cover.

What lives here: frozen values, and how they are read from a configuration, with every mistake in it
at once. What must not: what follows from them (`resolve.py` on).
"""
