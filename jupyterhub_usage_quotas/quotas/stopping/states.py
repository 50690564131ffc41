"""The states of a running server that policies may stop, and what leads from one to the other.

What the table must keep to:

- Every state has an entry for every event, but `STOPPED`, which has none: nothing follows.
- `UNCERTAIN` never changes a state: what is not known leads nowhere. It also ends a row of
  readings, so that after it as many are needed again.
- Only `OVERDUE` asks for a stop. It is the last of several readings in a row, each newer than the
  one before, which all say that nothing remains; and the grace that was given is past.
- Only `GRACE` leads to `STOPPING`, so that nobody is stopped who was not given grace; its length
  may be zero.
- Something that remains leads back, if it is worth it: `BARELY` keeps a grace, so that a server
  does not go to and fro where as much comes back as it uses.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


class State(enum.StrEnum):
    """Where a running server stands with the policies that may stop it."""

    OK = "ok"
    """It can run on."""
    WARNED = "warned"
    """It can run on for a while, which its user was told."""
    GRACE = "grace"
    """Nothing remains. It is stopped when its grace ends, unless somebody gives more."""
    STOPPING = "stopping"
    """Its stop was requested."""
    STOPPED = "stopped"
    """It is gone."""


class Event(enum.StrEnum):
    """What was found about a running server, as far as it matters."""

    UNCERTAIN = "uncertain"
    """It is not known well enough what remains."""
    AMPLE = "ample"
    """It can run for longer than any warning is about."""
    ENDING = "ending"
    """It can run for a while, and a warning is about that."""
    BARELY = "barely"
    """It can run, but for less than is worth it."""
    SPARED = "spared"
    """Nothing remains, but enough comes back soon although it runs on."""
    DOUBTED = "doubted"
    """Nothing remains, in too few readings to act on."""
    OVER = "over"
    """Nothing remains."""
    OVERDUE = "overdue"
    """Nothing remains, and the grace is past."""
    REFUSED = "refused"
    """Its stop was requested and did not come about, or was not right any more."""
    GONE = "gone"
    """It does not run any more."""


def _row(**events: State) -> Mapping[Event, State]:
    return MappingProxyType({Event[name]: state for name, state in events.items()})


TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = MappingProxyType(
    {
        State.OK: _row(
            UNCERTAIN=State.OK,
            AMPLE=State.OK,
            ENDING=State.WARNED,
            BARELY=State.WARNED,
            SPARED=State.OK,
            DOUBTED=State.OK,
            OVER=State.GRACE,
            OVERDUE=State.GRACE,
            REFUSED=State.OK,
            GONE=State.STOPPED,
        ),
        State.WARNED: _row(
            UNCERTAIN=State.WARNED,
            AMPLE=State.OK,
            ENDING=State.WARNED,
            BARELY=State.WARNED,
            SPARED=State.WARNED,
            DOUBTED=State.WARNED,
            OVER=State.GRACE,
            OVERDUE=State.GRACE,
            REFUSED=State.WARNED,
            GONE=State.STOPPED,
        ),
        State.GRACE: _row(
            UNCERTAIN=State.GRACE,
            AMPLE=State.OK,
            ENDING=State.WARNED,
            BARELY=State.GRACE,
            SPARED=State.OK,
            DOUBTED=State.GRACE,
            OVER=State.GRACE,
            OVERDUE=State.STOPPING,
            REFUSED=State.GRACE,
            GONE=State.STOPPED,
        ),
        State.STOPPING: _row(
            UNCERTAIN=State.STOPPING,
            AMPLE=State.OK,
            ENDING=State.WARNED,
            BARELY=State.GRACE,
            SPARED=State.OK,
            DOUBTED=State.STOPPING,
            OVER=State.STOPPING,
            OVERDUE=State.STOPPING,
            REFUSED=State.GRACE,
            GONE=State.STOPPED,
        ),
        State.STOPPED: _row(),
    }
)
