"""Every name that something outside this package depends on, in one place.

Metrics, labels, annotations and environment variables are interfaces: dashboards, alerts and
deployments are written against them. Change one only with a note in the changelog.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Final

__version__ = "1.0.0.dev0"
"""The version of this package: the one place, which the build reads."""
DISTRIBUTION: Final = "jupyterhub-usage-quotas"
"""The name of this package for pip. An older package of other authors has the same name."""

# --- what kube-state-metrics exports ------------------------------------------------------------
KSM_REQUESTS: Final = "kube_pod_container_resource_requests"
KSM_ANNOTATIONS: Final = "kube_pod_annotations"
KSM_CONTAINERS: Final = "kube_pod_container_info"
KSM_INIT_REQUESTS: Final = "kube_pod_init_container_resource_requests"
KSM_INIT_CONTAINERS: Final = "kube_pod_init_container_info"
"""Its label `restart_policy` is "Always" for sidecars; kube-state-metrics 2.10 has none."""
KSM_PHASE: Final = "kube_pod_status_phase"
KSM_DELETION: Final = "kube_pod_deletion_timestamp"
"""When a pod that is being deleted will be gone, its grace period included, in Unix seconds."""
KSM_FIRST_REQUESTS: Final = (
    "kube_pod_container_resource_requests_memory_bytes",
    "kube_pod_container_resource_requests_cpu_cores",
)
"""What kube-state-metrics 1 exported, and no later one does."""
HUB_POD: Final = "(.*-)?hub-[a-z0-9]+-[a-z0-9]{5}"
"""Names of the Hub's own pods: Zero to JupyterHub runs it as a Deployment called hub."""
KSM_USERNAME_LABEL: Final = "annotation_hub_jupyter_org_username"
"""The label of the pod annotation `hub.jupyter.org/username`, which KubeSpawner sets."""

NOTEBOOK_CONTAINER: Final = "notebook"
"""KubeSpawner's name for the container of a user's server, in every pod."""

ANNOTATION_PROFILE: Final = "hub.jupyter.org/profile"
"""The slug of the chosen profile; the spawn hook puts it on the pod, KubeSpawner does not."""
ANNOTATION_PROFILE_NAME: Final = "hub.jupyter.org/profile-name"
"""The display name of the chosen profile, from the spawn hook likewise."""
KSM_SERVERNAME_LABEL: Final = "annotation_hub_jupyter_org_servername"
KSM_PROFILE_LABEL: Final = "annotation_hub_jupyter_org_profile"
KSM_PROFILE_NAME_LABEL: Final = "annotation_hub_jupyter_org_profile_name"

# --- what exporters of home storage say -----------------------------------------------------------
HOME_SIZE: Final = "dirsize_total_size_bytes"
"""The size of a directory; from jupyterhub-home-nfs and prometheus-dirsize-exporter."""
HOME_LIMIT: Final = "dirsize_hard_limit_bytes"
"""Its hard limit, 0 for none; from jupyterhub-home-nfs only."""

DOCKER_GPU: Final = "gpu"
"""The capability by which Docker's device requests mean GPUs."""

# --- what the Hub exports about running servers (usage_source: hub) ------------------------------
SERVER_REQUESTS: Final = "jupyterhub_usage_quotas_server_requests"
"""Gauge: what a running server requests; labels as in SERVER_LABELS; bytes, cores, GPUs, 1."""
SERVER_LABELS: Final = (
    "namespace",
    "username",
    "servername",
    "profile",
    "profile_name",
    "gpu",
    "resource",
)
GPU_LABELS: Final = MappingProxyType({"true": True, "false": False})
"""What the label `gpu` says of a server; it is empty where that is not known."""
EXPORTER_INFO: Final = "jupyterhub_usage_quotas_exporter_info"
"""Gauge, always 1: evidence that the Hub was scraped, even when no server runs."""
SERVERS_UNKNOWN: Final = "jupyterhub_usage_quotas_servers_unknown"
"""Gauge: how many servers run of which it is not known what they request."""

# --- what jupyterhub-groups-exporter exports -----------------------------------------------------
USER_GROUP_INFO: Final = "jupyterhub_user_group_info"
"""A series for each user and group that they are in, with labels `username` and `usergroup`."""

# --- what Prometheus records (usage_source: recorded) --------------------------------------------
RECORDED_REQUESTS: Final = "jupyterhub_usage_quotas:server_requests"
"""What each user's running servers ask for; labels as in SERVER_LABELS; bytes, cores, GPUs, and 1
for each pod.
"""
RECORDED_BRIEF: Final = "jupyterhub_usage_quotas:brief_server_requests"
"""The same of each user's servers that ran in the minute before, and at neither end of it."""
RECORDED_SEEN: Final = "jupyterhub_usage_quotas:source_seen"
"""Always 1, by namespace: evidence that kube-state-metrics was scraped."""

# --- what the Hub exports about itself -----------------------------------------------------------
DECISIONS: Final = "jupyterhub_usage_quotas_decisions_total"
FAILOVERS: Final = "jupyterhub_usage_quotas_failovers_total"
WARNINGS: Final = "jupyterhub_usage_quotas_warnings_total"
PROMETHEUS_REQUESTS: Final = "jupyterhub_usage_quotas_prometheus_requests_total"
PROMETHEUS_SECONDS: Final = "jupyterhub_usage_quotas_prometheus_request_duration_seconds"
USAGE_AGE: Final = "jupyterhub_usage_quotas_usage_age_seconds"
REFRESHES: Final = "jupyterhub_usage_quotas_refreshes_total"
HISTORY: Final = "jupyterhub_usage_quotas_history_seconds"
COVERAGE: Final = "jupyterhub_usage_quotas_history_coverage_ratio"
PODS_WITHOUT_USER: Final = "jupyterhub_usage_quotas_pods_without_user"
LEDGER_AGE: Final = "jupyterhub_usage_quotas_ledger_age_seconds"
LEDGER_FAILURES: Final = "jupyterhub_usage_quotas_ledger_failures_total"
LEDGER_ENTRIES: Final = "jupyterhub_usage_quotas_ledger_entries_total"
ADJUSTMENTS: Final = "jupyterhub_usage_quotas_adjustments"
GUARD_STOPS: Final = "jupyterhub_usage_quotas_guard_stops_total"
GUARD_NOTICES: Final = "jupyterhub_usage_quotas_guard_notices_total"
GUARD_SERVERS: Final = "jupyterhub_usage_quotas_guard_servers"
GUARD_STOPS_PENDING: Final = "jupyterhub_usage_quotas_guard_stops_pending"
GUARD_STOPS_SLOW: Final = "jupyterhub_usage_quotas_guard_stops_slow"
GUARD_SECONDS: Final = "jupyterhub_usage_quotas_guard_round_seconds"
GUARD_ROUNDS: Final = "jupyterhub_usage_quotas_guard_rounds_total"
NOTICE_DELIVERIES: Final = "jupyterhub_usage_quotas_notice_deliveries_total"
NOTICES_WAITING: Final = "jupyterhub_usage_quotas_notices_waiting"
SESSION_LOG_AGE: Final = "jupyterhub_usage_quotas_session_log_age_seconds"
SESSION_LOG_FAILURES: Final = "jupyterhub_usage_quotas_session_log_failures_total"
SESSIONS_UNWRITTEN: Final = "jupyterhub_usage_quotas_sessions_unwritten"
SESSIONS_DROPPED: Final = "jupyterhub_usage_quotas_sessions_dropped"
BUILD_INFO: Final = "jupyterhub_usage_quotas_build_info"
"""Gauge, always 1; the labels `version` and `documentation_url` carry the information."""
SCRAPE_INTERVAL: Final = "jupyterhub_usage_quotas_scrape_interval_seconds"

# --- what the cost monitor exports ---------------------------------------------------------------
COST_REQUESTS: Final = "jupyterhub_usage_quotas_cost_explorer_requests_total"
"""Counter: requests to AWS Cost Explorer, which cost a cent each, by `outcome`."""
COST_STATE: Final = "jupyterhub_usage_quotas_cost_source_state"
"""Gauge: 1 for the state of each source of costs, 0 for its others; labels `source`, `state`."""
COST_UNTIL: Final = "jupyterhub_usage_quotas_costs_known_until_seconds"
"""Gauge: until when costs are known, in Unix seconds; by `source`."""
COST_HTTP: Final = "jupyterhub_usage_quotas_cost_monitor_http_requests_total"
"""Counter: requests to the cost monitor; labels `method`, `code` and `endpoint`."""

# --- what JSON says of users ----------------------------------------------------------------------
HOME_STORAGE: Final = "storage"
"""The resource that JSON has among `gauges`, and as `home_storage`, too."""

# --- what the Hub exports about users' usage -----------------------------------------------------
USED: Final = "jupyterhub_usage_quotas_used"
LIMIT: Final = "jupyterhub_usage_quotas_limit"
REMAINING: Final = "jupyterhub_usage_quotas_remaining"
USERS: Final = "jupyterhub_usage_quotas_users"
"""How many users there are, by whether their usage is `exported`."""
BY_GROUP_METRICS: Final = MappingProxyType(
    {
        "memory": (
            "jupyterhub_memory_usage_byte_hours_total",
            "jupyterhub_memory_limit_byte_hours_total",
        ),
        "cpu": (
            "jupyterhub_cpu_usage_core_hours_total",
            "jupyterhub_cpu_limit_core_hours_total",
        ),
    }
)
"""Usage and limit by groups and window, and not by policy, by resource: dashboards use these."""

# --- the same as 2i2c's package names it (earlier_metrics) ---------------------------------------
EARLIER_USAGE_METRICS: Final = MappingProxyType(
    {
        "memory": BY_GROUP_METRICS["memory"],
        "cpu": (
            "jupyterhub_cpu_usage_cpu_hours_total",
            "jupyterhub_cpu_limit_cpu_hours_total",
        ),
    }
)
"""Usage and limit, by resource."""
EARLIER_FAIL_OPEN: Final = "jupyterhub_usage_quotas_fail_open_total"
EARLIER_PROMETHEUS_ERROR: Final = "jupyterhub_usage_quotas_prometheus_error_total"
EARLIER_HUB_ERROR: Final = "jupyterhub_usage_quotas_hub_api_error_total"
EARLIER_SERVICE_ERROR: Final = "jupyterhub_usage_quotas_service_error_total"
"""On the dashboard's own `metrics`."""


class Reason(enum.StrEnum):
    """Why usage is not known, or out of date: the `reason` label of `FAILOVERS`, the `outcome`
    of `PROMETHEUS_REQUESTS` and `REFRESHES`, and `reason` in JSON. What each means is in
    docs/reference/check.md.
    """

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    UNAUTHORIZED = "unauthorized"
    UNAVAILABLE = "unavailable"
    QUERY_REJECTED = "query_rejected"
    SERVERS_UNKNOWN = "servers_unknown"
    BAD_ANSWER = "bad_answer"
    PARTIAL_ANSWER = "partial_answer"
    NOT_SCRAPED = "not_scraped"
    STALE = "stale"
    METRIC_MISSING = "metric_missing"
    NOT_READ_YET = "not_read_yet"  # only pages wait for that
    NOT_MEASURED = "not_measured"
    BAD_USERNAME = "bad_username"
    REQUEST_UNKNOWN = "request_unknown"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    INTERNAL_ERROR = "internal_error"


class StopOutcome(enum.StrEnum):
    """What came of stopping a running server: the `outcome` label of `GUARD_STOPS`."""

    STOPPED = "stopped"
    SLOW = "slow"  # it was still stopping when the request was answered, and then did
    NOT_STOPPED = "not_stopped"  # the Hub gave up, or the server still runs
    CHANGED_MIND = "changed_mind"  # right before the request it was not over, or that was not known
    ANOTHER = "another"  # it was started anew, is starting, or is gone
    FAILED = "failed"  # the request
    SHADOW = "shadow"  # it would have been requested


# --- environment variables -----------------------------------------------------------------------
ENV_PROMETHEUS_URL: Final = "JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_URL"
ENV_PROMETHEUS_USERNAME: Final = "JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_USERNAME"
ENV_PROMETHEUS_PASSWORD: Final = "JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_PASSWORD"  # noqa: S105 a name, not a secret
ENV_HUB_NAMESPACE: Final = "JUPYTERHUB_USAGE_QUOTAS_HUB_NAMESPACE"
ENV_SESSION_SECRET_KEY: Final = "JUPYTERHUB_USAGE_QUOTAS_SESSION_SECRET_KEY"  # noqa: S105 a name, not a secret
ENV_COST_MONITOR_TOKEN: Final = "JUPYTERHUB_USAGE_QUOTAS_COST_MONITOR_TOKEN"  # noqa: S105 a name, not a secret
ENV_WEEKLY_BUDGET: Final = "QUOTA_{role}_{tier}_S"
ENV_CREDITS: Final = "JUPYTERHUB_CREDITS_{name}"
"""The budget of a week, in seconds, for example QUOTA_USER_GPU_S. Deployments have these names."""
BUDGET_ROLES: Final = ("user", "admin", "collab")
BUDGET_TIERS: Final = ("cpu", "gpu")
"""Their roles and tiers; everybody and every server without another has the first."""
ENV_HANDED_OVER: Final = "JUPYTERHUB_USAGE_QUOTAS_HANDED_OVER"
"""The configuration that the Hub passes to a service that it runs, as JSON: in `..._0`, and in
`..._1` and so on where one variable cannot hold all of it.
"""
ENV_HUB_PID: Final = "JUPYTERHUB_USAGE_QUOTAS_HUB_PID"
"""The process id of the Hub that runs a service: the service ends when that process has ended."""
ENV_POD_NAMESPACE: Final = "POD_NAMESPACE"
"""Set in the Hub's pod by Zero to JupyterHub."""
POD_NAMESPACE_FILE: Final = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

# --- what JupyterHub gets when a launch is denied ---------------------------------------------
SPAWN_FAILURE_REASON: Final = "usage_quota"
"""The `reason` label of JupyterHub 6's spawn duration metric."""

# --- the guard of running servers, as the Hub knows it -------------------------------------------
GUARD_SERVICE: Final = "usage-quota-guard"
"""The name of the service with whose token the Hub's own API is asked to stop servers."""
GUARD_ROLE: Final = "usage-quota-guard"
GUARD_SCOPES: Final = ("delete:servers", "read:servers")

# --- the viewer, as the Hub knows it -------------------------------------------------------------
VIEWER_SERVICE: Final = "usage-quota"
"""The name of the service, and so the end of its address: `/services/usage-quota/`."""
VIEWER_MODULE: Final = "jupyterhub_usage_quotas.services.usage_viewer"
COST_MONITOR_SERVICE: Final = "cost-monitor"
COST_MONITOR_ROLE: Final = "usage-quotas-cost-monitor"
COST_MONITOR_MODULE: Final = "jupyterhub_usage_quotas.services.cost_monitor"
VIEWER_ROLE: Final = "usage-quota-viewer"
"""The role with which the viewer queries the Hub about users."""
SCOPE_READ: Final = "custom:usage-quotas:read"
"""The scope to see usage and quotas; `!user=` and `!group=` limit it."""
SCOPE_GRANT: Final = "custom:usage-quotas:grant"
"""The scope to give users more than their quotas; `!user=` and `!group=` limit it."""

# --- what the Hub answers itself ------------------------------------------------------------------
HUB_API: Final = "usage-quotas"
"""Below the Hub's `api/`."""
SCOPE_SWITCH: Final = "custom:usage-quotas:switch"
"""The scope to have a server started again with another profile; `!user=` and `!server=` limit it.
Each server's own token has it for that server.
"""
