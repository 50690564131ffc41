c.UsageConfig.prometheus_url: "http://<prometheus-service-name>.<k8s-prometheus-namespace>.svc.cluster.local"
c.UsageConfig.hub_namespace: "<k8s-hub-namespace>"
