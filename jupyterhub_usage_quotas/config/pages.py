"""The options of what the Hub's own pages show of quotas."""

from __future__ import annotations

from traitlets import Bool, HasTraits, Unicode

from ..quotas.phrases import mark
from .traits import WholeNumber


class PageOptions(HasTraits):
    """What the Hub's pages show, and the message of a denied launch."""

    show_in_header = Bool(
        True,
        help="""
        Whether every page of the Hub says in its header how much is left of the user's tightest
        quota, with a link to the Usage Quota Dashboard.
        """,
    ).tag(config=True)

    show_at_launch = Bool(
        True,
        help="""
        Whether the pages on which servers are started say what is left of every quota of the user,
        and how long each profile could run now.
        """,
    ).tag(config=True)

    suggest_alternatives = Bool(
        True,
        help="""
        Whether the page of a denied launch says which other profiles could be started now.
        """,
    ).tag(config=True)

    contact = Unicode(
        mark("If you need more, contact the administrators of this JupyterHub."),
        help="""
        The last sentence of a denial: who can help. Plain text; addresses that start with
        https:// become links.
        """,
    ).tag(config=True)

    denied_status = WholeNumber(
        429,
        400,
        599,
        "an HTTP status",
        help="""
        The HTTP status of a launch denied by a quota; 422 is what 2i2c's package answers. What is
        said is the same with 403, which other quota systems answer.
        """,
    ).tag(config=True)

    unavailable_status = WholeNumber(
        503,
        400,
        599,
        "an HTTP status",
        help="""
        The HTTP status of a launch denied because usage is not known; 424 is what 2i2c's package
        answers.
        """,
    ).tag(config=True)
