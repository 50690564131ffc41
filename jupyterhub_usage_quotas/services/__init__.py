"""Services: processes beside the Hub that show, and decide nothing by themselves.

What lives here: the viewer (pages and the JSON API), and what every service needs (`web`). What
must not: rules (they are in `quotas`), queries (they are in `metering`), and what runs inside the
Hub (that is in `hub`).
"""
