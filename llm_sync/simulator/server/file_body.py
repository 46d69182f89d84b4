"""The body of a response that is a file, sent piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PIECE = 256 * 1024


class FileBody(NamedTuple):
    """The content of a file, which need not exist: then it is empty."""

    path: Path

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    def pieces(self) -> Iterator[bytes]:
        """Its content; no more than ``size`` bytes at the time of the first piece."""
        left = self.size
        if left:
            with self.path.open("rb") as file:
                while left and (piece := file.read(min(_PIECE, left))):
                    left -= len(piece)
                    yield piece

    def read(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces())
