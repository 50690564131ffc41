"""The checks of `doctor`, by what they examine.

What lives here: functions from a deployment to findings, each of which queries what it needs. What
must not: their order, and how they are run (`doctor/examine.py`).
"""
