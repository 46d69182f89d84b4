"""What runs on a Dask worker: tasks that bring attempts, and tasks that fetch outcomes."""

from __future__ import annotations

import contextlib

from llm_sync.engines import worker
from llm_sync.engines.spool import SpoolFile, remove_folder, spools_in
from llm_sync.engines.wire import Hello


def greet(session: bytes) -> Hello:
    """Open the session in this worker process, and introduce it."""
    return worker.hello(session)


def bring(session: str, number: int, content: bytes) -> None:
    """Begin attempts, and return at once; see worker.bring."""
    worker.bring(session, number, content)


def fetch(session: str, linger: float) -> tuple[list[bytes], int]:
    """Wait for outcomes; see worker.fetch. Leaves the worker's thread pool to others meanwhile."""
    from distributed import secede

    secede()
    return worker.fetch(session, linger)


def finish(output: str) -> None:
    """End the sessions that former runs on an output have left in this worker process, when nothing of theirs is in flight."""
    worker.finish_sessions(output)


def spooled_lines(output: str) -> list[bytes]:
    """The lines of answers in the spools of former runs on an output, on this machine."""
    folder = worker.spool_folder(output)
    lines = []
    for path in spools_in(folder):
        with contextlib.closing(SpoolFile(path)) as file:
            lines += [line for _, line in file.read() if line]
    return lines


def clear(output: str) -> None:
    """Remove those spools: their answers are in the journal, or in the output."""
    worker.finish_sessions(output)
    remove_folder(worker.spool_folder(output))
