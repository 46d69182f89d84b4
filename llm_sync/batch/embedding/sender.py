"""Sends groups of texts. The worker writes the journal: a line before a group is sent, and one for each outcome after it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple

from llm_sync.batch.embedding import records
from llm_sync.batch.embedding.known import Outcome
from llm_sync.batch.embedding.records import Target
from llm_sync.batch.in_flight import InFlight
from llm_sync.batch.line_sending import outcome_in_steps
from llm_sync.batch.state.journal import Journal
from llm_sync.batch.state.journal_format import line_of
from llm_sync.client.division import MAX_ALIKE, may_divide
from llm_sync.client.embedding import other_length
from llm_sync.errors import LLMConnectorError
from llm_sync.models import PreparedRequest, Usage
from llm_sync.models.embeddings import EmbeddingResponse
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import Steps, run


@dataclasses.dataclass
class Division:
    """How the parts of a group that was refused have fared: the thread of the batch alone reads and writes it."""

    error: LLMConnectorError
    alike: int = 0
    taken: bool = False

    @property
    def is_hopeless(self) -> bool:
        """Whether the parts that are left need not be tried."""
        return self.alike >= MAX_ALIKE and not self.taken


class Group(NamedTuple):
    """Texts that go into one request: their positions, keys and texts. ``division``: of the group that it was part of."""

    positions: Sequence[int]
    keys: Sequence[int]
    texts: Sequence[str]
    division: Division | None = None

    def halves(self, division: Division) -> tuple[Group, Group]:
        """The group in two."""
        middle = (len(self.texts) + 1) // 2
        first = Group(self.positions[:middle], self.keys[:middle], self.texts[:middle], division)
        return first, Group(self.positions[middle:], self.keys[middle:], self.texts[middle:], division)


class GroupEnd(NamedTuple):
    """How a request ended. ``outcomes``: by key, where the journal has an outcome. ``error``: why it has none, or what all of its
    texts failed with. ``answer``: usage, cost and the model's name; None without one. ``failure``: what went wrong on the worker
    outside of the call."""

    group: Group
    outcomes: Sequence[tuple[int, Outcome]] = ()
    error: LLMConnectorError | None = None
    answer: EmbeddingResponse | None = None
    failure: BaseException | None = None

    @property
    def usage(self) -> Usage:
        """The tokens that were billed, as far as they are known."""
        billed = self.answer or getattr(self.error, "response", None)
        return billed.usage if billed is not None and not getattr(billed, "cached", False) else Usage()


class GroupSender(InFlight):
    """What the workers share that send the groups of one run. ``ended`` gets the ends of groups, which the thread of the batch
    reads; it alone calls ``stop`` and ``abort``. ``dimensions``: the length of the vectors that there are; None: of the first.
    """

    def __init__(self, journal: Journal, target: Target, dimensions: int | None) -> None:
        super().__init__()
        self.journal = journal
        self.ended: SimpleQueue[GroupEnd] = SimpleQueue()
        self._target = target
        self._numbers = itertools.count(1)
        self._dimensions = dimensions  # guarded by _lock, too

    def around(self, group: Group) -> GroupSending:
        """The middleware around the request of a group."""
        return GroupSending(self, group, next(self._numbers))

    @property
    def dimensions(self) -> int | None:
        """The length of all vectors; None before the first."""
        return self._dimensions

    def write(self, group: Group, outcome: EmbeddingResponse | LLMConnectorError) -> GroupEnd:
        """Write the outcomes of a group to the journal; what becomes of an error is decided by the thread of the batch."""
        if isinstance(outcome, LLMConnectorError):
            return GroupEnd(group, error=outcome)
        written = []
        for number, vector in enumerate(outcome.vectors):
            position, key = group.positions[number], group.keys[number]
            error = outcome.problems.get(number) if vector is None else self._misfit(len(vector))
            if vector is None or error is not None:
                failure = error or LLMConnectorError("no vector came for this text")
                written.append(self.write_failure(position, key, failure))
            else:
                line = records.answered_line(self._target, position, key, vector, outcome.model)
                written.append((key, Outcome(self.journal.add(line), True, True, False)))
        return GroupEnd(group, written, answer=_without_vectors(outcome))

    def write_failure(self, position: int, key: int, error: LLMConnectorError) -> tuple[int, Outcome]:
        """Write the error of a text to the journal."""
        error.provider, error.model = error.provider or self._target.provider, error.model or self._target.model
        line = records.failed_line(self._target, position, key, error)
        return key, Outcome(self.journal.add(line), True, False, False)

    def _misfit(self, length: int) -> LLMConnectorError | None:
        with self._lock:
            if self._dimensions is None:
                self._dimensions = length
            expected = self._dimensions
        if length == expected:
            return None
        return other_length(length, expected, self._target.provider, self._target.model)


class GroupSending:
    """Middleware around the request of one group. Nobody asks the future for the vectors: they are in the journal."""

    def __init__(self, sender: GroupSender, group: Group, number: int) -> None:
        self._sender = sender
        self._group = group
        self._number = number

    def __call__(self, prepared: PreparedRequest, send: Any) -> EmbeddingResponse:
        """Send it, and wait in this thread."""
        return run(self._steps(partial(_whole, send, prepared), send.control))

    def steps(self, prepared: PreparedRequest, send: Any) -> Steps[EmbeddingResponse]:
        """Send it in steps."""
        return self._steps(partial(send.steps, prepared), send.control)

    def _steps(self, further: Callable[[], Steps[Any]], control: CallControl) -> Steps[EmbeddingResponse]:
        sender, group = self._sender, self._group
        end, outcome = GroupEnd(group), None
        try:
            sender.enter(self._number, control)
            with sender.journal.writing():
                sender.journal.note({"started": [self._number], "texts": len(group.texts)})
                outcome = yield from outcome_in_steps(further())
                end = sender.write(group, outcome)  # type: ignore[arg-type]
                if not control.aborted:  # else it may be billed
                    sender.journal.add(line_of({"unsent": [self._number]}))
        except BaseException as error:
            end = end._replace(failure=error)
            raise
        finally:
            sender.ended.put(end)
            sender.leave(self._number)  # after the put: when nothing is in flight, all ends are in the queue
        if isinstance(outcome, LLMConnectorError):
            raise outcome
        return end.answer  # type: ignore[return-value]


def divides(end: GroupEnd) -> bool:
    """Whether the halves of a group are to be sent instead."""
    return len(end.group.texts) > 1 and may_divide(end.error)


def _without_vectors(response: EmbeddingResponse) -> EmbeddingResponse:
    return dataclasses.replace(response, vectors=(), problems={})


def _whole(send: Any, prepared: PreparedRequest) -> Steps[Any]:
    """The rest of the call, which has no steps."""
    return send(prepared)
    yield
