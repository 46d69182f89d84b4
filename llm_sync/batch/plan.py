"""The plan of a run: which requests it sends, and which outcomes it already has. Data only; planner.py makes it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from llm_sync.batch.state.index import Entry
from llm_sync.batch.state.records import Key
from llm_sync.batch.summary import Tally
from llm_sync.errors import InvalidRequestError, LLMConnectorError, ModelNotFoundError, StreamingNotSupportedError
from llm_sync.models.route import Route

LINE_ERRORS = (InvalidRequestError, ModelNotFoundError, StreamingNotSupportedError)
"""Errors of a single line; others end the run."""


class BadLine(NamedTuple):
    """A line that cannot be sent: its number in the input (from 1), slot and hash, the error, and the line's id if known."""

    number: int
    slot: int
    line: str
    error: LLMConnectorError
    id: str | int | None = None


@dataclass
class Plan:
    """What a run sends and keeps.

    ``requests``: the number of requests. ``to_send``: those to be sent, by provider. ``kept``: outcomes that are kept, by
    provider (None: of lines that could not be read). ``again``: failures that are asked again. ``changed``: lines that changed
    since they were answered. ``moved``: answers found at another position. ``replaced``: answers whose lines are gone.
    ``absent``: slots without an outcome that are not asked. ``edited``: lines that changed, but not in what is sent.
    ``renamed``: lines whose own model is overridden. ``stray_settings``, ``stray_models``: answers given under other settings,
    or by other models than this run would ask. ``truncated``: truncated answers that are asked again, by slot: each stays if
    nothing better comes. ``unsure``: sendings with an unknown outcome, by the request that the line now stands for; ``gone``:
    the number of those whose lines are gone.
    """

    requests: int = 0
    to_send: Counter[str] = field(default_factory=Counter)
    kept: defaultdict[str | None, Tally] = field(default_factory=lambda: defaultdict(Tally))
    again: int = 0
    changed: int = 0
    moved: int = 0
    replaced: list[Entry] = field(default_factory=list)
    renamed: int = 0
    absent: int = 0
    edited: int = 0
    truncated: dict[int, Entry] = field(default_factory=dict)
    stray_settings: Counter[tuple[str, Route]] = field(default_factory=Counter)
    stray_models: int = 0
    unsure: Counter[Key] = field(default_factory=Counter)
    gone: int = 0
