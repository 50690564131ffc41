"""The cost monitor's own API, for programs.

What lives here: its operations, models, and handlers. What must not: the answers that dashboards
read under the addresses of the service before (they are in `..answers`).
"""
