"""The sources of usage, a file each: what each reports, and the evidence that it is scraped.

What lives here: the queries of each source, and how their answers become usage; `base` is what a
source must answer, and `session_log` is the Hub's own record, which needs no query. What must not:
deadlines, retries and snapshots, which are the meter's.
"""
