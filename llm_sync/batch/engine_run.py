"""A batch on an engine: answers that workers of killed runs have left are taken over, workers are started, and ended."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from llm_sync.batch.state import journal_format, records
from llm_sync.batch.state.journal import Journal
from llm_sync.batch.state.records import RequestIdentity, head_of, journal_line, record_of
from llm_sync.events import logger
from llm_sync.models import ModelResponse
from llm_sync.models.grammar import counted

if TYPE_CHECKING:
    from llm_sync.batch.context import BatchContext
    from llm_sync.client.client import LLMClient
    from llm_sync.engines.engine import EngineRun

_WAIT_S = 10.0  # for workers that a killed coordinator has left: they end within some seconds

_log = logger("batch")


def spools_of(journal: Journal) -> str:
    """The folder of a run's spools."""
    return f"{journal.path}.spools"


def spooled_line(identity: RequestIdentity, response: ModelResponse) -> bytes:
    """What a worker notes beside an answer: the line that the journal gets if nobody else writes it."""
    head = head_of(identity, response)
    return journal_line(head, record_of(identity, response, head))


def engine_run(on: Any, client: LLMClient, journal: Journal) -> EngineRun | None:
    """The engine of a run that was asked to use one. Starts nothing. Raises InvalidRequestError, ConfigurationError."""
    if on is None:
        return None
    from llm_sync.engines import engine_for
    from llm_sync.engines.engine import EngineRun

    return EngineRun(engine_for(on), client, spools_of(journal), spooled_line)


def collect(journal: Journal, engine: EngineRun | None, output: str) -> None:
    """Take over the answers that workers of killed runs have left, before anything is planned.

    Only those of requests that the journal has as sent without an outcome. Those on other machines need the engine.
    Raises OSError; LLMConnectorError if the engine cannot be reached.
    """
    folder = spools_of(journal)
    is_local, missing = os.path.isdir(folder), Counter[bytes]()
    if is_local or (engine is not None and not journal.is_empty()):
        missing = +_open_requests(journal.path)
    taken = 0
    if missing and engine is not None:  # first: it ends what its workers still have in flight
        taken += take_lines(journal, engine.collect(name_of(output)), missing)
    if is_local:
        taken += _collect_here(journal, folder, missing)
    journal.sync(now=True)
    if taken:
        _log.info("%s taken over from the workers of a run that was killed", counted(taken, "answer"))
    if missing and engine is not None:
        engine.clear(name_of(output))


def _collect_here(journal: Journal, folder: str, missing: Counter[bytes]) -> int:
    """Take lines from the spools on this machine, and remove those."""
    from llm_sync.engines.spool import SpoolFile, remove_folder, require_private, spools_in

    require_private(folder)
    paths = spools_in(folder)
    _wait_for(paths)
    taken = 0
    for path in paths:
        with contextlib.closing(SpoolFile(path)) as file:
            taken += take_lines(journal, (line for _, line in file.read()), missing)
    journal.sync(now=True)
    remove_folder(folder)
    return taken


def name_of(output: str) -> str:
    """What names a run's spools on other machines, the same for each run on an output."""
    return hashlib.sha256(f"{socket.gethostname()}\0{output}".encode("utf-8", "surrogateescape")).hexdigest()[:32]


def take_lines(journal: Journal, lines: Iterable[bytes], missing: Counter[bytes]) -> int:
    """Write the spooled lines of requests without an outcome to the journal; return how many."""
    taken = 0
    for line in lines:
        is_one = line.find(b"\n") == len(line) - 1  # it goes into the journal as it is
        if is_one and records.read_head(line) is not None and missing[key := records.key_of(line)] > 0:
            journal.add(line)
            missing[key] = 0
            taken += 1
    return taken


def _wait_for(paths: list[str]) -> None:
    """Wait until the workers that still write spools have ended: what they have in flight is paid for."""
    from llm_sync.machine.locks import is_locked

    until = time.monotonic() + _WAIT_S
    if any(map(is_locked, paths)):
        _log.warning("waiting up to %g s for the workers of a run that was killed", _WAIT_S)
    while any(map(is_locked, paths)) and time.monotonic() < until:
        time.sleep(0.05)


def _open_requests(path: str) -> Counter[bytes]:
    """How often each request was sent without an outcome, by its key in the journal."""
    counts: Counter[bytes] = Counter()
    for _, whole in journal_format.lines_of(path):
        for line in journal_format.pieces_of(whole):
            with contextlib.suppress(ValueError):
                if line.startswith(b'{"started": ['):
                    counts[records.key_of(line)] += 1
                elif line.startswith((b'{"unsent": [', b'{"done": [')):
                    counts[records.key_of(line)] -= 1
                elif line.startswith(b'{"finished": ['):
                    counts.clear()
    return counts


@contextlib.contextmanager
def running(engine: EngineRun | None, context: BatchContext, providers: Iterable[str], output: str) -> Iterator[None]:
    """The engine's workers, while something is sent; without an engine nothing."""
    if engine is None:
        yield
        return
    is_whole = False
    try:
        context.dispatcher = engine.open(providers, name_of(output))
        context.engine = engine
        yield
        is_whole = True
    finally:
        engine.close(keeps_spools=not is_whole)
