"""Any value in any option either starts or is named in one message: never a traceback.

"Starts" is everything that a Hub, its dashboard and the commands do with options before anybody
is served. The options are those that the classes have, so that a new one is tried, too.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traitlets.config import Config

from jupyterhub_usage_quotas.config.checks.validation import remarks
from jupyterhub_usage_quotas.config.costs import (
    CostMonitor,
    cost_monitor_remarks,
    make_cost_monitor,
)
from jupyterhub_usage_quotas.config.files.earlier import NO_LONGER_NEEDED, RENAMED, SECTIONS
from jupyterhub_usage_quotas.config.quotas import CONFIGURED, QuotaOptions
from jupyterhub_usage_quotas.config.usage import UsageConfig
from jupyterhub_usage_quotas.config.viewer import UsageViewer, make_viewer, viewer_remarks
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.hub.metrics.usage import UsageGauges
from jupyterhub_usage_quotas.hub.viewer_service import environment_of, hand_over
from jupyterhub_usage_quotas.services.cost_monitor.app import (
    configured_environment,
    make_context,
)
from tests.support.certificates import Authority

SECTION = {
    "UsageConfig": UsageConfig,
    "UsageQuotaManager": QuotaOptions,
    "UsageViewer": UsageViewer,
}
OPTIONS = sorted(
    (section, name)
    for section, cls in SECTION.items()
    for name in {*cls.class_trait_names(config=True), *RENAMED.get(section, {}), *NO_LONGER_NEEDED}
    if section == "UsageConfig" or name not in UsageConfig.class_trait_names(config=True)
)
SAID_TWICE = {name for names in RENAMED.values() for name in names}
"""Other names of options, which may not be set beside them."""
TRIED: Counter[str] = Counter()

VALID = {
    "resource": "memory",
    "limit": "10 GiB-hours",
    "window": 7,
    "scope": {"everyone": True},
    "name": "x",
    "exempt": {"user": ["bob"]},
    "servers": {"profile": ["*"]},
    "share": "pooled",
    "overflow": "individual",
    "minimum_session": "1h",
    "when_exhausted": "warn",
}
"""A policy in which every field is there."""
BUDGETS = {
    "tiers": [{"tier": "gpu", "profile": ["*gpu*"]}],
    "roles": [{"role": "admin", "admin": True, "group": ["staff"], "user": ["ada"]}],
    "budgets": {"user": {"gpu": "10 hours"}},
    "starts": "sunday",
    "hour": 4,
    "timezone": "Europe/Zurich",
    "when_exhausted": "deny",
    "minimum_session": "1h",
}


# --- values -----------------------------------------------------------------------------------

HARD = [
    *(None, True, False, 0, -0.0, 1, -1, 10**400, 10**5000, 1e300, 1e-300, 1e15, 1e-9),
    *(float("nan"), float("inf"), float("-inf"), "", " ", "\0", "\n", "\ud800", "x" * 100_000),
    *("١٠٠ GiB-hours", "１００ GiB-hours", "1e-300 GiB-hours", "-0 GiB-hours", "1,5 GiB-hours"),
    *(
        "http://prometheus:port",
        "http://p:99999",
        "http://",
        "http:// p",
        "http://p\n",
        "http://p#f",
    ),
    *("http://p/api/v1", "http://p?x=1", "http://[::1", "http://user:pw@", "http://é", "http://."),
    *('a"} or vector(1) #', "hub-*", "*", "[a-", "[z-a]", "{username", "{0}", "{username!r:>9}"),
    *("sqlite://", "://", "/etc/passwd", "/dev/null", "<a>", "<script>", "enforce", "warn", "7"),
    *([], {}, [""], [[]], [{}], {"": ""}, [None], {"a": None}, ["x", 7], ["\ud800"], {"a": ["\0"]}),
    *({"username": "a", "password": 7}, {"username": "\ud800", "password": "x"}, {"region": ""}),
    *({"username": "a:b", "password": "x"}, {"X": "\r\n"}, {"X": "a"}, {"cpu": 10**5000}),
    *({"a": {"promql": " ", "unit": " "}}, {"a": {"promql": "up", "unit": "hours"}}, {"empty": 7}),
]


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


WRITABLE = [one for one in HARD if one not in (10**5000, {"cpu": 10**5000})]
HARD += [nested(39), nested(3000)]
TEXT = st.text(st.characters(), max_size=30)  # halves of characters and controls among them
KEYS = TEXT | st.sampled_from(
    [
        *VALID,
        *("value", "unit", "promql", "display_name", "group", "user", "everyone", "admin"),
        *("glob", "calendar", "refill", "every", "starts", "timezone", "profile", "gpu", "empty"),
        *("tier", "role", "user", "gpu", "tiers", "roles", "budgets", "hour", "minimum_session"),
        *("intersection", "username", "password", "region", "service", "cpu", "memory", "credits"),
    ]
)
ATOMS = (
    st.sampled_from(WRITABLE)
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXT
    | st.sampled_from(["memory", "10 GiB-hours", "week", "UTC", "1h", "min", "pooled", "jhub"])
)
ANY = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


# --- what is done with a configuration ----------------------------------------------------------


class App:
    """All of the Hub that is looked at when the dashboard is configured."""

    template_paths: tuple[str, ...] = ()
    template_vars: dict[str, Any] = {}  # noqa: RUF012
    base_url = "/"
    subdomain_host = ""
    services = load_roles = ()

    def __init__(self, config: Config) -> None:
        self.config = config

    def _template_paths_default(self) -> list[str]:
        return ["/hub"]


def start(config: Config) -> None:
    """Everything that is done with options before anybody is served."""
    before = {name: dict(options) for name, options in config.items()}
    manager = QuotaOptions(config=config)
    lines = [*remarks(config, CONFIGURED), *manager.doubts(), *viewer_remarks(config)]
    assert all(line.isprintable() for line in lines), lines
    viewer = make_viewer(config)
    for options in (manager, viewer):
        options.make_pod_names()
        meter = options.make_meter()
        assert meter
        assert "\n" not in options.shown_prometheus_url
    handed = "".join(
        part(None) for part in environment_of(hand_over(App(config), manager, viewer)).values()
    )
    again = Config(json.loads(handed))
    # What the service reads of it is what the Hub has.
    assert QuotaOptions(config=again).policies == manager.policies
    make_viewer(again)
    for policy in manager.policies:
        policy.name.encode()
        assert len(policy.name.splitlines()) == 1
    list(UsageGauges(list, manager.policies, manager.hub_namespace).collect())
    assert {name: dict(options) for name, options in config.items()} == before


def outcome(config: Config) -> str:
    """ "started", or "refused" with a message whose every line names a place and is printable."""
    try:
        start(config)
    except ConfigurationError as error:
        errors = error.errors
    else:
        return "started"
    assert errors
    for error in errors:
        assert error.isprintable(), error
        assert len(error) < 1500, error
    return "refused"


def of(section: str, name: str, value: Any) -> Config:
    config = Config()
    config[section][name] = value
    return config


# --- tests --------------------------------------------------------------------------------------


@pytest.fixture(autouse=True, scope="module")
def _how_many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    authority = Authority(tmp_path_factory.mktemp("ca"))
    with pytest.MonkeyPatch.context() as patch:
        # Every client reads the public CAs, which takes longer than all the rest.
        patch.setenv("SSL_CERT_FILE", str(authority.file))
        yield
    print(f"\nconfigurations tried: {dict(TRIED)}, in all {TRIED.total()}")


def places(errors: Sequence[str]) -> set[tuple[str, str]]:
    """The options that errors are about."""
    found = [re.match(r"(Usage\w+)\.(\w+)", error) for error in errors]
    return {(one[1], one[2]) for one in found if one}


@pytest.mark.parametrize("number", range(len(HARD)))
def test_every_hard_value_in_every_option_starts_or_is_named(number):
    value = HARD[number]
    everywhere = Config()
    for section, name in OPTIONS:
        if name not in SAID_TWICE:
            everywhere[section][name] = value
    refused = set()
    for make in (lambda: QuotaOptions(config=everywhere), lambda: make_viewer(everywhere)):
        try:
            make()
        except ConfigurationError as error:
            refused |= places(error.errors)
    TRIED["refused"] += len(refused)
    accepted = [option for option in OPTIONS if option not in refused]
    together = Config()
    for section, name in accepted:
        if name not in SAID_TWICE:
            together[section][name] = value
    TRIED["started"] += len(accepted)
    if outcome(together) == "started":
        return
    for section, name in accepted:
        if name not in NO_LONGER_NEEDED and outcome(of(section, name, value)) == "refused":
            with pytest.raises(ConfigurationError) as error:
                start(of(section, name, value))
            assert any(name in line for line in error.value.errors), error.value.errors


@settings(max_examples=150, deadline=None)
@given(option=st.sampled_from(OPTIONS), value=ANY)
def test_any_value_in_any_option_starts_or_is_named(option, value):
    TRIED[outcome(of(*option, value))] += 1


@settings(max_examples=150, deadline=None)
@given(field=st.sampled_from([*VALID, "nonsense"]), value=ANY)
def test_any_value_in_any_field_of_a_policy_starts_or_is_named(field, value):
    TRIED[outcome(of("UsageQuotaManager", "policy", [VALID | {field: value}]))] += 1


@settings(max_examples=100, deadline=None)
@given(field=st.sampled_from([*BUDGETS, "nonsense"]), value=ANY)
def test_any_value_in_any_field_of_weekly_budgets_starts_or_is_named(field, value):
    TRIED[outcome(of("UsageQuotaManager", "weekly_budgets", BUDGETS | {field: value}))] += 1


@settings(max_examples=100, deadline=None)
@given(of_what=st.sampled_from(["tiers", "roles"]), key=KEYS, value=ANY)
def test_any_value_in_a_tier_or_a_role_starts_or_is_named(of_what, key, value):
    (entry,) = BUDGETS[of_what]
    changed = BUDGETS | {of_what: [entry | {key: value}]}
    TRIED[outcome(of("UsageQuotaManager", "weekly_budgets", changed))] += 1


@settings(max_examples=60, deadline=None)
@given(options=st.lists(st.tuples(st.sampled_from(OPTIONS), ANY), min_size=2, max_size=6))
def test_any_values_together_start_or_are_named(options):
    config = Config()
    for (section, name), value in options:
        config[section][name] = value
    TRIED[outcome(config)] += 1


@settings(max_examples=30, deadline=None)
@given(section=st.sampled_from([*SECTION, *SECTIONS]), name=TEXT.filter(bool), value=ANY)
def test_an_option_of_any_name_is_named(section, name, value):
    if name[0] == name[0].upper():
        return  # traitlets takes it for a section, or for something of its own
    TRIED[outcome(of(section, name, value))] += 1


@settings(max_examples=25, deadline=None)
@given(
    value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    budgets=st.booleans(),
)
def test_any_value_in_the_variable_of_a_budget_starts_or_is_named(value, budgets):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUOTA_COLLAB_GPU_S", value)
        TRIED[outcome(of("UsageQuotaManager", "weekly_budgets", budgets))] += 1


@settings(max_examples=25, deadline=None)
@given(
    variable=st.sampled_from(["PROMETHEUS_URL", "HUB_NAMESPACE", "SESSION_SECRET_KEY"]),
    value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)
def test_any_value_in_an_environment_variable_starts_or_is_named(variable, value):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(f"JUPYTERHUB_USAGE_QUOTAS_{variable}", value)
        TRIED[outcome(of("UsageConfig", "home_storage", True))] += 1


# --- the cost monitor -----------------------------------------------------------------------------

COSTS = {
    "sources": ["prices"],
    "ledger_url": "sqlite:////costs.sqlite",
    "token": "7f3Kq-92bXz-p1Lw",
}
"""With which it starts."""
OF_COSTS = sorted({*CostMonitor.class_trait_names(config=True)})


def outcome_of_costs(name: str, value: Any) -> str:
    """As `outcome`: everything that the cost monitor does before anybody is served."""
    config = Config({"CostMonitor": COSTS | {name: value}})
    try:
        monitor = make_cost_monitor(config)
        assert all(line.isprintable() for line in cost_monitor_remarks(config))
        make_context(monitor, configured_environment(monitor, {}))
    except ConfigurationError as error:
        errors = error.errors
    else:
        return "started"
    assert any(name in line for line in errors), errors
    for line in errors:
        assert line.isprintable(), line
        assert len(line) < 1500, line
    return "refused"


def test_the_cost_monitor_starts_with_what_others_are_tried_with():
    assert outcome_of_costs("sources", ["prices"]) == "started"


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("sources", ["focus"], "CostMonitor: focus_files: "),
        ("keep_days", 2, "CostMonitor: keep_days: "),
        ("ledger_url", "", "UsageConfig: ledger_url: "),
    ],
)
def test_options_that_do_not_fit_together_are_named_in_their_section(option, value, says):
    with pytest.raises(ConfigurationError) as refused:
        make_cost_monitor(Config({"CostMonitor": COSTS | {option: value}}))
    (error,) = refused.value.errors
    assert error.startswith(says)


@pytest.mark.parametrize("name", OF_COSTS)
def test_every_hard_value_in_an_option_of_the_cost_monitor_starts_or_is_named(name):
    for value in HARD:
        TRIED[outcome_of_costs(name, value)] += 1


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(OF_COSTS), value=ANY)
def test_any_value_in_an_option_of_the_cost_monitor_starts_or_is_named(name, value):
    TRIED[outcome_of_costs(name, value)] += 1
