"""The rules: who may use how much over which window.

Pure values and functions. Nothing in here reads a clock, a file or the network, logs, or knows
JupyterHub: it imports the standard library and pydantic only. Start reading at `decide.py`.

What lives here: quantities (`units`), what an admin can write (`policy`), which policies cover a
user (`resolve`), what was used (`usage`), how usage is held against a limit (`windows`), and the
decision (`decide`). What must not: anything that asks Prometheus, SQL or the Hub.
"""
