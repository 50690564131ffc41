"""The mixins of the credit service: an authenticator whose users have credits, and a spawner whose
servers cost some.

They rely on nothing but what `super()` reaches wherever they are among the bases of a class.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.spawner import Spawner
from jupyterhub.utils import maybe_future

from ...config.credits.traits import BillingTraits, CreditTraits
from ..launch.request import subject_of_user
from .running import RUNNING


class CreditsAuthenticator(CreditTraits, Authenticator):  # type: ignore[misc] # untyped
    """Mixed into any authenticator, gives its users credits."""

    async def run_post_auth_hook(self, handler: Any, auth_model: Any) -> Any:
        """See `Authenticator`; what the admin's functions give is looked up at every login."""
        model = await super().run_post_auth_hook(handler, auth_model)
        if (terms := RUNNING.get(self.parent)) is not None and model:
            await terms.logged_in(model, handler)
        return model

    async def add_user(self, user: Any) -> None:
        """See `Authenticator`: now the Hub has the user."""
        await maybe_future(super().add_user(user))
        if (terms := RUNNING.get(self.parent)) is not None:
            await terms.agree(subject_of_user(user), logs=True)


class CreditsSpawner(BillingTraits, Spawner):  # type: ignore[misc] # untyped
    """Mixed into any spawner, says what its servers cost: the launch reads its options.

    JupyterHub refuses a spawner without these methods; the other bases have them.
    """

    async def start(self) -> Any:
        """See `Spawner`."""
        return await maybe_future(super().start())

    async def stop(self, now: bool = False) -> Any:  # noqa: FBT001, FBT002 as the Hub calls it
        """See `Spawner`."""
        return await maybe_future(super().stop(now=now))

    async def poll(self) -> Any:
        """See `Spawner`."""
        return await maybe_future(super().poll())
