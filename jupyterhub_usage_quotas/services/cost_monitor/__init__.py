"""The cost monitor: what each hub, component, group and user cost, for Grafana and for programs.

What lives here: its application, the answers that dashboards read, and its own API (`api/`). What
must not: rules of costs and their sources, which are in `costs`.
"""
