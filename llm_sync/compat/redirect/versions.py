"""The distribution that ``importlib.metadata`` gets for an original."""

from __future__ import annotations

from importlib.metadata import Distribution, PackagePath
from os import PathLike
from pathlib import Path


class StandInDistribution(Distribution):
    """A distribution with only a name and a version."""

    def __init__(self, name: str, version: str) -> None:
        self._metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"

    def read_text(self, filename: str | PathLike[str]) -> str | None:
        """The metadata; there are no other files."""
        return self._metadata if str(filename) in ("METADATA", "PKG-INFO") else None

    def locate_file(self, path: str | PathLike[str] | PackagePath) -> Path:  # type: ignore[override,unused-ignore]
        """Where a file of it would be; there is none."""
        return Path(__file__).with_name(str(path))
