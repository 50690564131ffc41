"""Quantities that are amounts only, not amounts times a time: storage and credits."""

from __future__ import annotations

import pytest

from jupyterhub_usage_quotas.quotas.resources import RESOURCES, STORAGE
from jupyterhub_usage_quotas.quotas.units import InvalidQuantity, show

CREDITS = RESOURCES["credits"]


@pytest.mark.parametrize(
    ("resource", "text", "base", "shown"),
    [
        (STORAGE, "10 GiB", 10 * 1024**3, "10 GiB"),
        (STORAGE, "2TB", 2e12, "2 TB"),
        (STORAGE, "500 megabytes", None, ""),
        (CREDITS, "100 credits", 100, "100 credits"),
        (CREDITS, "1 credit", 1, "1 credits"),
        (CREDITS, "0", 0, "0 credits"),
        (CREDITS, "10", None, ""),
        (CREDITS, "10 GiB", None, ""),
        (STORAGE, "10 GiB-hours", None, ""),
        (CREDITS, "10 hours", None, ""),
    ],
)
def test_an_amount_is_read_and_shown_in_its_unit_or_refused(resource, text, base, shown):
    if base is None:
        with pytest.raises(InvalidQuantity):
            resource.quantity(text)
    else:
        quantity = resource.quantity(text)
        assert quantity.base == base
        assert show(quantity.base, quantity.unit) == shown
