"""Makes the plan of a run in one pass over the input, which fills the index and checks every line that is new."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.requests import BatchRequest, content_hash, line_digest
from llm_sync.batch.input.source import Line
from llm_sync.batch.line_details import id_in
from llm_sync.batch.line_targets import LineTargets
from llm_sync.batch.line_templates import LineTemplates
from llm_sync.batch.moved_answers import MovedAnswers, UnansweredLine
from llm_sync.batch.plan import LINE_ERRORS, BadLine, Plan
from llm_sync.batch.review import has_other_settings, is_asked_again, is_stray, reads_line_alike
from llm_sync.batch.state import record_edits, records
from llm_sync.batch.state.index import NOTHING, OUTPUT_LINE, TO_SEND, Entry
from llm_sync.batch.state.previous_runs import PreviousRuns
from llm_sync.batch.state.records import Head
from llm_sync.models.route import Route

_NO_ENTRY = Entry(NOTHING, 0, 0)


class Planner:
    """Makes the plan. ``check`` raises what is wrong with a request; ``add_bad_line`` returns a bad line's outcome, if any.

    With ``templates``, a line that is like one checked before is not passed to ``check``.
    """

    def __init__(
        self,
        context: BatchContext,
        previous: PreviousRuns,
        check: Callable[[BatchRequest], object],
        add_bad_line: Callable[[BadLine], tuple[Head, Entry] | None],
        *,
        templates: LineTemplates | None = None,
    ) -> None:
        self._context = context
        self._previous = previous
        self._check = check
        self._add_bad_line = add_bad_line
        self._known = context.index.count  # no slot from here on has an outcome
        self._plan = Plan(kept=previous.kept)
        self._moved = MovedAnswers()
        self._unsure_positions: dict[str, list[int]] = {line: [] for _, line in previous.unsure}  # by the line's hash
        self._targets = LineTargets(context)
        self._templates = templates

    def make(self) -> Plan:
        """Read the input once and return the plan."""
        context, plan, selection = self._context, self._plan, self._context.selection
        for head, entry in self._previous.displaced:
            self._displace(head, entry)
        for position, line in self._lines():
            context.lines = position + 1
            if selection.takes(position):
                self._take(position, line)
        taken = len(range(selection.part, context.lines, selection.parts)) * selection.width
        for slot, entry in context.index.walk() if taken < self._known else ():
            if slot >= taken:
                head = context.store.head(entry)
                if not entry.review:
                    plan.kept[head.provider].add(head, -1)
                self._displace(head, entry)
        context.index.truncate(taken)
        context.hashes.truncate(taken)
        if self._moved.forgot_lines:
            self._search_again()
        plan.requests = taken - plan.absent
        plan.replaced = self._moved.left()
        plan.changed = max(0, plan.changed - plan.moved)
        self._attribute_unsure()
        return plan

    def _lines(self) -> Iterator[tuple[int, Line]]:
        """The input's lines with their positions, up to the limit."""
        return itertools.islice(enumerate(self._context.line_format.records(self._context.source)), self._context.selection.limit)

    def _search_again(self) -> None:
        """Read the input a second time, for answers whose lines were forgotten in the first pass."""
        context = self._context
        for position, line in self._lines():
            if context.selection.takes(position):
                digest = line_digest(line.content).hex()
                for slot in context.selection.slots(position):
                    entry = context.index.get(slot)
                    if entry.state == TO_SEND and context.hashes.at(slot) == int(digest, 16):  # it may have changed
                        self._take_moved(slot, line, digest, entry.route)
                    elif entry.state == NOTHING and not context.selection.asks(slot):
                        self._take_moved(slot, line, digest, self._former_route(slot))

    def _take_moved(self, slot: int, line: Line, digest: str, route: int) -> UnansweredLine | None:
        """Give a line without an answer one that has moved; return the line if there is none."""
        try:
            values = self._context.line_format.read(line.content)
        except LINE_ERRORS:
            return None
        unanswered = UnansweredLine(slot, digest, content_hash(values), id_in(values), route)
        answer = self._moved.take(unanswered)
        if answer is None:
            return unanswered
        self._unplan(slot)
        self._assign(unanswered, answer)
        return None

    def _unplan(self, slot: int) -> None:
        """Take back that a slot has no outcome."""
        entry = self._context.index.get(slot)
        if entry.state == TO_SEND:
            self._plan.to_send[str(self._context.routes.named(entry.route)[0])] -= 1
        else:
            self._plan.absent -= 1

    def _former_route(self, slot: int) -> int:
        """The number of the route of a slot whose model is not asked."""
        models = self._context.selection.models or ()
        return self._context.routes.number(*models[slot % len(models)])

    def _plan_slot(self, slot: int, line: Line, content: str) -> None:
        """Plan to send the slot's request, unless its model is not asked."""
        if self._context.selection.asks(slot):
            self._ask(slot, line, content)
            return
        self._plan.absent += 1
        unanswered = self._take_moved(slot, line, content, self._former_route(slot))
        if unanswered is not None:
            self._moved.want(unanswered)

    def _attribute_unsure(self) -> None:
        """Count sendings with an unknown outcome at the current positions of their lines."""
        for (key, line), count in self._previous.unsure.items():
            positions = self._unsure_positions[line]
            if positions and key.position not in positions:
                key = key._replace(position=positions[0])  # noqa: PLW2901
            if positions or not line:
                self._plan.unsure[key] += count
            else:
                self._plan.gone += count

    def _take(self, position: int, line: Line) -> None:
        digest = line_digest(line.content)
        if self._unsure_positions:
            self._unsure_positions.get(digest.hex(), []).append(position)
        for slot in self._context.selection.slots(position):
            entry = self._context.index.get(slot) if slot < self._known else None
            if entry is None or entry.state == NOTHING:
                self._plan_slot(slot, line, digest.hex())
            elif (
                entry.review
                or self._context.hashes.at(slot) != int.from_bytes(digest, "big")
                or not self._targets.has_route(slot, line, entry.route)
            ):
                self._review(slot, line, digest.hex(), entry)

    def _review(self, slot: int, line: Line, content: str, entry: Entry) -> None:
        """Decide about an outcome in the line's slot that cannot simply be kept."""
        head = self._context.store.head(entry)
        if not entry.review:
            self._plan.kept[head.provider].add(head, -1)
        target = self._targets.target(slot, line)
        as_it_was = head.line == content and reads_line_alike(self._context, head)
        line_id = None if as_it_was else self._id_if_edited(line, head)
        # The same line with another template, or other columns, makes another prompt: these are other settings.
        other_prompt = head.answered and head.line == content and not as_it_was and line_id is None
        same = as_it_was or line_id is not None or other_prompt
        if same and head.provider is not None and target != (head.provider, head.model):
            self._plan.stray_models += head.answered
            same = False
        if not same:
            self._plan.changed += head.answered
            self._displace(head, entry)
            self._context.index.set(slot, _NO_ENTRY)
            self._plan_slot(slot, line, content)
        elif not is_asked_again(self._context, head):
            self._keep(head, other_prompt=other_prompt)
            if line_id is not None:
                self._keep_edited(slot, head, entry, content, *line_id)
        else:
            self._plan.again += 1
            if head.answered:
                self._plan.truncated[slot] = entry
            self._ask(slot, line, content)

    def _id_if_edited(self, line: Line, head: Head) -> tuple[str | int | None] | None:
        """The line's id, in a tuple, if what is sent of the line is what the outcome is of; else None."""
        if not head.content:
            return None
        try:
            values = self._context.line_format.read(line.content)
            return (id_in(values),) if content_hash(values) == head.content else None
        except LINE_ERRORS:  # reported when it is planned
            return None

    def _keep_edited(self, slot: int, head: Head, entry: Entry, content: str, line_id: str | int | None) -> None:
        """Give the outcome of an edited line the line's new hash and id, and the hash of the way it is read now."""
        settings = head.settings
        if head.provider is not None and self._context.selection.asks(slot) and not has_other_settings(self._context, head):
            settings = self._context.settings_of(Route(head.provider, str(head.model)))
        record = record_edits.edited(self._context.store.content(entry), content, line_id, settings)
        offset = self._context.store.append(record + b"\n")
        self._context.index.set(slot, Entry(OUTPUT_LINE, entry.route, offset))
        self._context.hashes.put(slot, int(content, 16))
        self._plan.edited += 1
        if head.unsure:
            self._unsure_positions.setdefault(head.line, []).append(self._context.selection.position(slot))

    def _keep(self, head: Head, *, other_prompt: bool = False) -> None:
        """Keep an outcome, and count an answer that was given under other settings, or to another prompt."""
        if head.answered and (other_prompt or is_stray(self._context, head)):
            self._plan.stray_settings[head.settings, Route(str(head.provider), str(head.model))] += 1
        self._plan.kept[head.provider].add(head)

    def _ask(self, slot: int, line: Line, content: str) -> None:
        """Plan to send the slot's request, unless it is bad, or an answer to this line turns up elsewhere."""
        context, plan = self._context, self._plan
        values: Mapping[str, Any] = {}
        try:
            values = context.line_format.read(line.content)
            batch_request, line_id = self._checked(values, context.model(slot))
            context.ids.add(line_id, line.number)
        except LINE_ERRORS as error:
            outcome = self._add_bad_line(BadLine(line.number, slot, content, error, id_in(values)))
            if outcome is not None:
                head, entry = outcome
                plan.kept[head.provider].add(head)
                context.index.set(slot, entry)
                context.hashes.put(slot, int(content, 16))
            return
        target = batch_request.route
        context.settings_of(target)
        if batch_request.routed is not None:
            context.line_routes.use(batch_request.routed)
        plan.renamed += context.selection.models is not None and values.get("model", values.get("body")) is not None
        route = context.routes.number(*target)
        unanswered = None
        if self._known:
            unanswered = UnansweredLine(slot, content, content_hash(values), line_id, route)
            answer = self._moved.take(unanswered)
            if answer is not None:
                self._assign(unanswered, answer)
                return
        context.index.set(slot, Entry(TO_SEND, route, line.offset, context.goes_by_job))
        context.hashes.put(slot, int(content, 16))  # the line is compared with it before it is sent
        plan.to_send[target.provider] += 1
        if unanswered is not None:
            self._moved.want(unanswered)

    def _checked(self, values: Mapping[str, Any], model: str | None) -> tuple[BatchRequest, str | int | None]:
        """The request of a line, or of another one like it, and the line's id. Raises what is wrong with it."""
        templates = self._templates
        kind = None if templates is None else templates.kind(values, model)
        known = None if templates is None else templates.checked(kind)
        if known is not None:
            self._context.goes_by_job = False
            return known, values.get("id")
        batch_request = self._context.builder.build(values, model)
        self._check(batch_request)
        if templates is not None:
            templates.add_checked(kind, batch_request)
        return batch_request, batch_request.request.id

    def _displace(self, head: Head, entry: Entry) -> None:
        """Look for the line of an answer elsewhere. A failure is dropped."""
        if not head.answered:
            return
        unanswered = self._moved.add(head, self._context.routes.number(head.provider, head.model), entry)
        if unanswered is not None:
            self._unplan(unanswered.slot)
            self._assign(unanswered, entry)

    def _assign(self, line: UnansweredLine, entry: Entry) -> None:
        """Give a displaced answer to a line."""
        self._plan.moved += 1
        head = self._context.store.head(entry)
        as_it_was = head.line == line.line and reads_line_alike(self._context, head)
        if as_it_was or head.content != line.content:
            self._keep(head, other_prompt=not as_it_was)
            self._context.index.set(line.slot, entry)
            self._context.hashes.put(line.slot, records.line_number(head))
        else:
            self._keep(head)
            self._keep_edited(line.slot, head, entry, line.line, line.id)
