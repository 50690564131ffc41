"""The option for the language of everything that users read."""

from __future__ import annotations

from functools import cached_property

from traitlets import Unicode
from traitlets.config import LoggingConfigurable

from ..errors import ConfigurationError
from ..status.catalogues import load_language
from ..status.language import Language


class LanguageOptions(LoggingConfigurable):
    """The part of `UsageConfig` about the language of pages and messages."""

    language = Unicode(
        "en",
        help="""
        The language of all that users read: denials, the dashboard, what the Hub's pages show. "en"
        and "de" come with this package; "en_US" is English with the names of days and months
        as in the United States. Logs and command lines are in English.
        """,
    ).tag(config=True)

    language_folder = Unicode(
        "",
        help="""
        A folder with gettext catalogues of your own, for example `fr.po`: languages that do not
        come with this package, or other words for some texts in those that do.
        """,
    ).tag(config=True)

    def language_errors(self) -> list[str]:
        """What is wrong with the language and its catalogues."""
        try:
            load_language(self.language, self.language_folder)
        except ConfigurationError as error:
            return list(error.errors)
        return []

    @cached_property
    def texts(self) -> Language:
        """The configured language; raises `ConfigurationError`."""
        return load_language(self.language, self.language_folder)
