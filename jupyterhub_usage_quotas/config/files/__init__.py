"""Configuration files, from their text to traitlets' values.

What lives here: where they are, how they are loaded outside of the Hub, earlier spellings, and
settings written with a colon. What must not: options, and what is wrong with their values.
"""
