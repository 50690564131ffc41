"""The recording rules: valid, called as `conventions` says, and right in every case that is
written down in `charts-config/prometheus/tests`, by promtool's own reckoning.
"""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import yaml

from jupyterhub_usage_quotas import UsageQuotaManager, conventions
from tests.support.rules import (
    EXPORTED,
    EXPORTED_POD,
    FOLDER,
    RULES,
    cases_in,
    promtool,
    written,
)

FILES = (RULES, EXPORTED, EXPORTED_POD)
ALL = [pytest.param(path, id=path.stem) for path in FILES]
CASES = sorted(
    set((FOLDER / "tests").glob("*.yaml")) - set((FOLDER / "tests").glob("alerts-*.yaml"))
)
CASES_OF_THE_FIRST = [path for path in CASES if not path.stem.startswith("exported-")]

MIXES = {
    "all": (EXPORTED, ("namespace", "pod", "container")),
    "the namespace": (EXPORTED, ("namespace",)),
    "the namespace and the pod": (EXPORTED, ("namespace", "pod")),
    "the namespace and the container": (EXPORTED, ("namespace", "container")),
    "the pod": (EXPORTED_POD, ("pod",)),
    "the pod and the container": (EXPORTED_POD, ("pod", "container")),
    "the container": (RULES, ("container",)),
}
"""Which labels are renamed, and the rules for that."""


def rules_of(path: Path) -> dict[str, str]:
    """The expressions of a rules file, by what they record."""
    (group,) = yaml.safe_load(path.read_text())["groups"]
    return {rule["record"]: rule["expr"] for rule in group["rules"]}


def plain(expression: str) -> str:
    """An expression without comments and layout."""
    return "".join(re.sub(r"#.*", "", expression).split())


def failures(directory: Path, cases: list[Path], rules: Path) -> str:
    """What promtool says of these cases with other rules than their own; empty where they hold."""
    documents = []
    for number, path in enumerate(cases):
        document = {**cases_in(path), "rule_files": [str(rules)]}
        documents.append(written(directory / f"case-{number}.yaml", document))
    done = promtool("test", "rules", *documents)
    return (done.stdout + done.stderr) if done.returncode else ""


# --- the rules ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ALL)
def test_the_rules_are_valid(path):
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", path)
    assert done.returncode == 0, done.stderr
    assert "3 rules found" in done.stdout


@pytest.mark.parametrize("path", ALL)
def test_they_are_evaluated_every_minute(path):
    (group,) = yaml.safe_load(path.read_text())["groups"]
    assert group["interval"] == "1m"


@pytest.mark.parametrize("path", ALL)
def test_their_names_are_those_of_the_conventions(path):
    requests, seen = conventions.RECORDED_REQUESTS, conventions.RECORDED_SEEN
    expressions = rules_of(path)
    assert list(expressions) == [requests, conventions.RECORDED_BRIEF, seen]
    labels = ",".join(conventions.SERVER_LABELS)
    assert plain(expressions[requests]).startswith(f"sumby({labels})(")
    assert plain(expressions[seen]).startswith("groupby(namespace)(")
    metrics = {conventions.KSM_REQUESTS, conventions.KSM_ANNOTATIONS, conventions.KSM_PHASE}
    assert set(re.findall(r"\bkube_\w+", expressions[requests])) == {
        *metrics,
        conventions.KSM_DELETION,
        conventions.KSM_INIT_REQUESTS,
        conventions.KSM_INIT_CONTAINERS,
    }
    assert set(re.findall(r"\bannotation_\w+", expressions[requests])) == {
        conventions.KSM_USERNAME_LABEL,
        conventions.KSM_SERVERNAME_LABEL,
        conventions.KSM_PROFILE_LABEL,
        conventions.KSM_PROFILE_NAME_LABEL,
    }
    assert set(re.findall(r"\bkube_\w+", expressions[seen])) == metrics
    assert f'container="{conventions.NOTEBOOK_CONTAINER}"' in expressions[seen]


@pytest.mark.parametrize("path", ALL)
def test_what_brief_servers_requested_is_the_first_rule_over_a_minute(path):
    rules = rules_of(path)
    first, brief = rules[conventions.RECORDED_REQUESTS], rules[conventions.RECORDED_BRIEF]
    known = re.sub(
        r"(kube_pod_(?:annotations|(?:init_)?container_\w+)({[^}]*})?)",
        r"max_over_time(\1[1m])",
        first,
    )
    (phase,) = set(re.findall(r"kube_pod_status_phase{[^}]*}", first))
    pod = re.search(r"\*\s*on \(([^)]*)\)", first)[1]
    at_its_end = (
        f"and on ({pod}) ({phase} == 1)unless on ({pod}) (kube_pod_deletion_timestamp <= time())"
    )
    in_between = f" unless on ({pod}) ".join(
        (
            f"and on ({pod}) (max_over_time({phase}[1m]) == 1",
            f"({phase} == 1)",
            f"({phase} offset 1m == 1)",
            "(min_over_time(kube_pod_deletion_timestamp[1m]) <= time() - 60))",
        )
    )
    assert plain(at_its_end) in plain(known)
    assert plain(brief) == plain(known).replace(plain(at_its_end), plain(in_between))


@pytest.mark.parametrize("path", ALL)
def test_gpus_are_the_resources_of_the_default_configuration(path):
    """As kube-state-metrics writes them, "_" for every sign."""
    names = [re.sub(r"[^\w*?]", "_", name) for name in UsageQuotaManager().gpu_resources]
    pattern = "|".join(names).replace("*", ".*").replace("?", ".")
    selected = set(
        re.findall(r'resource=~"([^"]+)"', rules_of(path)[conventions.RECORDED_REQUESTS])
    )
    assert selected == {"memory|cpu", pattern}


def test_what_is_recorded_is_documented():
    page = (FOLDER.parent.parent / "docs/reference/recording-rules.md").read_text()
    for name in rules_of(RULES):
        assert f"| `{name}` |" in page
    for label in conventions.SERVER_LABELS:
        assert f"`{label}`" in page
    for path in FILES:
        assert path.name in page


def renamed(expression: str, *labels: str) -> str:
    """An expression about labels as Prometheus renames them without `honor_labels`."""
    text = re.sub(rf"(?<!exported_)\b({'|'.join(labels)})(?=[,)])", r"exported_\1", expression)
    for label in labels:
        text = text.replace(f'exported_{label}=""', f'exported_{label}!=""')
    return text


def test_the_file_for_renamed_pods_is_the_first_with_them_renamed():
    first, other = rules_of(RULES), rules_of(EXPORTED_POD)
    assert {name: plain(text) for name, text in other.items()} == {
        name: plain(renamed(text, "pod")) for name, text in first.items()
    }


def test_the_file_for_renamed_namespaces_is_the_first_with_the_labels_renamed():
    first, second = rules_of(RULES), rules_of(EXPORTED)
    back = '"namespace", "$1", "exported_namespace", "(.*)"'
    by = f"sum by ({', '.join(conventions.SERVER_LABELS)})"
    # Where the namespace is renamed, a pod is told by its uid if its name is not renamed.
    labels = ("namespace", "pod")
    texts = {name: text.replace('exported_pod="", ', "") for name, text in first.items()}
    for name in (conventions.RECORDED_REQUESTS, conventions.RECORDED_BRIEF):
        inner = plain(texts[name]).removeprefix(plain(f"{by} (")).removesuffix(plain(") > 0"))
        assert plain(second[name]) == plain(
            f"{by} (label_replace({renamed(inner, *labels)}, {back})) > 0"
        )
    assert plain(second[conventions.RECORDED_SEEN]) == plain(
        "group by (namespace) (label_replace("
        f"{renamed(plain(texts[conventions.RECORDED_SEEN]), *labels)}, {back}))"
    )


# --- the cases ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_case_holds(path):
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def exported(series: str, labels: tuple[str, ...]) -> str:
    """The same series from a scrape without `honor_labels`, with these labels of its target."""
    instance = re.search(r'instance="(\w+)"', series)
    own = {"namespace": "monitoring", "pod": f"ksm-{instance[1] if instance else 0}"}
    target = ", ".join(f'{label}="{own.get(label, "ksm")}"' for label in labels)
    moved = re.sub(rf"([{{ ])({'|'.join(labels)})=", r"\1exported_\2=", series)
    return moved.replace("{", "{" + target + ", ", 1)


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("path", CASES_OF_THE_FIRST, ids=lambda path: path.stem)
def test_every_case_holds_with_labels_renamed(path, mix, tmp_path):
    rules, labels = MIXES[mix]
    document = copy.deepcopy(cases_in(path))
    cases = [case for case in document["tests"] if "renamed" not in case["name"]]
    for case in cases:
        for one in case["input_series"]:
            one["series"] = exported(one["series"], labels)
    path = written(tmp_path / "renamed.yaml", document | {"tests": cases})
    assert failures(tmp_path, [path], rules) == ""


def test_every_case_has_a_name_of_its_own():
    names = [case["name"] for path in CASES for case in cases_in(path)["tests"]]
    assert len(names) == len(set(names)) > 0


# --- these tests themselves ---------------------------------------------------------------------

IDENTITY = "namespace, pod, uid"
EACH = f"{IDENTITY}, container, exported_container"


@pytest.mark.parametrize(
    ("part", "instead", "cases"),
    [
        (f"max by ({EACH}, resource)", f"sum by ({EACH}, resource)", "brief"),
        (f"max by ({EACH}, resource)", f"max by ({IDENTITY}, resource)", "brief"),
        (f"max by ({EACH}, resource)", f"max by ({IDENTITY}, container, resource)", "counted-once"),
        (f"max by ({EACH}, resource)", f"max by ({EACH}, node)", "brief"),
        (f"topk by ({IDENTITY}) (1,", "sort(", "counted-once"),
        (f"group by ({IDENTITY}) (kube_pod_annotations)", "kube_pod_annotations", "gpus"),
        (f"or on ({IDENTITY})", "or", "brief"),
        ("namespace, pod, uid", "namespace, pod", "brief"),
        ("namespace, pod, uid", "namespace, uid, node", "brief"),
        ("(?s)(.*)", "(.*)", "users"),
        ("(?s)(.*)", "(.+?)", "users"),
        (" == 1", "", "brief"),
        ("<= time()", "<= time() - 60", "brief"),
        ("<= time()", "<= time() + 60", "brief"),
        ("<= time() - 60", "<= time()", "brief"),
        ("<= time() - 60", "<= time() - 120", "brief"),
        (" offset 1m == 1", " offset 2m == 1", "brief"),
        (" offset 1m == 1", " == 1", "brief"),
        ("[1m]", "[2m]", "brief"),
        ("[1m]", "[30s]", "brief"),
        (
            "unless on (namespace, pod, uid) (kube_pod_deletion",
            "unless on () (kube_pod_deletion",
            "running",
        ),
        ('phase="Running"', 'phase=~"Running|Pending"', "running"),
        ('phase="Running"', 'phase=~"Running|Succeeded"', "running"),
        ('phase="Running"', 'phase=~"Running|Failed"', "running"),
        ('phase="Running"', 'phase=~"Running|Unknown"', "running"),
        ('exported_namespace=""', 'uid!=""', "evidence"),
        ('exported_pod=""', 'uid!=""', "evidence"),
        ('exported_uid=""', 'uid!=""', "evidence"),
        ('{annotation_hub_jupyter_org_username!=""}', "", "brief"),
        ("|nvidia_com_mig_.*", "", "gpus"),
        ("|amd_com_gpu", "", "gpus"),
        ("|gpu_intel_com_i915", "", "gpus"),
        ("|gpu_intel_com_xe", "", "gpus"),
        ("gpu_intel_com_i915", "gpu_intel_com_.*", "gpus"),
        ("|nvidia_com_gpu_shared", "", "gpus"),
        ("|amd_com_.px_nps.", "", "gpus"),
        ("amd_com_.px_nps.", "amd_com_.*", "gpus"),
        ("|habana_ai_gaudi", "", "gpus"),
        ("|google_com_tpu", "", "gpus"),
        ("|aws_amazon_com_neuron", "", "gpus"),
        ("|huawei_com_Ascend...", "", "gpus"),
        ("|huawei_com_Ascend....", "", "gpus"),
        ("|huawei_com_Ascend.....", "", "gpus"),
        ("|huawei_com_Ascend.*_.c.*", "", "gpus"),
        ("|huawei_com_Ascend.*_..c.*", "", "gpus"),
        ("huawei_com_Ascend...", "huawei_com_Ascend.*", "gpus"),
        ('"nvidia_com_gpu|', '"nvidia_com_gpu.*|', "gpus"),
        ('"memory|cpu"', '"memory|cpu|ephemeral_storage"', "running"),
        ('"memory|cpu"', '"memory"', "counted-once"),
        ('"memory|cpu"', '".*"', "brief"),
        ('"gpu", "true"', '"gpu", "false"', "brief"),
        (") > 0", ")", "gpus"),
        ('restart_policy="Always"', 'uid!=""', "running"),
        ("and on (namespace, pod, uid, container, exported_container)", "and on (uid)", "running"),
        ("sum by (namespace, username", "max by (namespace, username", "brief"),
        ("sum by (namespace, username", "sum by (username", "brief"),
        ("username, servername, profile", "username, profile", "brief"),
        ("and on (namespace)", "or on (namespace)", "evidence"),
        ("and on (namespace)", "and on ()", "evidence"),
    ],
)
def test_a_rule_without_a_part_of_it_would_be_found(part, instead, cases, tmp_path):
    """By these cases, among others: to run all of them takes many times as long."""
    text = RULES.read_text()
    assert part in text
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace(part, instead))
    assert promtool("check", "rules", broken).returncode == 0
    assert "FAILED" in failures(tmp_path, [FOLDER / f"tests/{cases}.yaml"], broken)
