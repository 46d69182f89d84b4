"""The preparation of a run: opens the input, reads previous runs, reports bad lines, and refuses what cannot work."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from llm_sync.batch import errors as batch_errors
from llm_sync.batch.context import BatchContext
from llm_sync.batch.former_models import former_models
from llm_sync.batch.input.formats import NOT_AN_OBJECT, JSONLines
from llm_sync.batch.input.json_document import as_json_lines
from llm_sync.batch.input.kept_fields import KeptFields
from llm_sync.batch.input.line_ids import LineIds
from llm_sync.batch.input.requests import RequestBuilder
from llm_sync.batch.input.selection import Selection
from llm_sync.batch.input.source import Input, open_source
from llm_sync.batch.input.table import Table
from llm_sync.batch.line_routes import LineRoutes
from llm_sync.batch.options import Options
from llm_sync.batch.plan import BadLine, Plan
from llm_sync.batch.review import needs_review
from llm_sync.batch.state import records
from llm_sync.batch.state.finished_output import FinishedOutput
from llm_sync.batch.state.index import JOURNAL_LINE, Entry, Index, NumberFile, RouteTable
from llm_sync.batch.state.journal import Journal
from llm_sync.batch.state.journal_format import unfinished_part
from llm_sync.batch.state.previous_runs import PreviousRuns
from llm_sync.batch.state.record_store import RecordStore
from llm_sync.batch.state.records import Head
from llm_sync.client.client import LLMClient
from llm_sync.client.request_files import RequestFiles, allowed_folders
from llm_sync.config.routing import route
from llm_sync.config.ways import checked_way
from llm_sync.errors import InvalidRequestError
from llm_sync.events import logger
from llm_sync.models.grammar import counted

if TYPE_CHECKING:
    from llm_sync.batch.state.background_notes import BackgroundNotes

_UNRELATED = 10  # if there are so many answers, and none belongs to any line, it is another input

_log = logger("batch")


class BadLines:
    """Collects the lines that cannot be sent. With ``skip_bad_lines`` each becomes a failure in the journal (None: a dry run)."""

    def __init__(self, context: BatchContext, journal: Journal | None) -> None:
        self._context = context
        self._journal = journal
        self._first: list[BadLine] = []
        self._last = 0
        self._not_objects = 0
        self.count = 0

    def add(self, line: BadLine) -> tuple[Head, Entry] | None:
        """Add a line, and return its outcome if it gets one."""
        if line.number != self._last:  # count a line once, not once per model
            self._last = line.number
            self.count += 1
            self._not_objects += line.error.guidance == NOT_AN_OBJECT
            if self.count <= batch_errors.MAX_LISTED_LINES:
                self._first.append(line)
        if not self._context.options.skip_bad_lines:
            return None
        source = self._context.source
        _log.warning("%s %d of %s is skipped: %s", source.unit, line.number, source.name, line.error)
        models = self._context.selection.models
        target = (None, None) if models is None else models[line.slot % len(models)]
        identity = self._context.identity(line.slot, line.line, target, id=line.id)
        head = records.head_of(identity, line.error)
        offset = 0
        if self._journal is not None:
            offset = self._journal.add(records.journal_line(head, records.record_of(identity, line.error, head)))
            if offset < 0:
                raise self._journal.failure or OSError()
        return head, Entry(JOURNAL_LINE, self._context.routes.number(*target), offset)

    def refuse(self, plan: Plan) -> None:
        """Raise InvalidRequestError if there are bad lines, unless they may be skipped."""
        if self.count and not self._context.options.skip_bad_lines:
            no_objects = self._not_objects == self.count and not plan.to_send and not plan.kept
            raise batch_errors.bad_lines(self._first, self.count, self._context.source, no_objects=no_objects)


def refuse(context: BatchContext, plan: Plan, previous: PreviousRuns, output: str, *, check_providers: bool = True) -> None:
    """Raise an error if the run must not send anything. ``output``: where the previous answers are."""
    context.ids.report(context.source, refuse=context.line_format.openai)
    if len(plan.replaced) >= _UNRELATED and not any(tally.answered for tally in plan.kept.values()):
        raise batch_errors.another_input(output, len(plan.replaced))
    stray = batch_errors.strays(output, previous.elsewhere, plan)
    if stray is not None:
        raise stray
    allowed = context.options.allow_changed_settings
    changed = batch_errors.changed_settings(output, plan, previous.settings, context.settings_for, allowed=allowed)
    if changed is not None:
        raise changed
    if check_providers:
        context.client.check_providers(
            name
            for name, count in plan.to_send.items()
            if count and name in context.unstored and not context.client.dispatcher.is_offline
        )


def checked_output(output: str | os.PathLike[str], requests: Input) -> str:
    """The real path of an output, links resolved. Raises OSError if it cannot become one."""
    given = os.fspath(output)
    if not os.path.basename(given) or given == "-":
        raise OSError(errno.EINVAL, "it is not a file name, which a batch needs to resume from", given)
    path = os.path.realpath(given)
    os.stat(os.path.dirname(path))
    try:
        os.lstat(f"{path}.part.new")  # the longest name needed: fail now, not after everything is paid for
    except FileNotFoundError:
        pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, given) from None
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(given).st_mode  # not of ``path``: a pipe at /dev/stdout has none of its own
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not an ordinary file, which could be replaced at the end", path)
        if not os.access(path, os.W_OK):  # the folder would allow replacing it, but the file is write-protected
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        if isinstance(requests, (str, os.PathLike)) and os.fspath(requests) != "-" and os.path.samefile(requests, path):
            raise OSError(errno.EINVAL, "it is the input, too", path)
    return path


def _file_folders(requests: Input, allowed: Sequence[str | os.PathLike[str]]) -> list[str] | None:
    """The folders whose files an input may name; None: any, as the program itself names them."""
    if isinstance(requests, (str, os.PathLike)):
        return allowed_folders(os.fspath(requests), allowed)
    return allowed_folders("-", allowed) if hasattr(requests, "read") else None


@contextlib.contextmanager
def opened(
    options: Options, client: LLMClient, requests: Input, output: str, store: RecordStore, *, folder: str | None = None
) -> Iterator[BatchContext]:
    """The parts of a run. ``folder``: for unnamed temporary files; by default the output's.

    Raises OSError and InvalidRequestError if the input cannot be read.
    """
    folder = folder or os.path.dirname(output)
    checked_way(options.via)
    models = tuple(route(client.config, model) for model in options.models) or None
    if models is not None and len(set(models)) < len(models):
        raise InvalidRequestError("a model is named twice", guidance="Name each model once; every line is sent to each.")
    selection = Selection.of(options.shard, options.limit, models)
    if options.add_model:
        selection = selection.with_former(former_models(output, folder))
    line_format = options.line_format()
    # The client's own configuration: in a simulation it differs from the one that the caller gave.
    files = RequestFiles(_file_folders(requests, options.allow_files))
    dispatcher = client.dispatcher
    strictness = {"strict": dispatcher.strict, "strict_streaming": dispatcher.strict_streaming}
    kept = KeptFields(options.keep, keep_all=options.keep_all)
    builder = RequestBuilder(dispatcher.config, options.fields, files, kept=kept, strict_route=options.strict_route, **strictness)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(contextlib.closing(open_source(requests, folder)))
        source.refuse_workbook()
        if isinstance(line_format, JSONLines):
            source = stack.enter_context(contextlib.closing(as_json_lines(source, folder)))
        line_format.begin(source)
        if isinstance(line_format, Table):
            kept.check(line_format.columns)
        index = stack.enter_context(contextlib.closing(Index(folder)))
        finished = stack.enter_context(contextlib.closing(FinishedOutput(output, folder)))
        hashes = stack.enter_context(contextlib.closing(NumberFile(folder)))
        ids = stack.enter_context(contextlib.closing(LineIds(folder)))
        settings_for = partial(builder.settings, line_format=line_format.settings)
        line_routes = LineRoutes(dispatcher.config, builder.route_name, settings_for, options.models)
        parts = (options, client, source, line_format, builder, selection, index, hashes, RouteTable(), store, finished, ids)
        yield BatchContext(*parts, kept, line_routes)


def checked_background(notes: BackgroundNotes | None, *, by_jobs: bool) -> BackgroundNotes | None:
    """The answers that earlier runs asked for in the background. Raises InvalidRequestError if jobs would buy them again."""
    if notes is not None and notes.left and by_jobs:
        raise InvalidRequestError(
            f"{counted(notes.left, 'answer')} of an earlier run in the background would be bought again by a job",
            guidance="Run it with --via background first, which fetches what is there; then with --via batch.",
        )
    return notes


def read_previous(context: BatchContext, output: str) -> PreviousRuns:
    """Read what previous runs left. Raises OSError, LLMConnectorError."""
    previous = PreviousRuns(
        *(context.selection, context.index, context.hashes, context.routes, context.store, needs_review(context)),
        os.path.dirname(output),
    )
    if context.options.restart:
        return previous
    part = f"{output}.part"
    has_journal = os.path.exists(part)
    since, anew = unfinished_part(part, context.finished.checksum) if has_journal and context.finished.exists else (0, False)
    # A run that began anew ignores the output that it is to replace, and so does the run that resumes it.
    if not anew:
        previous.read_output(output, context.finished)
    if has_journal:
        previous.read_journal(part, since)
    return previous
