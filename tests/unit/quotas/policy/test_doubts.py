"""What can hardly be meant is refused where it cannot work, and doubted where it can."""

from __future__ import annotations

import pytest

from jupyterhub_usage_quotas.quotas.policy.doubts import doubts, limits_without_unit
from jupyterhub_usage_quotas.quotas.policy.errors import InvalidPolicies
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.resources import RESOURCES

FINE = {"name": "x", "resource": "memory", "limit": "10 GiB-hours", "window": 7}
FINE |= {"scope": {"everyone": True}}
TIME = {"resource": "time", "limit": "10 hours"}


def error(resources: object = None, **changes: object) -> str:
    with pytest.raises(InvalidPolicies) as refused:
        parse_policies([FINE | changes], resources=resources)
    (one,) = refused.value.errors
    return str(one)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        # numbers
        ({"limit": "١٠٠ GiB-hours"}, "does not start with a number: got '١٠٠ GiB-hours'"),
        ({"limit": "１００ GiB-hours"}, "does not start with a number"),
        ({"window": "٧ days"}, "does not start with a number"),
        ({"limit": "1e-300 GiB-hours"}, "too small to mean anything"),
        ({"limit": {"value": 1e-300, "unit": "GiB-hours"}}, "too small to mean anything"),
        ({"limit": "-0 GiB-hours"}, "must not be negative: got '-0 GiB-hours'"),
        ({"limit": -0.0}, "must not be negative: got -0.0"),
        ({"limit": "1,5 GiB-hours"}, "has a decimal comma: got '1,5 GiB-hours'; expected '1.5 GiB"),
        ({"limit": 10**5000}, "too large to mean anything"),
        ({"limit": {"value": 10**5000, "unit": "GiB-hours"}}, "too large to mean anything"),
        ({"window": 10**5000}, "out of range"),
        ({"window": {"refill": 10**5000, "every": "1h"}}, "too large to mean anything"),
        ({"window": {"calendar": "month", "starts": 10**5000}}, "expected a number from 1 to 31"),
        ({"limit": "9" * 100_000}, "does not start with a number"),
        # what cannot work
        ({"window": {"refill": 0.001, "every": "3000 days"}}, "refill is too small to fill the"),
        ({"window": {"refill": 1e-300, "every": "1 minute"}}, "refill is too small to fill the"),
        (
            {"limit": 0, "window": {"refill": 1e-308, "every": "1 minute"}},
            "refill is too small to fill the",
        ),
        (
            {"limit": 0, "window": {"refill": 5e-324, "every": "1 minute"}},
            "refill is too small to fill the",
        ),
        # names
        ({"name": "half \ud800"}, "name that is not one line of text: got 'half \\ud800'"),
        ({"name": "nul \0"}, "name that is not one line of text"),
        ({"name": "two\nlines"}, "name that is not one line of text"),
        ({"name": "line\u2028separator"}, "name that is not one line of text"),
        ({"name": "x" * 100_000}, "name of 100000 characters"),
        ({"scope": {"group": ["half \ud800"]}}, "scope.group: must be a list of names"),
        ({"scope": {"user": [12345]}}, "a name of digits needs quotes: '12345'"),
        # patterns
        ({"scope": {"user": [{"glob": "[z-a]"}]}}, "pattern with an empty range: got '[z-a]'"),
        ({"scope": {"user": [{"glob": "[a-"}]}}, "pattern with a [ that no ] closes: got '[a-'"),
        ({"exempt": {"group": [{"glob": "a[!"}]}}, "pattern with a [ that no ] closes"),
        (
            {"servers": {"profile": [""]}},
            "servers.profile: empty pattern, which matches no profile",
        ),
        (
            {"servers": {"except_profile": ["x", ""]}},
            "servers.except_profile: empty pattern, which matches no profile",
        ),
        ({"scope": {"admin": False}}, "scope.admin: can only be true: got False"),
        ({"scope": {}}, "{admin: true} or {everyone: true}"),
        ({"servers": {"profile": ["[z-a"]}}, "pattern with a [ that no ] closes"),
        ({"servers": {"name": ["x[9-0]"]}}, "pattern with an empty range"),
        # a close match instead of a wall
        ({"resource": "memroy"}, "unknown resource: got 'memroy'; did you mean memory?"),
        ({"windows": 7}, "windows: unknown key; did you mean window?"),
        ({"scope": {"usr": ["a"]}}, "scope.usr: unknown key; did you mean user?"),
    ],
)
def test_what_cannot_work_is_refused(changes, says):
    assert says in error(**changes)


@pytest.mark.parametrize(
    "pattern", ["[[]a", "[]]", "[!]]", "a]", "[a-c]*", "[z-ab]", "*", "x?", "GPU [A100]"]
)
def test_patterns_that_can_match_are_accepted(pattern):
    parse_policies([FINE | {"servers": {"profile": [pattern]}}])
    parse_policies([FINE | {"scope": {"user": [{"glob": pattern}]}}])


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ({"promql": "up", "unit": " "}, "wrong definition"),
        ({"promql": " ", "unit": "seat"}, "wrong definition"),
        ({"promql": "up", "unit": "hours"}, "wrong unit: got 'hours'"),
        ({"promql": "up", "unit": "seat-hours"}, "wrong unit: got 'seat-hours'"),
        ({"promql": "up", "unit": "7 seats"}, "wrong unit"),
        ({"promql": "up", "unit": "seat\n"}, ""),
        ({"promql": "up\0", "unit": "seat"}, "promql that Prometheus cannot read"),
        ({"promql": "up\ud800", "unit": "seat"}, "promql that Prometheus cannot read"),
        ({"promql": "up", "unit": "seat", "display_name": "a\nb"}, "display_name that is not one"),
    ],
)
def test_a_resource_is_something_that_can_be_counted(definition, says):
    if not says:
        assert parse_policies([], resources={"seats": definition}).resources["seats"]
        return
    assert says in error(resources={"seats": definition})


LOWER = "makes usernames lower case"
GPU = {"resource": "gpu", "limit": "10 GPU-hours", "servers": {"gpu": True}}
LITERALLY = "is taken literally"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"scope": {"user": [" alice "]}}, ["' alice ' has space around it"]),
        ({"scope": {"group": ["students "]}}, ["'students ' has space around it"]),
        ({"scope": {"user": ["Alice"]}}, [f"'Alice' has capital letters, and JupyterHub {LOWER}"]),
        ({"exempt": {"user": ["Bob"]}}, [LOWER]),
        ({"scope": {"user": [{"glob": "Class-*"}]}}, [LOWER]),
        ({"scope": {"group": ["Class"]}}, []),
        ({"scope": {"group": ["class-*"]}}, [f"'class-*' {LITERALLY}; write {{glob: 'class-*'}}"]),
        ({"scope": {"user": ["a?"]}}, [LITERALLY]),
        ({"scope": {"user": ["google-oauth2|1", "a.b+c@d.org", "0012345"]}}, []),
        ({"scope": {"group": ["/Realm/Students", "research:power"]}}, []),
        ({"scope": {"group": ["a\nb"]}}, ["'a\\nb' has characters that no name is likely to have"]),
        (
            {"scope": {"user": ["ada", "bob"]}, "exempt": {"user": ["bob"]}},
            ["scope and exempt both name user 'bob'; exempt takes precedence"],
        ),
        (
            {"scope": {"group": [{"glob": "a*"}]}, "exempt": {"group": [{"glob": "a*"}]}},
            ["scope and exempt both name group 'a*'"],
        ),
        ({"scope": {"group": ["a"]}, "exempt": {"user": ["bob"]}}, []),
        (
            {"scope": {"admin": True, "group": ["a"]}, "exempt": {"admin": True}},
            ["scope and exempt both name admins; exempt takes precedence"],
        ),
        ({"scope": {"admin": True}, "exempt": {"user": ["bob"]}}, []),
        (
            {"servers": {"profile": ["a"], "except_profile": ["*"]}},
            ["servers selects nothing: except_profile has every profile"],
        ),
        ({"servers": {"except_profile": ["*"]}}, []),  # those without a profile
        (
            {"servers": {"except_profile": ["gpu "]}},
            ["servers.except_profile: 'gpu ' has space around it, which must match too"],
        ),
        (
            {"scope": {"user": ["bob", "ada"]}, "exempt": {"user": [{"glob": "b*"}]}},
            ["scope and exempt both name user 'bob'; exempt takes precedence"],
        ),
        (
            {"scope": {"group": ["a", {"glob": "b*"}]}, "exempt": {"group": [{"glob": "**"}]}},
            ["scope and exempt both name group 'a', 'b*'"],
        ),
        ({"exempt": {"user": [{"glob": "*"}]}}, ["exempt has everybody, so the policy limits no"]),
        ({"exempt": {"user": [{"glob": "?*"}]}}, ["exempt has everybody"]),
        ({"exempt": {"user": [{"glob": "??*"}]}}, []),
        ({"exempt": {"group": [{"glob": "*"}]}}, []),
        (
            {"scope": {"user": ["alice\u200b"]}},
            ["'alice\\u200b' has characters that cannot be seen"],
        ),
        ({"scope": {"user": ["ａlice"]}}, ["look like others; is it 'alice'?"]),
        ({"scope": {"group": ["ﬁnance"]}}, ["is it 'finance'?"]),
        ({"exempt": {"group": [{"glob": "\u202ex*"}]}}, ["is it 'x*'?"]),
        ({"scope": {"user": ["ünal", "u\u0308nal", "аня", "李"]}}, []),
        # Cyrillic, Greek, Armenian and Cherokee letters, and dashes of documents.
        ({"scope": {"user": ["аlice"]}}, ["is it 'alice'?"]),
        ({"scope": {"user": ["аnna-мария"]}}, ["is it 'anna-мария'?"]),
        ({"scope": {"group": ["сосо"]}}, ["is it 'coco'?"]),
        ({"scope": {"group": ["ΑΒ-1"]}}, ["is it 'AB-1'?"]),
        ({"scope": {"group": ["gрu-2026", "clasѕ"]}}, ["is it 'gpu-2026'?", "is it 'class'?"]),
        ({"exempt": {"group": [{"glob": "сlass-*"}]}}, ["exempt.group: 'сlass-*'"]),
        ({"scope": {"group": ["class–2026"]}}, ["is it 'class-2026'?"]),
        (
            {"scope": {"group": ["студенты-class", "ομάδα-1", "хорошо", "ᎣᏏᏲ", "日本-a", "ışık"]}},
            [],
        ),
        (
            {"servers": {"profile": ["gрu*"]}},
            [
                "servers.profile: 'gрu*' has characters",
            ],
        ),
        ({"servers": {"except_profile": ["large/mеm_488"]}}, ["is it 'large/mem_488'?"]),
        ({"servers": {"name": ["lаb", "lab\u200b"]}}, ["is it 'lab'?", "is it 'lab'?"]),
        ({"servers": {"kind": ["dаsk-*"]}}, ["servers.kind: 'dаsk-*'"]),
        ({"servers": {"profile": ["большой", "größer", "大"]}}, []),
        (
            {"servers": {"name": ["x"], "kind": ["dask-*"]}},
            ["selects nothing: only servers of the"],
        ),
        ({"servers": {"name": ["x"], "kind": ["dask-*", "s*"]}}, []),
        ({"servers": {"kind": ["Server"]}}, ["'Server' matches no server; expected 'server'"]),
        ({"servers": {"kind": ["SERV*"]}}, ["'SERV*' matches no server"]),
        ({"servers": {"kind": ["Dask-*"]}}, []),
        ({"servers": {"profile": [" gpu*"]}}, ["servers.profile: ' gpu*' has space around it"]),
        (TIME | {"minimum_session": "20 hours"}, ["got 20h; expected at most 10h"]),
        (TIME | {"minimum_session": "10 hours"}, []),
        (TIME | {"limit": 0, "minimum_session": "1h"}, []),
        ({"minimum_session": "20 hours"}, []),
        (GPU | {"minimum_session": "20 hours"}, ["got 20h; expected at most 10h"]),
        (GPU | {"minimum_session": "10 hours"}, []),
        (GPU | {"servers": {"gpu": False}, "minimum_session": "20 hours"}, []),
    ],
)
def test_what_can_hardly_be_meant_is_doubted(changes, says):
    lines = list(doubts(parse_policies([FINE | changes])))
    assert len(lines) == len(says), lines
    for line, text in zip(lines, says, strict=True):
        assert line.startswith("policy 'x': ")
        assert text in line
        assert line.isprintable()


@pytest.mark.parametrize(
    ("prices", "limit", "servers", "says"),
    [
        ({"time": 60}, "1 credits", None, "got 20h; expected at most 1m"),
        ({"time": 1}, "20 credits", None, ""),
        ({"time": 1, "gpu": 9}, "20 credits", {"gpu": True}, "got 20h; expected at most 2h"),
        ({"time": 1, "gpu": 9}, "20 credits", None, ""),
        ({"cpu": 60}, "1 credits", None, ""),
    ],
)
def test_a_session_that_no_credits_pay_for_is_doubted(prices, limit, servers, says):
    entry = FINE | {"resource": "credits", "limit": limit, "minimum_session": "20 hours"}
    entry |= {"servers": servers} if servers else {}
    lines = list(doubts(parse_policies([entry], credit_prices=prices)))
    assert len(lines) == bool(says)
    assert all(says in line for line in lines)


@pytest.mark.parametrize("name", ["\u202ex", "x\u200b", "Ｘ", "gрu", "сосо", "week\u2212gpu"])
def test_a_name_of_a_policy_that_looks_like_another_is_doubted(name):
    (line,) = doubts(parse_policies([FINE | {"name": name}]))
    assert "its name has characters that cannot be seen, or look like others" in line
    assert line.isprintable()


@pytest.mark.parametrize("price", [1e-300, 5e-324, 1e-13, 1e9, -1, True])
def test_a_price_that_nobody_means_is_refused(price):
    with pytest.raises(InvalidPolicies, match="wrong price"):
        parse_policies([FINE], credit_prices={"cpu": price})


@pytest.mark.parametrize(
    "promql", ["sum(up", "sum up)", "up{a='b}", 'up{a="b"', "up[5m", "sum((up)]", "up{a=`b}"]
)
def test_an_expression_that_cannot_be_one_is_refused(promql):
    definition = {"promql": promql, "unit": "seat"}
    assert "that has no other end" in error(resources={"seats": definition})


@pytest.mark.parametrize(
    "promql",
    [
        "up",
        "sum(up{a=\"b)\", c='}'}[5m:1m])",
        'up{a="\\")"}',
        "up # (\n+ up",
        "up{a=~`)`}",
        "sum( # it's (\nup) # it's",
    ],
)
def test_an_expression_that_can_be_one_is_accepted(promql):
    assert parse_policies([], resources={"seats": {"promql": promql, "unit": "seat"}})


@pytest.mark.parametrize(
    ("resource", "limit", "taken_as"),
    [
        ("cpu", 100, "100 CPU-hours"),
        ("memory", 5000 * 2**30, f"{5000 * 2**30} B-hours"),
    ],
)
def test_a_whole_number_is_read_as_2i2cs_package_reads_it(resource, limit, taken_as):
    entry = FINE | {"resource": resource, "limit": limit}
    (policy,) = parse_policies([entry]).policies
    assert policy.limit.base == limit * 3600
    (line,) = limits_without_unit("policy", [entry], RESOURCES)
    assert line.startswith(f"policy[0].limit has no unit and is taken as {taken_as}")


@pytest.mark.parametrize(
    ("resource", "limit"),
    [("memory", 5000), ("gpu", 20), ("time", 20), ("cpu", 1.5), ("cpu", True)],
)
def test_other_numbers_without_a_unit_could_be_misread(resource, limit):
    assert "unit" in error(resource=resource, limit=limit)


def test_the_name_that_is_made_up_for_a_policy_is_bounded():
    names = [f"student-{number}" for number in range(10_000)]
    unnamed = {key: value for key, value in FINE.items() if key != "name"}
    twice = [unnamed | {"scope": {"user": names}}, unnamed | {"scope": {"user": [*names, "ada"]}}]
    found = [policy.name for policy in parse_policies(twice).policies]
    assert len(set(found)) == 2
    assert max(map(len, found)) <= 200
