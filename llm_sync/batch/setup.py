"""What comes before the first request: the input opened, earlier runs read, bad lines and misfits told."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from llm_sync.batch import errors as batch_errors
from llm_sync.batch.context import Options, Work
from llm_sync.batch.input.formats import PLAIN
from llm_sync.batch.input.requests import Questions
from llm_sync.batch.input.selection import Selection
from llm_sync.batch.input.source import Input, open_source
from llm_sync.batch.plan import BadLine, Plan, is_special
from llm_sync.batch.state import records as state_records
from llm_sync.batch.state.index import IN_JOURNAL, Entry, Numbers, Slots
from llm_sync.batch.state.journal import Journal, unfinished
from llm_sync.batch.state.previous_runs import Earlier, Records
from llm_sync.batch.state.records import Head
from llm_sync.batch.state.routes import Routes
from llm_sync.client.client import LLMClient
from llm_sync.config.routing import route
from llm_sync.errors import InvalidRequestError
from llm_sync.events import logger

_log = logger("batch")


class BadLines:
    """The lines that cannot be sent: told, and failures each where they may be skipped (then there is a journal)."""

    def __init__(self, work: Work, journal: Journal | None) -> None:
        self._work = work
        self._journal = journal
        self._first: list[BadLine] = []
        self._last = 0
        self._plain = 0  # those that are no object
        self.count = 0

    def add(self, line: BadLine) -> tuple[Head, Entry] | None:
        """Take in one; its outcome, where it gets one."""
        if line.number != self._last:  # each once, however many models are asked
            self._last = line.number
            self.count += 1
            self._plain += line.error.guidance == PLAIN
            if self.count <= batch_errors.MOST_TOLD:
                self._first.append(line)
        if not self._work.options.skip_bad_lines:
            return None
        _log.warning("line %d of %s is skipped: %s", line.number, self._work.source.name, line.error)
        models = self._work.selection.models
        place = (None, None) if models is None else models[line.slot % len(models)]
        asked = self._work.asked(line.slot, line.line, place, id=line.id)
        told = state_records.head(asked, line.error)
        where = 0
        if self._journal is not None:
            where = self._journal.add(state_records.journal_line(told, state_records.record_of(asked, line.error, told)))
            if where < 0:
                raise self._journal.failure or OSError()
        return told, Entry(IN_JOURNAL, self._work.routes.number(*place), where)

    def refuse(self, plan: Plan) -> None:
        """Raise InvalidRequestError where there are any, unless they may be skipped. ``plan``: what becomes of the others."""
        if self.count and not self._work.options.skip_bad_lines:
            all_plain = self._plain == self.count and not plan.to_send and not plan.kept
            raise batch_errors.bad_lines(self._first, self.count, self._work.source.name, all_plain=all_plain)


def refuse(work: Work, plan: Plan, earlier: Earlier, *, check_providers: bool = True) -> None:
    """Raise what keeps a run from sending anything."""
    stray = batch_errors.strays(earlier.elsewhere, plan)
    if stray is not None:
        raise stray
    allowed = work.options.allow_changed_settings
    changed = batch_errors.changed_settings(plan, earlier.settings, work.settings_for, allowed=allowed)
    if changed is not None:
        raise changed
    if check_providers:
        work.client.check_providers(name for name, count in plan.to_send.items() if count)


def checked_output(output: str | os.PathLike[str], requests: Input) -> str:
    """The path of an output, links followed. Raises OSError for one that cannot be."""
    given = os.fspath(output)
    if not os.path.basename(given) or given == "-":
        raise OSError(errno.EINVAL, "it is not a file name, which a batch needs to resume from", given)
    path = os.path.realpath(given)
    os.stat(os.path.dirname(path))
    try:
        os.lstat(f"{path}.part.new")  # the longest name that is needed: better refused now than when all is paid for
    except FileNotFoundError:
        pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, given) from None
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(given).st_mode  # what is no file may have no path of its own: a pipe at /dev/stdout
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not an ordinary file, which could be replaced at the end", path)
        if not os.access(path, os.W_OK):  # the folder would let it be replaced, but somebody has protected it
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        if isinstance(requests, (str, os.PathLike)) and os.fspath(requests) != "-" and os.path.samefile(requests, path):
            raise OSError(errno.EINVAL, "it is the input, too", path)
    return path


@contextlib.contextmanager
def opened(options: Options, client: LLMClient, requests: Input, output: str, *, folder: str | None = None) -> Iterator[Work]:
    """The parts of a run. ``folder``: where nameless files go, beside the output where none is named.

    Raises OSError and InvalidRequestError for an input that cannot be read.
    """
    folder = folder or os.path.dirname(output)
    models = tuple(route(client.config, model) for model in options.models) or None
    if models is not None and len(set(models)) < len(models):
        raise InvalidRequestError("a model is named twice", guidance="Name each once; each gets every line.")
    selection = Selection.of(options.shard, options.limit, models)
    form = options.form()
    # Not the configuration that it was given: they may be the caller's, or a rehearsal's.
    questions = Questions(client._config, options.fields, strict=client._strict)  # noqa: SLF001
    with contextlib.ExitStack() as ending:
        source = ending.enter_context(contextlib.closing(open_source(requests, folder)))
        form.begin(source)
        slots = ending.enter_context(contextlib.closing(Slots(folder)))
        finished = output if not options.restart else None
        records = ending.enter_context(contextlib.closing(Records(finished, f"{output}.part", folder)))
        hashes = ending.enter_context(contextlib.closing(Numbers(folder)))
        yield Work(options, client, source, form, questions, selection, slots, hashes, Routes(), records)


def read_earlier(work: Work, output: str) -> Earlier:
    """What earlier runs left. Raises OSError, LLMConnectorError."""
    earlier = Earlier(work.selection, work.slots, work.hashes, work.routes, work.records, is_special(work))
    if work.options.restart:
        return earlier
    part = f"{output}.part"
    started = os.path.exists(part)
    since, anew = unfinished(part, work.records.summed) if started and os.path.exists(output) else (0, False)
    # A run that began anew does not count on the output that it is to replace, nor do those that go on with it.
    if not anew:
        earlier.read_output(output)
    if started:
        earlier.read_journal(part, since)
    return earlier
