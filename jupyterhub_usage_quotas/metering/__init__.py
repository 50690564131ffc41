"""Metering: what users used, as read from Prometheus, or from the session log.

`Meter` reads it, through a reader of each source. That of usage has a `SourceSync`, which reads on
from where it was and keeps a `UsageSnapshot`, everybody's usage as of an instant. Users' readings
are made of snapshots, and say by their `ScrapeCoverage` how completely they are known. `diagnosis`
finds what is wrong.

What lives here: `client/`, the client of Prometheus; `sources/`, what each source reports; and
`kubespawner/`, the names that KubeSpawner gives, by which sources identify users. What must not:
rules, names of options, and anything of the Hub.
"""
