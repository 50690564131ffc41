"""The handlers of the Hub's endpoints, which are in the Hub's own URL space: a server reaches them
wherever it runs, since it always reaches its Hub.
"""

from __future__ import annotations

import json
from typing import Any

from jupyterhub.apihandlers.base import APIHandler
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError
from tornado.web import HTTPError

from ...status.permissions import permissions_of
from ..launch.request import subject_of_user
from ..types import HubUser
from .answers import Answers

LONGEST_NAME = 255
"""Characters of a server's name that are looked up."""


class UserHandler(APIHandler):  # type: ignore[misc] # the Hub's class, which has no types
    """What all endpoints about one user have in common."""

    def visible(self, name: str) -> HubUser:
        """The user of this name, if the visitor may see their usage. Nobody learns which names
        others have: those are not found either.
        """
        if self.current_user is None:
            raise HTTPError(403, "Missing or invalid credentials.")
        found: HubUser | None = self.find_user(name)
        if found is None or not self.permissions.may_read(subject_of_user(found)):
            raise HTTPError(404)
        return found

    @property
    def permissions(self) -> Any:
        """What the visitor's token or session may see."""
        visitor = self.current_user
        viewing = {
            "name": visitor.name,
            "kind": "user" if hasattr(visitor, "spawners") else "service",
            "admin": getattr(visitor, "admin", False),
            "scopes": list(self.expanded_scopes),
        }
        return permissions_of(viewing, by_token=getattr(self, "_token_authenticated", False))

    def answer(self, content: BaseModel, status: int = 200) -> None:
        """Answer with a model."""
        self.set_status(status)
        self.set_header("Cache-Control", "private, no-cache")
        self.finish(_as_json(content))


class StatusHandler(UserHandler):
    """`users/{name}`: where a user stands."""

    def initialize(self, answers: Answers) -> None:
        """`answers` makes what is answered."""
        self._answers = answers

    async def get(self, name: str) -> None:
        """The status, and what the user could start: in place of the server that the parameter
        `server` names, else beside all that runs.
        """
        user = self.visible(name)
        server = self.get_query_argument("server", None)
        if server is not None and len(server) > LONGEST_NAME:
            raise HTTPError(400, f"server: got {len(server)} characters; expected the name of one")
        self.answer(await self._answers.about(user, server))


def _as_json(model: BaseModel) -> str:
    try:
        return model.model_dump_json(by_alias=True)
    except PydanticSerializationError:
        # Some name is not valid Unicode. JSON can hold it, escaped.
        return json.dumps(model.model_dump(mode="python", by_alias=True), default=str)
