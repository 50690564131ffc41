"""Quantities are read as an admin means them, refused where they could be misread, and shown."""

from __future__ import annotations

import math
import re
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from jupyterhub_usage_quotas.quotas.units import (
    LONGEST_DURATION,
    InvalidQuantity,
    Quantity,
    parse_bytes,
    parse_duration,
    parse_kubernetes,
    show,
    show_days,
    show_duration,
    show_part,
)

KIB, MIB, GIB, TIB, PIB = 2**10, 2**20, 2**30, 2**40, 2**50
MINUTE, HOUR, DAY, WEEK = 60, 3600, 86400, 604800

READ = [
    # resource, as an admin writes it, in base units (byte-, core-, GPU- or server-seconds)
    ("memory", "1000 GiB-hours", 1000 * GIB * HOUR),
    ("memory", "1000GiB-hours", 1000 * GIB * HOUR),
    ("memory", "1,000 GiB-hours", 1000 * GIB * HOUR),
    ("memory", "1,000,000 GiB-hours", 10**6 * GIB * HOUR),
    ("memory", "1_000 GiB-hours", 1000 * GIB * HOUR),
    ("memory", "1e3 GiB-hours", 1000 * GIB * HOUR),
    ("memory", "1.5 GiB-hours", 3 * GIB * HOUR // 2),
    ("memory", ".5 GiB-hours", GIB * HOUR // 2),
    ("memory", "  2  GiB-hours ", 2 * GIB * HOUR),
    ("memory", "2 GiB hours", 2 * GIB * HOUR),
    ("memory", "2 GiB·h", 2 * GIB * HOUR),
    ("memory", "2 GiB*hours", 2 * GIB * HOUR),
    ("memory", "2 GiB\u2011hours", 2 * GIB * HOUR),  # as word processors write it
    ("memory", "2 GiB\u2013hours", 2 * GIB * HOUR),
    ("memory", "2 gib-HOURS", 2 * GIB * HOUR),
    ("memory", "1 GiB-hour", GIB * HOUR),
    ("memory", "1 GiB-days", GIB * DAY),
    ("memory", "1 GiB-weeks", GIB * WEEK),
    ("memory", "1 GiB-minutes", GIB * MINUTE),
    ("memory", "1 GiB-seconds", GIB),
    ("memory", "1 B-seconds", 1),
    ("memory", "7 byte-seconds", 7),
    ("memory", "1 KiB-hours", KIB * HOUR),
    ("memory", "1 MiB-hours", MIB * HOUR),
    ("memory", "1 TiB-hours", TIB * HOUR),
    ("memory", "1 PiB-hours", PIB * HOUR),
    ("memory", "1 KB-hours", 10**3 * HOUR),
    ("memory", "1 MB-hours", 10**6 * HOUR),
    ("memory", "1 GB-hours", 10**9 * HOUR),
    ("memory", "1 TB-hours", 10**12 * HOUR),
    ("memory", "1 PB-hours", 10**15 * HOUR),
    ("memory", "5000G", 5000 * GIB * HOUR),
    ("memory", "5000 G", 5000 * GIB * HOUR),
    ("memory", "3K", 3 * KIB * HOUR),
    ("memory", "3M", 3 * MIB * HOUR),
    ("memory", "3T", 3 * TIB * HOUR),
    ("cpu", "100 CPU-hours", 100 * HOUR),
    ("cpu", "100 cpu-h", 100 * HOUR),
    ("cpu", "2 CPU-days", 2 * DAY),
    ("cpu", "100 core-hours", 100 * HOUR),
    ("cpu", "100 cores hours", 100 * HOUR),
    ("cpu", "100 vCPU-hours", 100 * HOUR),
    ("cpu", "0.25 CPU-hours", 900),
    ("gpu", "20 GPU-hours", 20 * HOUR),
    ("gpu", "20 gpus-hours", 20 * HOUR),
    ("gpu", "1 GPU-week", WEEK),
    ("time", "20 hours", 20 * HOUR),
    ("time", "20h", 20 * HOUR),
    ("time", "20 server-hours", 20 * HOUR),
    ("time", "90 minutes", 90 * MINUTE),
    ("time", "2 days", 2 * DAY),
    ("time", "1 week", WEEK),
    ("time", "45s", 45),
    ("memory", "-3 GiB-hours", -3 * GIB * HOUR),
]

REFUSED = [
    # resource, as somebody might write it, and a unit that would be right
    ("memory", "1000", "GiB-hours"),
    ("memory", "1000 GiB", "GiB-hours"),
    ("memory", "1000 hours", "GiB-hours"),
    ("memory", "1000 CPU-hours", "GiB-hours"),
    ("memory", "1000 GPU-hours", "GiB-hours"),
    ("memory", "1 GiB-months", "GiB-hours"),
    ("memory", "1 GiB/hour", "GiB-hours"),
    ("memory", "1 GiB-hours per day", "GiB-hours"),
    ("memory", "1 Gibberish-hours", "GiB-hours"),
    ("memory", "5000X", "GiB-hours"),
    ("cpu", "100", "CPU-hours"),
    ("cpu", "100 hours", "CPU-hours"),
    ("cpu", "100 GiB-hours", "CPU-hours"),
    ("cpu", "100 GPU-hours", "CPU-hours"),
    ("cpu", "5000G", "CPU-hours"),
    ("gpu", "20", "GPU-hours"),
    ("gpu", "20 hours", "GPU-hours"),
    ("gpu", "20 CPU-hours", "GPU-hours"),
    ("time", "20", "hours"),
    ("time", "20 CPU-hours", "hours"),
    ("time", "20 GiB-hours", "hours"),
    ("time", "20 months", "hours"),
]

MISREADABLE = [
    "1,5 GiB-hours",  # a decimal comma
    "10,00 GiB-hours",
    "1,0000 GiB-hours",
    "1.000,5 GiB-hours",
    "1.000.000 GiB-hours",
    "1 000 GiB-hours",
    "1'000 GiB-hours",
    "0x10 GiB-hours",
    "1/2 GiB-hours",
    "5-10 GiB-hours",
    "--5 GiB-hours",
    "5 e3 GiB-hours",
]

NOT_NUMBERS = ["", " ", "GiB-hours", "NaN GiB-hours", "nan", "inf GiB-hours", "-inf", "many", "-"]


@pytest.mark.parametrize(("resource", "text", "base"), READ)
def test_what_an_admin_writes_is_read(resource, text, base):
    assert RESOURCES[resource].quantity(text).base == base


@pytest.mark.parametrize(("resource", "text", "right"), REFUSED)
def test_a_wrong_unit_is_refused_with_one_that_would_be_right(resource, text, right):
    with pytest.raises(InvalidQuantity) as refused:
        RESOURCES[resource].quantity(text)
    assert right in str(refused.value)
    assert text.lstrip("0123456789 ") in str(refused.value)


@pytest.mark.parametrize("text", MISREADABLE)
def test_a_number_that_could_be_misread_is_refused(text):
    with pytest.raises(InvalidQuantity):
        RESOURCES["memory"].quantity(text)


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("text", NOT_NUMBERS)
def test_what_is_not_a_number_is_refused(resource, text):
    with pytest.raises(InvalidQuantity):
        RESOURCES[resource].quantity(text)


@pytest.mark.parametrize("text", ["1e999 GiB-hours", "-1e999 GiB-hours", "9" * 400 + " GiB-hours"])
def test_a_number_beyond_all_floats_is_refused(text):
    with pytest.raises(InvalidQuantity, match="finite"):
        RESOURCES["memory"].quantity(text)


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("text", ["0", "0.0", "+0", "-0", "0e5"])
def test_zero_needs_no_unit(resource, text):
    nothing = RESOURCES[resource].quantity(text)
    assert nothing.base == 0
    assert nothing.unit.factor > 0


def test_decimal_and_binary_units_are_told_apart():
    memory = RESOURCES["memory"]
    for power, (binary, decimal) in enumerate(
        [("KiB", "KB"), ("MiB", "MB"), ("GiB", "GB"), ("TiB", "TB"), ("PiB", "PB")], start=1
    ):
        assert memory.quantity(f"1 {binary}-seconds").base == 1024**power
        assert memory.quantity(f"1 {decimal}-seconds").base == 1000**power


def test_a_quantity_remembers_the_unit_it_was_written_in():
    assert RESOURCES["memory"].quantity("24 gb-d").unit.symbol == "GB-days"
    assert RESOURCES["memory"].quantity("5000G").unit.symbol == "GiB-hours"
    assert RESOURCES["cpu"].quantity("3 cores-minutes").unit.symbol == "CPU-minutes"
    assert RESOURCES["time"].quantity("20 server hours").unit.symbol == "hours"


@pytest.mark.parametrize("name", RESOURCES)
def test_the_example_of_every_resource_can_be_written(name):
    assert RESOURCES[name].quantity(RESOURCES[name].example).base > 0


units = st.one_of(
    st.tuples(st.just(name), st.sampled_from(amounts), st.sampled_from(times))
    for times in [["seconds", "minutes", "hours", "days", "weeks"]]
    for name, amounts in {
        "memory": ["B-", "KB-", "MB-", "GB-", "TB-", "PB-", "KiB-", "MiB-", "GiB-", "TiB-", "PiB-"],
        "cpu": ["CPU-"],
        "gpu": ["GPU-"],
        "time": [""],
    }.items()
)


@given(unit=units, value=st.floats(min_value=-1e15, max_value=1e15))
def test_a_quantity_that_is_shown_exactly_reads_back_as_itself(unit, value):
    """Reading what `str` of a quantity says gives the same quantity, to the last bit."""
    resource, amount, time = unit
    quantity = Quantity(value, RESOURCES[resource].unit(amount + time))
    again = RESOURCES[resource].quantity(str(quantity))
    assert again == quantity
    assert RESOURCES[resource].quantity(str(again)) == again


@given(unit=units.filter(lambda unit: unit[1]), value=st.floats(min_value=0.01, max_value=1e12))
def test_what_people_are_shown_is_what_there_is(unit, value):
    """What `show` says can be read back and is within half a percent of the amount."""
    resource, amount, time = unit
    quantity = Quantity(value, RESOURCES[resource].unit(amount + time))
    again = RESOURCES[resource].quantity(show(quantity.base, quantity.unit))
    assert again.base == pytest.approx(quantity.base, rel=0.006)


@given(
    text=st.one_of(
        st.text(),
        st.from_regex(
            r"[-+]?[0-9.,_]{0,6}(e[0-9]{1,2})?\s?(Gi?B?|CPU|GPU)?[- ·]?h?", fullmatch=True
        ),
    )
)
def test_any_text_is_read_as_a_finite_quantity_or_refused(text):
    """No text makes anything but a finite quantity or an `InvalidQuantity`."""
    # Its own test is below.
    assume(not re.match(r"\s*[+-]?[eE]", text))
    for resource in RESOURCES.values():
        try:
            quantity = resource.quantity(text)
        except InvalidQuantity:
            continue
        assert math.isfinite(quantity.base)


@pytest.mark.parametrize("text", ["e5 GiB-hours", "E0", "-e3 GiB-hours"])
def test_an_exponent_without_digits_before_it_is_refused(text):
    with pytest.raises(InvalidQuantity):
        RESOURCES["memory"].quantity(text)


@pytest.mark.parametrize("text", ["1e300 GiB-hours", "1e308 B-weeks"])
def test_an_amount_beyond_all_floats_is_refused(text):
    with pytest.raises(InvalidQuantity):
        RESOURCES["memory"].quantity(text)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("36h", timedelta(hours=36)),
        ("36 hours", timedelta(hours=36)),
        ("1 hr", timedelta(hours=1)),
        ("10 minutes", timedelta(minutes=10)),
        ("10 min", timedelta(minutes=10)),
        ("10m", timedelta(minutes=10)),
        ("2 weeks", timedelta(days=14)),
        ("1w", timedelta(days=7)),
        ("7 days", timedelta(days=7)),
        ("7d", timedelta(days=7)),
        ("1 Day", timedelta(days=1)),
        ("45 seconds", timedelta(seconds=45)),
        ("1.5h", timedelta(minutes=90)),
        ("0 minutes", timedelta(0)),
        ("3660 days", LONGEST_DURATION),
    ],
)
def test_a_duration_is_read(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "36",
            "soon",
            "h",
            "1 month",
            "1 year",
            "1h30m",
            "1,5h",
            "-1h",
            "1e999h",
            "3661 days",
        ),
        *("nan h", "inf h", "3 GiB-hours", "5 GPU-hours", "10 minutes ago"),
    ],
)
def test_what_is_not_a_duration_is_refused(text):
    with pytest.raises(InvalidQuantity):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("8GiB", 8 * GIB),
        ("8 GiB", 8 * GIB),
        ("8G", 8 * GIB),
        ("512M", 512 * MIB),
        ("3K", 3 * KIB),
        ("2T", 2 * TIB),
        ("500 MB", 500 * 10**6),
        ("8GB", 8 * 10**9),
        ("1.5G", 3 * GIB // 2),
        ("1024 B", 1024),
    ],
)
def test_an_amount_of_memory_is_read(text, amount):
    assert parse_bytes(text) == amount


@pytest.mark.parametrize(
    "text", ["", "8", "G", "8X", "8 GiB-hours", "8 hours", "1,5G", "nan", "1e999G"]
)
def test_what_is_not_an_amount_of_memory_is_refused(text):
    with pytest.raises(InvalidQuantity):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("5", 5),
        ("5.", 5),
        (".5", 0.5),
        ("+1.5", 1.5),
        ("-1", -1),
        ("500m", 0.5),
        ("100u", 1e-4),
        ("1k", 1000),
        ("1Ki", 1024),
        ("10Gi", 10 * 1024**3),
        ("1E", 1e18),
        ("1Ei", 1024**6),
        ("1E3", 1000),
        ("1e-3", 0.001),
    ],
)
def test_an_amount_is_read_as_kubernetes_reads_it(text, amount):
    """By apimachinery's `resource.ParseQuantity`."""
    assert parse_kubernetes(text) == pytest.approx(amount)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ".", "m", "1,000", "1_000", "1 k", " 1", "1 ", "1K", "1e3Gi", "1e", "0x10"),
        *("nan", "inf", "1e400", "1kk", "--1", "1.2.3", "\u0661", "1\n", "True", "None"),
        "1" * 2000,
    ],
)
def test_what_kubernetes_refuses_is_refused(text):
    with pytest.raises(InvalidQuantity):
        parse_kubernetes(text)


@pytest.mark.parametrize(
    ("resource", "unit", "value", "shown"),
    [
        ("memory", "GiB-hours", 0, "0 GiB-hours"),
        ("memory", "GiB-hours", 1, "1 GiB-hours"),
        ("memory", "GiB-hours", 1.5, "1.5 GiB-hours"),
        ("memory", "GiB-hours", 168.9333, "168.93 GiB-hours"),
        ("memory", "GiB-hours", 99.999, "100 GiB-hours"),
        ("memory", "GiB-hours", 0.25, "0.25 GiB-hours"),
        ("memory", "GiB-hours", 1 / 3, "0.3333 GiB-hours"),
        ("memory", "GiB-hours", 5000, "5,000 GiB-hours"),
        ("memory", "GiB-hours", 1234567.8, "1,234,568 GiB-hours"),
        ("memory", "GiB-hours", -3.25, "-3.25 GiB-hours"),
        ("memory", "GB-days", 12, "12 GB-days"),
        ("cpu", "CPU-hours", 100, "100 CPU-hours"),
        ("gpu", "GPU-hours", 10, "10 GPU-hours"),
        ("time", "hours", 18.5, "18h 30m"),
        ("time", "hours", 20, "20h"),
        ("time", "minutes", 90, "1h 30m"),
        ("time", "days", 2, "48h"),
        ("time", "hours", 0, "0s"),
    ],
)
def test_an_amount_is_shown_to_people_in_the_unit_of_the_admin(resource, unit, value, shown):
    unit = RESOURCES[resource].unit(unit)
    assert show(value * unit.factor, unit) == shown


def test_nothing_is_never_shown_as_minus_nothing():
    unit = RESOURCES["memory"].unit("GiB-hours")
    assert show(-0.00001 * unit.factor, unit) == "0 GiB-hours"


def test_every_quantity_that_can_be_read_can_be_shown():
    quantity = RESOURCES["time"].quantity("1e15 hours")
    assert show(quantity.base, quantity.unit)


@pytest.mark.parametrize(
    ("resource", "unit", "part", "whole", "shown"),
    [
        ("memory", "GiB-hours", 168.93, 100, "168.93 of 100 GiB-hours"),
        ("memory", "GiB-hours", 0, 5000, "0 of 5,000 GiB-hours"),
        ("time", "hours", 0.2, 20, "12m of 20h"),
        ("gpu", "GPU-hours", 20, 20, "20 of 20 GPU-hours"),
    ],
)
def test_an_amount_is_shown_as_part_of_another(resource, unit, part, whole, shown):
    unit = RESOURCES[resource].unit(unit)
    assert show_part(part * unit.factor, whole * unit.factor, unit) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (45, "45s"),
        (59.4, "59s"),
        (59.6, "1m"),
        (60, "1m"),
        (12 * MINUTE, "12m"),
        (HOUR - 1, "1h"),
        (HOUR, "1h"),
        (HOUR + 20, "1h"),
        (HOUR + 40, "1h 1m"),
        (18 * HOUR + 30 * MINUTE, "18h 30m"),
        (300 * HOUR, "300h"),
        (-45, "-45s"),
        (-90 * MINUTE, "-1h 30m"),
        (-0.4, "0s"),
    ],
)
def test_a_duration_is_shown_as_people_read_a_clock(seconds, shown):
    assert show_duration(timedelta(seconds=seconds)) == shown


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (timedelta(days=7), "7 days"),
        (timedelta(days=1), "1 day"),
        (timedelta(hours=36), "36 hours"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(seconds=61), "61 seconds"),
        (timedelta(days=365), "365 days"),
    ],
)
def test_the_length_of_a_window_is_shown_in_the_largest_unit_that_divides_it(length, shown):
    assert show_days(length) == shown


@given(st.integers(min_value=1, max_value=10 * 366 * DAY).filter(lambda s: s <= 3660 * DAY))
def test_the_length_of_a_window_that_is_shown_reads_back_as_itself(seconds):
    """A window's length of whole seconds is shown without loss."""
    assert parse_duration(show_days(timedelta(seconds=seconds))).total_seconds() == seconds


@pytest.mark.parametrize(
    "number",
    ["1.000,5", "1 000", "0x10", "0xff", "1'000", "1,000.5,2", "1..5", "1,000,00", "1/2", "20:00"],
)
@pytest.mark.parametrize("unit", [" GiB-hours", ""])
def test_a_number_that_is_written_otherwise_is_shown_as_a_whole(number, unit):
    """Not the part of it that follows what could be read."""
    with pytest.raises(InvalidQuantity) as refused:
        RESOURCES["memory"].quantity(number + unit)
    assert str(refused.value).startswith(f"wrong number: got {number + unit!r}; expected a number")
