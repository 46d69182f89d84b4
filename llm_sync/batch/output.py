"""Writes the ordered output from the journal and the previous output, one record at a time, and then replaces the file."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.requests import line_digest
from llm_sync.batch.state import records
from llm_sync.batch.state.index import TO_SEND, Entry
from llm_sync.batch.state.journal import OutputChecksum
from llm_sync.errors import LLMConnectorError

_GZIP_LEVEL = 6
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def finish(
    context: BatchContext,
    output: str,
    replaced: list[Entry],
    written: Callable[[OutputChecksum], object],
    *,
    moved: bool,
) -> None:
    """Write every slot's record to a new file, call ``written`` with its checksum, and replace ``output`` by it.

    ``replaced``: answers whose lines are gone; they are appended to ``output``.replaced first. ``moved``: whether records may
    hold another position than they have now. Raises OSError; LLMConnectorError if a record is missing.
    """
    if replaced:
        _keep(context, replaced, f"{output}.replaced")
    size = crc = 0
    with replacing(output, f"{output}.part.new") as file:  # overwrites what a killed run left
        expected = 0
        for slot, entry in context.index.walk():
            if slot != expected or entry.state == TO_SEND:
                break
            expected += 1
            content = context.records.content(entry)
            if moved and context.records.head(entry).position != context.selection.position(slot):
                content = records.reindexed(content, context.selection.position(slot))
            line = content + b"\n"
            size, crc = size + len(line), zlib.crc32(line, crc)
            file.write(line)
        if expected != context.index.count:
            raise LLMConnectorError(f"request {expected} of the batch has no outcome", guidance="Run the same command again.")
        written((size, crc))


def _keep(context: BatchContext, replaced: list[Entry], path: str) -> None:
    """Append records to a file, except those that a previous, killed run has already appended."""
    with open(path, "a+b") as file:
        file.seek(0)
        present, last = set(), b"\n"
        for last in file:
            present.add(line_digest(last))
        if not last.endswith(b"\n"):  # a partial record, which that run left
            file.write(b"\n")
        for entry in replaced:
            content = context.records.content(entry)
            if line_digest(content) not in present:
                file.write(content + b"\n")
        _sync(file)


@contextlib.contextmanager
def replacing(output: str, beside: str | None = None) -> Iterator[IO[bytes]]:
    """A new file to write to (gzip if ``output`` ends in .gz), which replaces ``output`` if the block succeeds. Raises OSError.

    ``beside``: its path until then, used by no one else; None for a new temporary one.
    """
    folder = os.path.dirname(output)
    if beside is None:
        descriptor, beside = tempfile.mkstemp(dir=folder, prefix=f".{os.path.basename(output)[:100]}.")
    else:
        descriptor = os.open(beside, _NEW, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=1 << 18) as file:
            os.chmod(beside, _mode(output))
            if output.endswith(".gz"):
                # Without name and time in the header, the same answers make the same file.
                with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as zipped:
                    yield zipped  # type: ignore[misc]  # GzipFile has all methods of IO[bytes] that are used
            else:
                yield file
            _sync(file)
        os.replace(beside, output)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    _sync_folder(folder)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: str) -> None:
    """Make the rename survive a power cut, before the journal is removed."""
    if os.name == "posix":
        descriptor = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _mode(output: str) -> int:
    """The permissions of the file that is replaced, otherwise those of a new file."""
    try:
        return stat.S_IMODE(os.stat(output).st_mode)
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
