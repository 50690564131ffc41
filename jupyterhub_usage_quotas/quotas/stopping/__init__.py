"""Running servers whose quota is used up: warned, given grace, stopped.

What lives here: the table of states (`states`), the steps through it (`steps`), what policies say
of running servers (`watching`), and what users are told (`notices`); all of it pure. What must not:
how servers are looked at and stopped (`hub/guard/`), and texts (`status/running.py`).
"""
