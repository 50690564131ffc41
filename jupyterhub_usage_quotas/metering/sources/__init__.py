"""What each source of usage reports, and how it is seen to be alive: a file a source.

What lives here: the queries of each source, and how their answers become usage; `base` is what a
source must answer. What must not: deadlines, retries and snapshots, which are the meter's.
"""
