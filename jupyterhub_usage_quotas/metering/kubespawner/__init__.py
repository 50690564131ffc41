"""What KubeSpawner names pods, namespaces and home directories."""
