"""What was used, as its sources recorded it.

`Meter` brings it: it asks a reader of each source. That of usage has a `SourceSync`, which reads on
from where it was and keeps a `UsageSnapshot`, everybody's usage as of an instant. Users' readings
are made of snapshots, and say by their `ScrapeCoverage` how completely they are known. `diagnosis`
finds what is wrong.

What lives here: `client/`, how a Prometheus is asked; `sources/`, what each source reports; and
`kubespawner/`, the names that KubeSpawner gives, by which sources tell users apart. What must not:
rules, names of options, and anything of the Hub.
"""
