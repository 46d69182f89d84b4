"""Files of the simulated providers: uploaded ones and results. Their content is on disk, so that it needs no memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StoredFile:
    """``owner``: provider and key that see it; ``created`` and ``expires``: Unix times, None: it is kept."""

    id: str
    owner: tuple[str, str]
    name: str
    purpose: str
    path: Path
    size: int
    created: float
    expires: float | None = None

    def lines(self, start: int = 0) -> Iterator[bytes]:
        """Its lines from the byte ``start`` on, each with its newline."""
        if self.size:
            with self.path.open("rb") as file:
                file.seek(start)
                yield from file


class FileStore:
    """All files of one simulator, in a folder that is made for the first one. Used by one thread at a time."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._files: dict[str, StoredFile] = {}
        self._count = 0

    def new_path(self) -> Path:
        """The path of a new file, which does not exist yet."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="llm-sync-simulator-files-"))
        self._count += 1
        return self._folder / str(self._count)

    def add(self, file: StoredFile) -> StoredFile:
        """Keeps a file whose content is at its path; returns it."""
        self._files[file.id] = file
        return file

    def get(self, identifier: str, owner: tuple[str, str], now: float) -> StoredFile | None:
        """The file, unless it is unknown, belongs to another owner or has expired."""
        file = self._files.get(identifier)
        if file is None or file.owner != owner or (file.expires is not None and file.expires <= now):
            return None
        return file

    def of_any_owner(self, identifier: str) -> StoredFile | None:
        """The file with an id that is known to its owner only."""
        return self._files.get(identifier)

    def listed(self, owner: tuple[str, str], now: float) -> list[StoredFile]:
        """An owner's files, the newest first."""
        return [file for file in self._files.values() if self.get(file.id, owner, now)][::-1]

    def delete(self, file: StoredFile) -> None:
        """Forgets a file. Its content stays until the end: a job may still read it."""
        del self._files[file.id]

    def close(self) -> None:
        """Removes everything."""
        self._files.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
