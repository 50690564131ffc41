"""The Hub's requests to itself, whatever it listens on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler

from jupyterhub_usage_quotas.hub.own_api import api_url, own_api


def app(bind_url="http://127.0.0.1:8081", ip="127.0.0.1", proto="http"):
    hub = SimpleNamespace(ip=ip, port=8081, base_url="/base/hub/", proto=proto)
    return SimpleNamespace(hub=hub, hub_bind_url=bind_url, internal_ssl=False)


@pytest.mark.parametrize(
    ("hub", "expected"),
    [
        (app(), "http://127.0.0.1:8081/base/hub/api/"),
        (app(ip="0.0.0.0"), "http://127.0.0.1:8081/base/hub/api/"),
        (app(ip="::"), "http://127.0.0.1:8081/base/hub/api/"),
        (app(ip="fd00::7"), "http://[fd00::7]:8081/base/hub/api/"),
        (app(ip="hub", proto="https"), "https://hub:8081/base/hub/api/"),
    ],
)
def test_where_it_is(hub, expected):
    assert api_url(hub) == expected


@pytest.mark.parametrize("scheme", ["http+unix", "unix+http"])
async def test_a_hub_that_listens_on_a_unix_socket_answers_itself(scheme, tmp_path):
    class Handler(RequestHandler):
        def get(self) -> None:
            self.finish({"servers": {}})

    server = HTTPServer(Application([("/base/hub/api/users/ada", Handler)]))
    path = tmp_path / "hub.sock"
    server.add_socket(bind_unix_socket(str(path)))
    bound = f"{scheme}://{str(path).replace('/', '%2F')}"
    async with own_api(app(bound), 60) as http:
        assert (await http.get("users/ada")).json() == {"servers": {}}
    server.stop()
