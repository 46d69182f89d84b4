"""The ordered output: made of what is in the journal and in an earlier output, in memory for one record, and put in place."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from llm_sync.batch.context import Work
from llm_sync.batch.input.requests import line_digest
from llm_sync.batch.state import records
from llm_sync.batch.state.index import TO_SEND, Entry
from llm_sync.batch.state.journal import Sum
from llm_sync.errors import LLMConnectorError

_GZIP_LEVEL = 6
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def finish(work: Work, output: str, replaced: list[Entry], written: Callable[[Sum], object], *, moved: bool) -> None:
    """Write every slot's record to ``output``, which changes only when all is written, and ``written`` was told.

    ``replaced``: answers that no line of the input belongs to any more; they are added to ``output``.replaced first.
    ``moved``: whether there are records that say another position than they have now.
    Raises OSError; LLMConnectorError where a record is missing.
    """
    if replaced:
        _keep(work, replaced, f"{output}.replaced")
    size = crc = 0
    with replacing(output, f"{output}.part.new") as file:  # whatever a killed run left of it is overwritten
        expected = 0
        for slot, entry in work.slots.walk():
            if slot != expected or entry.state == TO_SEND:
                break
            expected += 1
            content = work.records.content(entry)
            if moved and work.records.head(entry).position != work.selection.position(slot):
                content = records.reindexed(content, work.selection.position(slot))
            line = content + b"\n"
            size, crc = size + len(line), zlib.crc32(line, crc)
            file.write(line)
        if expected != work.slots.count:
            raise LLMConnectorError(f"request {expected} of the batch has no outcome", guidance="Run the same command again.")
        written((size, crc))


def _keep(work: Work, replaced: list[Entry], path: str) -> None:
    """Add records to a file, each once: a run that was killed before its end may have done so before."""
    with open(path, "a+b") as file:
        file.seek(0)
        there, last = set(), b"\n"
        for last in file:
            there.add(line_digest(last))
        if not last.endswith(b"\n"):  # half a record, which that run left: none is to be glued to it
            file.write(b"\n")
        for entry in replaced:
            content = work.records.content(entry)
            if line_digest(content) not in there:
                file.write(content + b"\n")
        _settle(file)


@contextlib.contextmanager
def replacing(output: str, beside: str | None = None) -> Iterator[IO[bytes]]:
    """A file to write to (gzip by the name) that becomes ``output`` when the block ends well. Raises OSError.

    ``beside``: its path until then, which nobody else uses; None for a new one.
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
                # No name and no time in it: the same answers make the same file.
                with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as zipped:
                    yield zipped  # type: ignore[misc]  # GzipFile is an IO[bytes] in all that is used
            else:
                yield file
            _settle(file)
        os.replace(beside, output)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    _settle_folder(folder)


def _settle(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _settle_folder(folder: str) -> None:
    """The new name survives a power cut, too, before the journal goes."""
    if os.name == "posix":
        descriptor = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _mode(output: str) -> int:
    """The mode of the file that is replaced, else what a new file gets."""
    try:
        return stat.S_IMODE(os.stat(output).st_mode)
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
