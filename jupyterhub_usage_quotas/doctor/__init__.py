"""`jupyterhub-usage-quotas doctor`: what is wrong with a set-up, and how it is put right.

What lives here: checks, each of which looks at one thing and says what it found. What must not:
printing (that is `commands/doctor.py`), and whatever the Hub needs, too. Every check is explained
in docs/how-to/troubleshooting.md under its name.
"""
