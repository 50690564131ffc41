"""KubeSpawner's names for pods, namespaces and home directories, made by its own code.

What lives here: how names follow from KubeSpawner's options and usernames. What must not: reading a
configuration, the Hub's database or Prometheus.
"""
