"""What 2i2c's dashboard could be configured with: its command line, its parts and its footer."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from jupyterhub_usage_quotas.config.viewer import make_viewer
from jupyterhub_usage_quotas.conventions import SCOPE_READ
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.quotas.usage import Fresh
from jupyterhub_usage_quotas.quotas.windows.gauge import GaugeReading
from jupyterhub_usage_quotas.services.viewer import app
from jupyterhub_usage_quotas.services.viewer.app import configured_environment
from jupyterhub_usage_quotas.services.viewer.arguments import command_line
from jupyterhub_usage_quotas.services.viewer.configuration import read_configuration
from jupyterhub_usage_quotas.services.web.early_port import EarlyPort
from jupyterhub_usage_quotas.services.web.environment import ServiceEnvironment
from jupyterhub_usage_quotas.services.web.sanitise import sanitised
from tests.support.ports import free_port
from tests.support.viewer import ACCESS, UNKNOWN, running_viewer, the_minute, token_of

GIB = 2**30
SECRET = "use-a-secure-random-key-in-production"

# The command of the service in the example configuration of that package.
PUBLISHED = [
    "--port=9000",
    "--public-hub-url=http://localhost:8000",
    "--prometheus-url=http://localhost:9090",
    "--hub-namespace=staging",
    f"--session-secret-key={SECRET}",
    "--dev-mode=false",
]


# --- the command line ---------------------------------------------------------------------------


def test_its_published_command_is_understood():
    files, options = command_line(PUBLISHED)
    configured = read_configuration({}, files, options)
    viewer = configured.viewer
    assert files == []
    assert (viewer.service_port, viewer.hub_namespace) == (9000, "staging")
    assert viewer.prometheus_url == "http://localhost:9090"
    assert viewer.session_secret == SECRET
    assert [line.partition(" is")[0] for line in configured.remarks[1:]] == [
        "UsageViewer.public_hub_url",
        "UsageViewer.dev_mode",
        "UsageViewer.session_secret_key consists of the words of an example, which others may"
        " have read, too; replace it, for example by the output of `openssl rand -hex 32`",
    ]


def test_options_of_traitlets_applications_take_precedence_over_files(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("c.UsageViewer.service_port = 1\nc.UsageConfig.hub_namespace = 'file'\n")
    files, options = command_line(
        [
            *("--config-files", str(path), f"--config-file={path}"),
            *("--UsageConfig.config_file", str(path), "--UsageViewer.service_port=9001"),
            *("--UsageViewer.enable_home_storage=False", "--UsageConfig.deadline", "7.5"),
        ]
    )
    assert files == [path, path, path]
    viewer = read_configuration({}, files, options).viewer
    assert (viewer.service_port, viewer.hub_namespace) == (9001, "file")
    assert (viewer.home_storage, viewer.deadline) == (False, 7.5)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-f", "{a}", "-f", "{b}"],
        ["-f", "{a}", "{b}"],
        ["--config-files", "{a}", "{b}"],
        ["--config-files={a}", "--config-files={b}"],
        ["--config-files=['{a}', '{b}']"],
        ["--config-files", "['{a}']", "--config-files=('{b}',)"],
        ["--UsageViewer.config_files=['{a}', '{b}']"],
        ["--UsageViewer.config_files", "('{a}','{b}')"],
        ["--UsageViewer.config_file={a}", "--UsageViewer.config_file={b}"],
    ],
)
def test_several_files_however_they_are_given(tmp_path, arguments):
    paths = {one: tmp_path / f"{one}.py" for one in "ab"}
    paths["a"].write_text("c.UsageViewer.service_port = 1\nc.UsageConfig.hub_namespace = 'a'\n")
    paths["b"].write_text("c.UsageViewer.service_port = 2\n")
    files, options = command_line([one.format(**paths) for one in arguments])
    assert files == list(paths.values())
    viewer = read_configuration({}, files, options).viewer
    assert (viewer.service_port, viewer.hub_namespace) == (2, "a")


@pytest.mark.parametrize(
    ("flag", "option"),
    [
        ("--debug", "log_level"),
        ("--show-config", "show_config"),
        ("--show-config-json", "show_config_json"),
    ],
)
def test_flags_of_any_application_are_accepted_with_one_line(flag, option):
    configured = read_configuration({}, *command_line(["--port=9000", flag]))
    assert configured.viewer.service_port == 9000
    (line,) = [one for one in configured.remarks if option in one]
    assert "is no longer needed" in line


@pytest.mark.parametrize("joined", [True, False])
def test_an_option_that_is_a_mapping(joined):
    name, text = "--UsageViewer.prometheus_auth", "{'username': 'u', 'password': 'p,\"='}"
    arguments = [f"{name}={text}"] if joined else [name, text]
    viewer = read_configuration({}, *command_line(arguments)).viewer
    assert viewer.prometheus_auth == {"username": "u", "password": 'p,"='}


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--port=nine", "UsageViewer.service_port: got 'nine'; expected a port"),
        ("--port=99999", "UsageViewer.service_port: got 99999; expected a port"),
        ("--UsageConfig.deadline=soon", "UsageConfig.deadline: got 'soon'; expected a number"),
        ("--UsageViewer.prot=1", "UsageViewer.prot: unknown option"),
        ("--prometheus-url=http://p:port", "UsageViewer.prometheus_url: wrong port"),
        ("--config-files=[7]", "7: ConfigFileNotFound"),
        ("--UsageViewer.config_files=[None]", "None: ConfigFileNotFound"),
    ],
)
def test_a_wrong_value_is_named(argument, says):
    with pytest.raises(ConfigurationError) as refused:
        read_configuration({}, *command_line([argument]))
    assert any(says in line for line in refused.value.errors), refused.value.errors


@pytest.mark.parametrize("argument", ["--prot=1", "x", "--Other.x=1", "--UsageViewer"])
def test_what_is_no_option_ends_with_the_usage(argument, capsys):
    with pytest.raises(SystemExit) as ended:
        command_line([argument])
    assert ended.value.code == 2
    assert f"unrecognized arguments: {argument}" in capsys.readouterr().err


ENVIRONMENT = {
    "JUPYTERHUB_API_TOKEN": "t",
    "JUPYTERHUB_SERVICE_URL": "http://hub:9000",
    "JUPYTERHUB_SERVICE_PREFIX": "/services/usage-quota/",
}


@pytest.mark.parametrize(
    ("options", "listens_on", "prefix"),
    [
        ({}, ("", 9000), "/services/usage-quota/"),
        ({"service_port": 9999}, ("", 9999), "/services/usage-quota/"),
        ({"service_host": "127.0.0.1"}, ("127.0.0.1", 9000), "/services/usage-quota/"),
        ({"service_host": "::"}, ("::", 9000), "/services/usage-quota/"),
        ({"service_prefix": "/base/q"}, ("", 9000), "/base/q/"),
    ],
)
def test_where_it_listens_can_be_configured(options, listens_on, prefix):
    around = ServiceEnvironment.of(ENVIRONMENT, "usage-quota")
    found = configured_environment(around, make_viewer({"UsageViewer": options}))
    assert (found.listen_on, found.prefix) == (listens_on, prefix)


# --- what it shows ------------------------------------------------------------------------------

POLICIES = [
    {"name": "week", "resource": "memory", "limit": "10 GiB-hours", "window": 7},
    {"name": "homes", "resource": "storage", "limit": "exported"},
]


@pytest.mark.parametrize(
    ("options", "shown", "home"),
    [
        ({}, ["Memory", "Home storage"], False),
        ({"enable_compute": False}, ["Home storage"], False),
        ({"enable_compute": False, "policies": []}, [], True),
        ({"policies": []}, [], True),
    ],
)
def test_the_parts_of_the_page(options, shown, home):
    options = dict(options)
    rules = [one | {"scope": {"everyone": True}} for one in options.pop("policies", POLICIES)]
    sections = {"UsageQuotaManager": {"policy": rules}, "UsageViewer": options}
    with running_viewer(sections) as viewer:
        viewer.hub.add_user("ada")
        viewer.meter.gauges = [SimpleNamespace(resource="storage")]
        level = GaugeReading((), the_minute(), None, amount=4.0 * GIB, limit=10.0 * GIB)
        viewer.meter.readings["ada"] = {"storage": Fresh(level)}
        page = BeautifulSoup(viewer.get("", token_of("ada")).text, "html.parser")
        verdicts = viewer.api("me", "ada").json()["verdicts"]
    assert [one.get_text() for one in page.select("section[data-policy] h2")] == shown
    assert (page.find(id="usage-quota-gauge-storage") is not None) == home
    assert [one["resource"] for one in verdicts] == [
        {"Memory": "memory", "Home storage": "storage"}[one] for one in shown
    ]
    says_none = page.find(string="No quota applies.") is not None
    assert says_none == (not shown and options.get("enable_compute", True))


def test_without_any_part_there_is_no_page():
    options = {"enable_compute": False, "enable_home_storage": False}
    with running_viewer({"UsageViewer": options}) as viewer:
        viewer.hub.add_user("ada")
        for path in ("", "users", "users/ada", "api/v1/me"):
            assert viewer.get(path, token_of("ada")).status_code == 404


# --- the footer ---------------------------------------------------------------------------------


def test_the_footer_is_shown_on_every_page_as_it_is_written():
    note = 'Ask <a href="https://docs.example.org/quotas">the <b>team</b></a> &amp; wait.'
    with running_viewer({"UsageViewer": {"footer_note": note}}) as viewer:
        viewer.hub.add_user("root", admin=True)
        pages = [viewer.get(path, token_of("root")).text for path in ("", "users", "nowhere")]
    for text in pages:
        found = BeautifulSoup(text, "html.parser").select_one(".usage-quota-footer-note")
        assert found.get_text() == "Ask the team & wait."
        assert found.a["href"] == "https://docs.example.org/quotas"
        assert found.b.get_text() == "team"


def test_without_a_footer_there_is_none():
    with running_viewer({}) as viewer:
        viewer.hub.add_user("ada")
        assert "usage-quota-footer-note" not in viewer.get("", token_of("ada")).text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<script>alert(1)</script>Ask us", "Ask us"),
        ('<img src=x onerror="alert(1)">Ask', "Ask"),
        ('<a href="javascript:alert(1)">us</a>', '<a rel="noopener noreferrer">us</a>'),
        ('<p onclick="x()" style="position:fixed" class="y" id="z">a</p>', "<p>a</p>"),
        ("<form action=//evil><input name=a></form>b", "b"),
        ("<iframe src=//evil></iframe><style>*{}</style>c", "c"),
        ("<svg><script>1</script></svg>d", "d"),
        ("a < b & c", "a &lt; b &amp; c"),
        ("<ul><li>one</ul>", "<ul><li>one</li></ul>"),
        (
            '<a href="mailto:a@b.org">m</a>',
            '<a href="mailto:a@b.org" rel="noopener noreferrer">m</a>',
        ),
        ("{{ 7 * 7 }}", "{{ 7 * 7 }}"),
    ],
)
def test_what_could_run_or_load_is_taken_out(written, shown):
    assert sanitised(written) == shown


@given(st.text() | st.from_regex(r"(<[a-z/!]+[ =\"'a-z:]*>?|[^<])*", fullmatch=True))
def test_whatever_is_written_nothing_but_text_and_links_is_left(written):
    page = BeautifulSoup(f"<div>{sanitised(written)}</div>", "html.parser")
    for tag in page.find_all(True):
        assert tag.name not in {
            "script",
            "style",
            "img",
            "iframe",
            "object",
            "form",
            "input",
            "svg",
        }
        assert set(tag.attrs) <= {"href", "title", "rel"}
        assert not str(tag.get("href", "")).lower().lstrip().startswith(("javascript", "data"))


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ([], True),
        (["--host=0.0.0.0"], True),
        (["--port={own}"], True),
        (["--host=127.0.0.1"], False),
        (["--port={other}"], False),
    ],
)
def test_the_port_that_was_opened_early_is_kept_where_it_is_the_configured_one(
    arguments, kept, monkeypatch
):
    own, other = free_port(), free_port()
    environment = ENVIRONMENT | {"JUPYTERHUB_SERVICE_URL": f"http://hub:{own}"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    handed = []
    monkeypatch.setattr(
        app, "run", lambda _make, around, _log, early: handed.append((around, early))
    )
    early = EarlyPort.of(environment)
    app.main([one.format(own=own, other=other) for one in arguments], early)
    ((_, given),) = handed
    try:
        assert (given is early) == kept
        # What was not kept is free.
        with socket.socket() as probe:
            assert (probe.connect_ex(("127.0.0.1", own)) == 0) == kept
    finally:
        if kept:
            early.close()


# --- its own metrics ----------------------------------------------------------------------------

METRIC = "jupyterhub_usage_quotas_service_error_total"
POLICY = {"resource": "memory", "limit": "8G", "window": 7, "scope": {"group": ["red"]}}


def with_its_metrics(**manager):
    return {
        "UsageConfig": {"hub_namespace": "prod"},
        "UsageQuotaManager": {"policy": [POLICY], "metrics_exporter_token": "t0ken"} | manager,
    }


def errors_by_user(viewer) -> dict[str, float]:
    answer = viewer.get("metrics", token_of("admin"))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    return {
        one.labels["username"]: one.value
        for family in text_string_to_metric_families(answer.text)
        for one in family.samples
        if one.name == METRIC and one.labels["namespace"] == "prod"
    }


def test_pages_without_usage_are_counted_as_it_counted_them():
    hostile = 'o"neil\n\\'
    with running_viewer(with_its_metrics()) as viewer:
        viewer.hub.add_user("admin", admin=True)
        for name in ("alice", "bob", hostile):
            viewer.hub.add_user(name, "red")
        viewer.hub.add_user("free")
        assert errors_by_user(viewer) == {}
        viewer.meter.otherwise = UNKNOWN
        for name in ("alice", "alice", hostile, "free"):
            assert viewer.get("", token_of(name)).status_code == 200
        part = {"X-Usage-Quota-Part": "1"}
        viewer.get("", token_of("alice"), headers=part)  # the open page, a minute later
        viewer.get("users/bob", token_of("admin"))  # not bob's visit
        assert errors_by_user(viewer) == {"alice": 2, hostile: 1}


def test_pages_that_fail_are_counted_too():
    with running_viewer(with_its_metrics()) as viewer:
        viewer.hub.add_user("admin", admin=True)
        viewer.hub.add_user("alice", "red")
        viewer.meter.readings = {"alice": {"memory": object()}}
        assert viewer.get("", token_of("alice")).status_code == 500
        assert errors_by_user(viewer) == {"alice": 1}


def test_who_sees_its_metrics():
    with running_viewer(with_its_metrics()) as viewer:
        viewer.hub.add_user("admin", admin=True)
        viewer.hub.add_user("alice", "red")
        viewer.hub.add_token("prometheus", "scraper", ACCESS, SCOPE_READ)
        viewer.hub.add_token("other", "other", ACCESS)
        assert viewer.get("metrics").status_code == 302
        assert viewer.get("metrics", token_of("alice")).status_code == 403
        assert viewer.get("metrics", "other").status_code == 403
        assert viewer.get("metrics", "prometheus").status_code == 200


@pytest.mark.parametrize("manager", [{"metrics_exporter_token": "t", "earlier_metrics": False}])
def test_without_the_option_there_are_none(manager):
    with running_viewer(with_its_metrics(**manager)) as viewer:
        viewer.hub.add_user("admin", admin=True)
        assert viewer.get("metrics", token_of("admin")).status_code == 404
