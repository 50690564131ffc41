"""The rules: who may use how much over which window, as pure values and functions.

Nothing in here reads a clock, a file or the network, logs, or knows JupyterHub: it imports the
standard library, pydantic and the list of reasons in `conventions` only. Start reading at
`decide.py`.

What lives here: policies, usage, adjustments, and the decision; the
README beside this file names the file of each word. What must not: anything that queries
Prometheus, SQL or the Hub.
"""
