"""What a run is to send and what it has: the one pass over the input that fills the index, checking every new line."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from llm_sync.batch import errors as batch_errors
from llm_sync.batch.context import Work
from llm_sync.batch.input.requests import Question, line_digest
from llm_sync.batch.input.source import Line
from llm_sync.batch.state.index import NOTHING, TO_SEND, Entry
from llm_sync.batch.state.previous_runs import Earlier
from llm_sync.batch.state.records import Head, Key
from llm_sync.batch.tally import Tally
from llm_sync.config.routing import route
from llm_sync.errors import InvalidRequestError, LLMConnectorError, ModelNotFoundError, StreamingNotSupportedError
from llm_sync.models.route import Route

LINE_ERRORS = (InvalidRequestError, ModelNotFoundError, StreamingNotSupportedError)
"""What is wrong with a line, as against with the run."""

_MOST_DISPLACED = 200_000  # answers whose line is looked for elsewhere: with more it is another input
_MOST_WANTED = 10_000  # lines remembered, for which an answer may turn up that belongs to a later place
_UNRELATED = 10  # so many answers and none to any line: it is another input


class BadLine(NamedTuple):
    """A line that cannot be sent: its number in the input (from 1), its slot, its hash, why, and its id where that is known."""

    number: int
    slot: int
    line: str
    error: LLMConnectorError
    id: str | int | None = None


@dataclass
class Plan:
    """What the pass found. ``requests``: all of the selection. ``to_send``: those to be sent, by provider. ``kept``: outcomes
    that stand, by provider (None: of lines that could not be read). ``again``: failures that are asked anew. ``changed``:
    lines that said something else when they were answered. ``moved``: those found again elsewhere. ``replaced``: answers that
    belong to no line any more. ``renamed``: lines whose own model another one replaces. ``stray``: answers given under other
    settings, or by other models than this run would ask. ``unsure``: sendings of which nobody knows whether they were billed,
    by the requests that stand for their lines now; ``gone``: how many more, of lines that are there no more.
    """

    requests: int = 0
    to_send: Counter[str] = field(default_factory=Counter)
    kept: defaultdict[str | None, Tally] = field(default_factory=lambda: defaultdict(Tally))
    again: int = 0
    changed: int = 0
    moved: int = 0
    replaced: list[Entry] = field(default_factory=list)
    renamed: int = 0
    stray_settings: Counter[tuple[str, Route]] = field(default_factory=Counter)
    stray_models: int = 0
    unsure: Counter[Key] = field(default_factory=Counter)
    gone: int = 0


def is_special(work: Work) -> Callable[[Head], bool]:
    """Whether an earlier outcome may not simply be kept: an answer under other settings, a failure that is asked anew."""
    options = work.options

    def special(head: Head) -> bool:
        strange = head.provider is not None and head.settings != work.settings_of(Route(head.provider, str(head.model)))
        if head.answered:
            return strange
        timed_out = head.outcome == "RequestTimeoutError" and options.retry_timeouts is True
        return strange or head.again or timed_out or options.retry_failed

    return special


class Planner:
    """Makes the plan. ``check`` raises what is wrong with a request; ``bad`` gives the outcome a bad line gets, if any."""

    def __init__(
        self,
        work: Work,
        earlier: Earlier,
        check: Callable[[Question], object],
        bad: Callable[[BadLine], tuple[Head, Entry] | None],
    ) -> None:
        self._work = work
        self._earlier = earlier
        self._check = check
        self._bad = bad
        self._before = work.slots.count  # from there on no slot has an outcome
        self._plan = Plan(kept=earlier.kept)
        self._displaced: dict[tuple[str, int], list[Entry]] = {}  # line's hash and route -> answers whose line is elsewhere
        self._wanted: dict[tuple[str, int], deque[int]] = {}  # the same -> the slots that have no answer
        self._latest: deque[tuple[tuple[str, int], int]] = deque()  # what stands in _wanted, oldest first
        self._sought: dict[str, list[int]] = {line: [] for _, line in earlier.unsure}  # -> positions of such lines
        self._forgot = False  # whether any of them had to go
        self._named: dict[str | None, Route | None] = {}

    def make(self) -> Plan:
        """Go through the input once. Raises LLMConnectorError where earlier answers and this input do not go together."""
        work, plan, selection = self._work, self._plan, self._work.selection
        for head, entry in self._earlier.displaced:
            self._displace(head, entry)
        for position, line in self._lines():
            work.lines = position + 1
            if selection.takes(position):
                self._take(position, line)
        taken = len(range(selection.part, work.lines, selection.parts)) * selection.width
        for slot, entry in work.slots.walk() if taken < self._before else ():
            if slot >= taken:
                head = work.records.head(entry)
                if not entry.special:
                    plan.kept[head.provider].add(head, -1)
                self._displace(head, entry)
        work.slots.truncate(taken)
        if self._forgot and self._displaced:
            self._look_for_the_rest()
        plan.requests = taken
        plan.replaced = [entry for left in self._displaced.values() for entry in left]
        plan.changed = max(0, plan.changed - plan.moved)
        self._attribute()
        if len(plan.replaced) >= _UNRELATED and not any(tally.answered for tally in plan.kept.values()):
            raise batch_errors.another_input(len(plan.replaced))
        return plan

    def _lines(self) -> Iterator[tuple[int, Line]]:
        """The input's lines, as far as the run goes, with their positions."""
        return itertools.islice(enumerate(self._work.form.records(self._work.source)), self._work.selection.limit)

    def _look_for_the_rest(self) -> None:
        """A second pass, for the answers whose lines stand so far before their old places that those were forgotten."""
        slots = self._work.slots
        for position, line in self._lines():
            if self._work.selection.takes(position):
                content = line_digest(line.content).hex()
                for slot in self._work.selection.slots(position):
                    entry = slots.get(slot)
                    found = self._displaced_answer((content, entry.route)) if entry.state == TO_SEND else None
                    if found is not None:
                        self._plan.to_send[str(self._work.routes.named(entry.route)[0])] -= 1
                        self._found(slot, found)

    def _attribute(self) -> None:
        """Give sendings that may have been billed to where their lines stand now."""
        for (key, line), count in self._earlier.unsure.items():
            places = self._sought[line]
            if places and key.position not in places:
                key = key._replace(position=places[0])  # noqa: PLW2901
            if places or not line:
                self._plan.unsure[key] += count
            else:
                self._plan.gone += count

    def _take(self, position: int, line: Line) -> None:
        digest = line_digest(line.content)
        if self._sought:
            self._sought.get(digest.hex(), []).append(position)
        for slot in self._work.selection.slots(position):
            entry = self._work.slots.get(slot) if slot < self._before else None
            if entry is None or entry.state == NOTHING:
                self._ask(slot, line, digest.hex())
            elif (
                entry.special
                or self._earlier.hashes.at(slot) != int.from_bytes(digest, "big")
                or not self._goes(slot, line, entry.route)
            ):
                self._look_at(slot, line, digest.hex(), entry)

    def _look_at(self, slot: int, line: Line, content: str, entry: Entry) -> None:
        """There is an outcome in the line's slot, but it may not simply be kept."""
        head = self._work.records.head(entry)
        if not entry.special:
            self._plan.kept[head.provider].add(head, -1)
        place = self._place(slot, line)
        same = head.line == content
        if same and head.provider is not None and place != (head.provider, head.model):
            self._plan.stray_models += head.answered
            same = False
        if not same:
            self._plan.changed += head.answered
            self._displace(head, entry)
            self._ask(slot, line, content)
        elif head.answered:
            self._keep(head)
        else:
            self._plan.again += 1
            self._ask(slot, line, content)

    def _keep(self, head: Head) -> None:
        """The answer stands, though it may have been given under other settings."""
        place = Route(str(head.provider), str(head.model))
        if head.settings != self._work.settings_of(place):
            self._plan.stray_settings[head.settings, place] += 1
        self._plan.kept[head.provider].add(head)

    def _goes(self, slot: int, line: Line, number: int) -> bool:
        """Whether a line goes where its outcome came from."""
        named = self._work.routes.named(number)
        return named[0] is None or self._place(slot, line) == named

    def _place(self, slot: int, line: Line) -> Route | None:
        """Where a line goes, found out without reading more of it than its model; None where that fails."""
        models = self._work.selection.models
        if models is not None:
            return models[slot % len(models)]
        return self._routed(self._work.form.model(line.content))

    def _routed(self, named: str | None) -> Route | None:
        if named not in self._named:
            try:
                self._named[named] = route(self._work.client.config, named)
            except LINE_ERRORS:
                self._named[named] = None
        return self._named[named]

    def _ask(self, slot: int, line: Line, content: str) -> None:
        """The slot's request is to be sent, unless an answer to this very line turns up, or the line is bad."""
        work, plan = self._work, self._plan
        said: Mapping[str, Any] = {}
        try:
            said = work.form.read(line.content)
            question = work.questions.ask(said, work.model(slot))
            self._check(question)
        except LINE_ERRORS as error:
            outcome = self._bad(BadLine(line.number, slot, content, error, _id_in(said)))
            if outcome is not None:
                head, entry = outcome
                plan.kept[head.provider].add(head)
                work.slots.set(slot, entry)
            return
        place = question.route
        work.settings_of(place)
        plan.renamed += work.selection.models is not None and said.get("model", said.get("body")) is not None
        key = (content, work.routes.number(*place))
        found = self._displaced_answer(key)
        if found is not None:
            self._found(slot, found)
            return
        work.slots.set(slot, Entry(TO_SEND, key[1], line.offset))
        plan.to_send[place.provider] += 1
        if self._before:
            self._want(key, slot)

    def _want(self, key: tuple[str, int], slot: int) -> None:
        """Remember the slot, and forget the oldest of too many."""
        self._wanted.setdefault(key, deque()).append(slot)
        self._latest.append((key, slot))
        if len(self._latest) > _MOST_WANTED:
            old, oldest = self._latest.popleft()
            left = self._wanted.get(old)
            if left and left[0] == oldest:
                left.popleft()
                self._forgot = True
            if not left:
                self._wanted.pop(old, None)

    def _displace(self, head: Head, entry: Entry) -> None:
        """An answer whose line stands elsewhere now, or nowhere; a failure is forgotten."""
        if not head.answered:
            return
        key = (head.line, self._work.routes.number(head.provider, head.model))
        wanted = self._wanted.get(key)
        if wanted:
            self._plan.to_send[str(head.provider)] -= 1
            self._found(wanted.popleft(), entry)
            return
        self._displaced.setdefault(key, []).append(entry)
        if len(self._displaced) > _MOST_DISPLACED:
            raise InvalidRequestError(
                f"more than {_MOST_DISPLACED:,} answers of the output are to lines that this input has elsewhere, or not at all",
                guidance="Name another output, or start over with --restart (restart=True).",
            )

    def _displaced_answer(self, key: tuple[str, int]) -> Entry | None:
        """Take an answer to such a line out of those that are left over."""
        left = self._displaced.get(key)
        if left is None:
            return None
        found = left.pop()
        if not left:
            del self._displaced[key]
        return found

    def _found(self, slot: int, entry: Entry) -> None:
        """The answer belongs to this slot."""
        self._plan.moved += 1
        self._keep(self._work.records.head(entry))
        self._work.slots.set(slot, entry)


def _id_in(said: Mapping[str, Any]) -> str | int | None:
    found = said.get("custom_id", said.get("id"))
    return found if isinstance(found, (str, int)) else None
