"""The part of the cost monitor's options that says whose a cost is."""

from __future__ import annotations

import re
from typing import Any, Final

from traitlets import Bool, Dict, List, TraitError, Unicode, validate

from ..costs.attribute import Rules
from ..costs.components import Tag, Tagging, cluster_tags
from ..costs.known import Attribution
from ..costs.prices import USUAL_PRICES, PriceList, Prices, weights_of
from ..quotas.messages import not_among, wrong
from .usage import UsageConfig

TAGS_HELP: Final = 'each "key=value", or "key" for any value'


class AttributionOptions(UsageConfig):
    """How costs are attributed to hubs, components, users and groups."""

    cluster_name = Unicode(
        help="The name of the cluster, as it is in the tags of its resources."
    ).tag(config=True)

    hubs = Dict(
        help="""
        The namespace of each hub, by the name that it has in the bill: {"prod": "jhub-prod"}. The
        default is every namespace in which users have servers, each by its own name.
        """
    ).tag(config=True)

    cluster_tags = List(
        Unicode(),
        help=f"""
        The tags by which something is the cluster's ({TAGS_HELP}); any of them is enough. The
        default is alpha.eksctl.io/cluster-name=NAME, kubernetes.io/cluster/NAME=owned,
        2i2c.org/cluster-name=NAME, 2i2c:hub-name and 2i2c:node-purpose, with `cluster_name`.
        """,
    ).tag(config=True)

    hub_tag = Unicode("2i2c:hub-name", help="The tag that names the hub.").tag(config=True)

    home_tags = List(
        Unicode(),
        ["2i2c:volume-purpose=home-nfs"],
        help=f"The tags by which something is home storage ({TAGS_HELP}).",
    ).tag(config=True)

    core_tags = List(
        Unicode(),
        [
            "2i2c:node-purpose=core",
            "kubernetes.io/created-for/pvc/name=hub-db-dir",
            "kubernetes.io/created-for/pvc/namespace=support",
        ],
        help=f"The tags by which a machine or its disk is the cluster's core ({TAGS_HELP}).",
    ).tag(config=True)

    services = Dict(
        help="""
        The components of services, where they are others than the usual: {"Amazon FSx":
        "home storage"}. The components that users' costs are split from are "compute" and
        "home storage".
        """
    ).tag(config=True)

    split_by = Dict(
        help="""
        The resources that further components are split by between users: {"object storage":
        ["storage"]}. What is not split is shared.
        """
    ).tag(config=True)

    split_untagged = Bool(
        False,
        help="""
        Whether what is the cluster's and has no tag of a hub is split between the users of all
        hubs by what they used, as in a cluster with one hub and no such tags.
        """,
    ).tag(config=True)

    spread_idle = Bool(
        False, help="Whether users also bear what is idle in their hub, by what they cost."
    ).tag(config=True)

    spread_shared = Bool(
        False, help="Whether users also bear what is shared, by what they cost."
    ).tag(config=True)

    primary_groups = List(
        Unicode(),
        help="""
        The groups in which users count: in the first of these that they are in. Who is in none of
        these counts in all of their groups in equal parts, or by `group_weights`.
        """,
    ).tag(config=True)

    group_weights = Dict(
        help="""
        How much a group weighs for users who are in several: a whole number, 1 where it is not
        named. In a group that weighs 0 nobody counts who is in another.
        """
    ).tag(config=True)

    @validate("group_weights")
    def _are_weights(self, proposal: Any) -> dict[str, Any]:
        for name, weight in proposal.value.items():
            is_whole = isinstance(weight, int) and not isinstance(weight, bool)
            if not (is_whole and 0 <= weight <= 10**6):
                raise TraitError(wrong(f"weight of {name}", weight, "a whole number from 0"))
        return dict(proposal.value)

    @validate("hubs", "services")
    def _are_names(self, proposal: Any) -> dict[str, str]:
        for name, value in proposal.value.items():
            if not (isinstance(value, str) and value and isinstance(name, str) and name):
                raise TraitError(wrong(got={name: value}, expected="names, not empty"))
        return dict(proposal.value)

    @validate("split_by")
    def _are_resources(self, proposal: Any) -> dict[str, list[str]]:
        for component, names in proposal.value.items():
            for name in names if isinstance(names, list | tuple) else [names]:
                if name not in self.priced:
                    what = f"no resource that {component} can be split by"
                    raise TraitError(not_among(what, str(name), self.priced))
        return {one: list(names) for one, names in proposal.value.items()}

    @validate("cluster_tags", "home_tags", "core_tags")
    def _are_tags(self, proposal: Any) -> list[str]:
        for text in proposal.value:
            if not re.fullmatch(r"[^=\s][^=]*(=.*)?", text):
                raise TraitError(wrong("no tag", text, "for example 'team=physics'"))
        return list(proposal.value)

    @property
    def own_hub(self) -> str:
        """What the Hub in `hub_namespace` is called in the bill."""
        called = {namespace: name for name, namespace in self.hubs.items()}
        return called.get(self.hub_namespace) or self.hub_namespace or next(iter(self.hubs), "hub")

    @property
    def rolled_hubs(self) -> dict[str, str]:
        """The namespaces of the hubs whose usage is kept, by name; none to find them out."""
        if self.counts_sessions:
            return {self.own_hub: self.hub_namespace}
        return dict(self.hubs)

    @property
    def tagging(self) -> Tagging:
        """How tags say whose something is."""
        usual = Tagging(cluster_tags(self.cluster_name))
        return Tagging(
            tuple(map(_tag, self.cluster_tags)) or usual.cluster,
            self.hub_tag,
            tuple(map(_tag, self.home_tags)),
            tuple(map(_tag, self.core_tags)),
            services={**usual.services, **self.services},
        )

    @property
    def rules(self) -> Rules:
        """How costs are attributed."""
        weights = weights_of(self.all_prices, self.priced, self.split_by)
        return Rules(weights, self.split_untagged)

    @property
    def attribution(self) -> Attribution:
        """How costs are attributed, spread and added up by group, as configured."""
        return Attribution(
            self.rules,
            self.spread_idle,
            self.spread_shared,
            tuple(self.primary_groups),
            dict(self.group_weights),
        )

    @property
    def all_prices(self) -> Prices:
        """What resources cost: as configured, else as usual."""
        return self.given_prices or USUAL_PRICES

    @property
    def price_list(self) -> PriceList:
        """The bill of machines of one's own."""
        return PriceList(self.all_prices, self.price_currency, self.priced)


def _tag(text: str) -> Tag:
    key, equals, value = text.partition("=")
    return Tag(key, value if equals else None)
