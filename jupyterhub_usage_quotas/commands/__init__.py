"""The commands of the command line, a file for each: its options, what it does, what it prints.

What must not be here: what the Hub needs, too. `cli.py` puts them together.
"""
