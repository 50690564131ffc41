"""Certificates of a made-up CA, as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """A CA that nobody else knows."""

    def __init__(self, directory: Path) -> None:
        """Make it; its files are put in `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._ca = trustme.CA()
        self.file = directory / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def issue(self, name: str) -> Pair:
        """A certificate for a host or a client."""
        issued = self._ca.issue_cert(name)
        pair = Pair(self._directory / f"{name}.pem", self._directory / f"{name}-key.pem")
        issued.cert_chain_pems[0].write_to_path(str(pair.certificate))
        issued.private_key_pem.write_to_path(str(pair.key))
        return pair
