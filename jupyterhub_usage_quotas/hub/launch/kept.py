"""What a launch was decided on, kept with its server for as long as that runs.

A spawner's options say what a server *would* request now: profiles and hooks are applied to them
only when one starts, and after a restart of the Hub they are the configured ones again. So what a
launch was decided on becomes part of the state that JupyterHub stores of each server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from ...quotas.messages import printable, shown
from ...quotas.subject import Subject
from ...quotas.verdict import Request
from ..types import HubSpawner

KEY = "usage_quota"
"""Of what is kept, in a spawner's state."""
_KEPT = "_usage_quota_kept"
"""Where it is on a spawner while its Hub runs."""
LONGEST = 253
"""Characters of a profile's slug, as Kubernetes limits names."""

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=LONGEST)]


class KeptLaunch(BaseModel):
    """A launch that was let pass: the profile, by slug and display name, what is chosen in it,
    what the server requests and what of that is unknown (as in a `Request`), and the instant of the
    decision.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    profile: Text = ""
    profile_name: Text = ""
    choices: tuple[Text, ...] = ()
    rates: Mapping[str, Amount] = {}
    unknown: frozenset[Text] = frozenset()
    profile_known: bool = True
    at: AwareDatetime

    def request(self, subject: Subject, server_name: str) -> Request:
        """The request that the launch was decided on."""
        return Request(
            subject, server_name, self.profile, self.rates, self.profile_name, self.choices
        )

    def as_decided(self, subject: Subject, server_name: str) -> Request:
        """The same with what is not known of it."""
        request = self.request(subject, server_name)
        return replace(request, unknown=self.unknown, profile_known=self.profile_known)


def keep(spawner: HubSpawner, request: Request, at: datetime) -> KeptLaunch:
    """Keep what a launch is decided on with its spawner, and in the state that the Hub stores."""
    kept = KeptLaunch(
        profile=printable(request.profile, LONGEST),
        profile_name=printable(request.profile_name, LONGEST),
        choices=request.choices,
        rates=dict(request.rates),
        unknown=request.unknown,
        profile_known=request.profile_known,
        at=at,
    )
    _put(spawner, kept)
    return kept


def forget(spawner: HubSpawner) -> None:
    """Before a launch is decided on: what is stored may be of a server that ended with its Hub."""
    _put(spawner, None)


def kept_of(spawner: HubSpawner) -> KeptLaunch | None:
    """What is kept of a server that runs or starts; None where nothing is.

    After a restart of the Hub it is read from the stored state.
    """
    if hasattr(spawner, _KEPT):
        found: KeptLaunch | None = getattr(spawner, _KEPT)
        return found
    kept = _read(spawner)
    # From here on it is stored again whenever the Hub stores the spawner's state.
    _put(spawner, kept)
    return kept


def _read(spawner: HubSpawner) -> KeptLaunch | None:
    state = spawner.orm_spawner.state if spawner.orm_spawner else None
    said = state.get(KEY) if isinstance(state, Mapping) else None
    if said is None:
        return None
    try:
        return KeptLaunch.model_validate(said)
    except ValidationError as error:
        spawner.log.warning(
            "What %s was started with cannot be read from its state: %s; restart the server, or"
            " what it uses is not known",
            server_for_log(getattr(spawner.user, "name", ""), spawner.name),
            printable("; ".join(_line(one) for one in error.errors())),
        )
        return None


def _line(error: ErrorDetails) -> str:
    return ": ".join(filter(None, (".".join(map(str, error["loc"])), error["msg"])))


def server_for_log(user: str, server: str) -> str:
    """Which server of which user, by their names, on one printable line of bounded length."""
    named = f"the server {shown(server)}" if server else "the default server"
    return f"{named} of {shown(user)}"


def _put(spawner: HubSpawner, kept: KeptLaunch | None) -> None:
    """Keep it on the spawner, and have the spawner say it when the Hub asks for its state."""
    first = not hasattr(spawner, _KEPT)
    setattr(spawner, _KEPT, kept)
    if not first:
        return
    get_state, clear_state = spawner.get_state, spawner.clear_state

    def with_kept() -> dict[str, Any]:
        state = dict(get_state())
        now: KeptLaunch | None = getattr(spawner, _KEPT)
        return state | ({KEY: now.model_dump(mode="json")} if now else {})

    def cleared() -> None:
        # The server was stopped, or another is about to start.
        setattr(spawner, _KEPT, None)
        clear_state()

    spawner.get_state, spawner.clear_state = with_kept, cleared


def is_a_name(text: str) -> bool:
    """Whether a text can be a profile's name: one line of valid Unicode, of bounded length."""
    return 0 < len(text) <= LONGEST and text.isprintable()
