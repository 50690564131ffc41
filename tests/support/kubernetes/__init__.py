"""A small Kubernetes for tests: what KubeSpawner needs of an API server, pods that are processes of
this machine, and an exporter of them as kube-state-metrics is one.

    python -m tests.support.kubernetes --port 6443 --directory /tmp/cluster --namespace jhub

It is strict where Kubernetes is: names, labels and quantities are refused as there, requests
default to limits, `resourceVersion` and selectors mean the same. What it has no notion of is in
`api.py`. Its files:

    store.py          objects and their versions: list, watch, change
    admission.py      what is refused, and what is filled in
    api.py            all of that over HTTP
    kubelet.py        pods as processes
    state_metrics.py  `/metrics`, in kube-state-metrics' format
    cluster.py        starting one in a test
"""
