"""The options of a run, and the format of the input that they describe."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_sync.batch.input.formats import JSONLines, LineFormat, TextLines
from llm_sync.batch.input.table import Table
from llm_sync.errors import InvalidRequestError

DAY_S = 86400.0
POLL_EVERY_S = 60.0


@dataclass(frozen=True)
class Options:
    """The options of ``llm_sync.batch.run``; ``docs/batch.md`` describes them at length.

    What is asked. ``models``: send each line to each of these, whichever it names. ``fields``: fields of ModelRequest for lines
    without them. ``limit``: use only the first lines. ``shard``: (I, N) uses every N-th line from the I-th on.

    The input's format. ``text``: each line is a prompt. ``template``: the file is CSV, and ``{column}`` in the template is
    replaced by a row's value; ``delimiter``: the separator, guessed if None; ``id_column``: the column of ids, by default
    ``id``; ``skip_blank``: columns without whose value a row is left out. ``allow_files``: folders whose images the lines of an
    input file may name, beside those below its own. ``dedupe``: of lines that ask the same model the same, send only the
    first; the records of the others have ``duplicate_of``, its index. ``skip_bad_lines``: count lines that cannot be sent as
    failures; otherwise they are an error, and nothing is sent.

    What comes back. ``keep``: names of fields that a line has beside its request's (``reference``, ``meta.source``, ``meta.*``,
    columns of a table); its record has them under ``input``. ``keep_all``: keep all of them. ``failed``: a file that gets the
    records of all failures.

    Running again. ``add_model``: keep the answers of all models that previous runs have asked, and ask ``models``. ``restart``:
    start over; the old journal is kept as ``output``.part.old. ``retry_failed``: ask all failures of previous runs again, not
    only those that may succeed now. ``retry_timeouts``: send requests that timed out again, although they may be billed twice
    (None: as the configuration says). ``retry_truncated``: send requests again whose answers were truncated; another
    ``max_tokens`` is no changed setting then, and a truncated answer stays if nothing better comes. ``allow_changed_settings``:
    keep answers given under other settings.

    Limits. ``timeout``, ``deadline`` (seconds) and ``max_retries`` as for LLMClient's calls; the deadline starts again after a
    cool-down. ``max_cool_down``: the longest pause in seconds that a provider may ask for. ``give_up_after``: after so many
    failures in a row over its key, permission or credit, a provider gets no more requests, likewise a model that does not exist
    (0: never). ``fail_fast``: send nothing more after the first failure. ``strict_route``: of a route, ask the first
    model only.

    How it is sent. ``via``: "direct", "background" or "batch" (the provider's Batch API) for every line whose provider has that
    way; None: as the configuration says. With "batch": ``no_wait``: submit the jobs and return, the same call collects later;
    ``rebuy``: send lines again that a job of unknown fate may have answered, and billed; ``keep_files``: leave the files at the
    provider that collected jobs have left there; ``poll_every``: seconds between two looks at a job.
    """

    models: Sequence[str] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    text: bool = False
    template: str | None = None
    delimiter: str | None = None
    id_column: str | None = None
    skip_blank: Sequence[str] = ()
    limit: int | None = None
    shard: tuple[int, int] | None = None
    add_model: bool = False
    restart: bool = False
    skip_bad_lines: bool = False
    retry_failed: bool = False
    retry_timeouts: bool | None = None
    retry_truncated: bool = False
    allow_changed_settings: bool = False
    timeout: float | None = None
    deadline: float | None = None
    max_retries: int | None = None
    max_cool_down: float = DAY_S
    give_up_after: int = 10
    fail_fast: bool = False
    strict_route: bool = False
    allow_files: Sequence[str | os.PathLike[str]] = ()
    keep: Sequence[str] = ()
    keep_all: bool = False
    dedupe: bool = False
    failed: str | os.PathLike[str] | None = None
    via: str | None = None
    no_wait: bool = False
    rebuy: bool = False
    keep_files: bool = False
    poll_every: float = POLL_EVERY_S

    def line_format(self) -> LineFormat:
        """The format of the input. Raises InvalidRequestError for an invalid template."""
        if self.text and self.template is not None:
            raise InvalidRequestError("text and template exclude each other", guidance="A template is for CSV.")
        if self.template is None and (self.id_column is not None or self.skip_blank):
            raise InvalidRequestError("id_column and skip_blank are for CSV", guidance="Give a template, too.")
        if self.add_model and (self.restart or not self.models):
            what = "a restart keeps no answers" if self.restart else "no model is named"
            raise InvalidRequestError(f"add_model: {what}", guidance="Name the model to add, and do not start over.")
        if self.text and (self.keep or self.keep_all):
            raise InvalidRequestError("lines of text have no fields to keep", guidance="keep is for JSON and CSV.")
        if self.text:
            return TextLines()
        if self.template is None:
            return JSONLines()
        return Table(self.template, self.delimiter, id_column=self.id_column, skip_blank=self.skip_blank)

    def attempts(self) -> dict[str, Any]:
        """The attempt options for every request."""
        return {"timeout": self.timeout, "deadline": self.deadline, "max_retries": self.max_retries}
