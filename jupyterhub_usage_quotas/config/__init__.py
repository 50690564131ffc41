"""The admin's configuration: the traits that all processes share, and their validation.

What lives here: options, how they are checked together, and how files are read. What must not:
enforcement, and what a running Hub or service does.
"""
