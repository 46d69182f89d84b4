"""Actions that say what becomes of a job and of its lines."""

from __future__ import annotations

from typing import ClassVar

from llm_sync.simulator.faults.actions import ONLY_TRUE, Action, JobAction, ResponseAction, Schema, true_or
from llm_sync.simulator.faults.context import RequestContext
from llm_sync.simulator.server.response import Response

_SHARE: Schema = {"type": "number", "min": 0, "max": 1, "check_with": "finite", "meta": {"expected": "a share from 0 to 1"}}
TIME: Schema = {
    "type": "number",
    "min": 0,
    "max": 10**9,
    "check_with": "finite",
    "meta": {"expected": "simulated seconds, 0 or more"},
}
_GATEWAY: Schema = {"type": "integer", "min": 400, "max": 599, "meta": {"expected": "a status from 400 to 599"}}


class JobTakes(JobAction):
    """The job takes so long."""

    name = "job_takes"
    schema: ClassVar[Schema] = TIME

    def plan(self, context: RequestContext) -> None:
        """Replaces the usual time."""
        context.call.plan.takes = self.setting


class JobFails(JobAction):
    """The job is made, and fails before any of its lines runs."""

    name = "job_fails"
    schema: ClassVar[Schema] = true_or("string", "the provider's code for the reason (token_limit_exceeded)", empty=False)

    def plan(self, context: RequestContext) -> None:
        """By default, the limit of enqueued tokens is exceeded."""
        context.call.plan.failure = "token_limit_exceeded" if self.setting is True else self.setting


class JobExpires(JobAction):
    """The job expires with a part of its lines done."""

    name = "job_expires"
    schema: ClassVar[Schema] = _SHARE

    def plan(self, context: RequestContext) -> None:
        """The setting is the share of the lines that are done."""
        context.call.plan.finished = self.setting


class RowsShuffled(JobAction):
    """The rows are in no order."""

    name = "rows_shuffled"
    schema: ClassVar[Schema] = ONLY_TRUE

    def plan(self, context: RequestContext) -> None:
        """Of all result files."""
        context.call.plan.shuffled = True


class RowsMissing(JobAction):
    """Some lines ran and have no row."""

    name = "rows_missing"
    schema: ClassVar[Schema] = _SHARE

    def plan(self, context: RequestContext) -> None:
        """The setting is their share."""
        context.call.plan.missing = self.setting


class RowsTwice(JobAction):
    """Some rows are there twice."""

    name = "rows_twice"
    schema: ClassVar[Schema] = _SHARE

    def plan(self, context: RequestContext) -> None:
        """The setting is their share."""
        context.call.plan.twice = self.setting


class CountersLie(JobAction):
    """The job's counters are wrong."""

    name = "counters_lie"
    schema: ClassVar[Schema] = ONLY_TRUE

    def plan(self, context: RequestContext) -> None:
        """The rows are right."""
        context.call.plan.counters_lie = True


class ResultsKept(JobAction):
    """The results are gone after a while."""

    name = "results_kept"
    schema: ClassVar[Schema] = TIME

    def plan(self, context: RequestContext) -> None:
        """The time is counted from the end of the job."""
        context.call.plan.kept = self.setting


class ListedAfter(JobAction):
    """The job is missing in listings for a while."""

    name = "listed_after"
    schema: ClassVar[Schema] = TIME

    def plan(self, context: RequestContext) -> None:
        """The time is counted from its creation."""
        context.call.plan.listed_after = self.setting


class NotStored(JobAction):
    """A background answer is gone ten minutes after its creation, as its ``store: false`` says."""

    name = "not_stored"
    schema: ClassVar[Schema] = ONLY_TRUE

    def plan(self, context: RequestContext) -> None:
        """Whatever the request asked."""
        context.call.plan.not_stored = True


class CancelIgnored(JobAction):
    """A cancelled background answer is made and billed all the same."""

    name = "cancel_ignored"
    schema: ClassVar[Schema] = ONLY_TRUE

    def plan(self, context: RequestContext) -> None:
        """It is shown as cancelled first, and as completed when it is made."""
        context.call.plan.cancel_ignored = True


class Deferred(JobAction):
    """The answer is made later, although nobody asked for that."""

    name = "deferred"
    schema: ClassVar[Schema] = ONLY_TRUE
    request_kinds: ClassVar[tuple[str, ...]] = ("generate",)

    def plan(self, context: RequestContext) -> None:
        """Where the dialect has such answers."""
        context.call.deferred = True


class ServedTier(JobAction):
    """Another service tier than the requested one serves the answer."""

    name = "served_tier"
    schema: ClassVar[Schema] = {"type": "string", "empty": False, "meta": {"expected": "the name of a tier"}}
    request_kinds: ClassVar[tuple[str, ...]] = ("generate", "line")

    def plan(self, context: RequestContext) -> None:
        """The answer names it, and is billed by it."""
        context.call.served_tier = self.setting


class NoCapacity(ResponseAction):
    """A cheap tier has no capacity."""

    name = "no_capacity"
    schema: ClassVar[Schema] = ONLY_TRUE
    request_kinds: ClassVar[tuple[str, ...]] = ("generate", "line")

    def apply(self, context: RequestContext, previous: Response | None) -> Response:
        """Requests of other tiers are answered as usual."""
        refused = context.dialect.no_capacity(context.call)
        return refused or (context.normal_response() if previous is None else previous)


class LineExpires(JobAction):
    """The line is never executed: its job ends when its time is over."""

    name = "line_expires"
    schema: ClassVar[Schema] = ONLY_TRUE
    request_kinds: ClassVar[tuple[str, ...]] = ("line",)

    def plan(self, context: RequestContext) -> None:
        """It is not billed."""
        context.call.fate = "expired"


class LineLost(JobAction):
    """The line is executed and billed, and has no row."""

    name = "line_lost"
    schema: ClassVar[Schema] = ONLY_TRUE
    request_kinds: ClassVar[tuple[str, ...]] = ("line",)

    def plan(self, context: RequestContext) -> None:
        """The counters count it."""
        context.call.fate = "lost"


class DoneBut(ResponseAction):
    """The request is carried out, and a gateway answers it with an error."""

    name = "done_but"
    schema: ClassVar[Schema] = _GATEWAY
    request_kinds: ClassVar[tuple[str, ...]] = ("upload", "create", "cancel", "delete")

    def apply(self, context: RequestContext, previous: Response | None) -> Response:
        """What was made stays made, and billed."""
        done = context.normal_response() if previous is None else previous
        return context.dialect.error(self.setting, "The upstream did not answer in time.")._replace(tokens=done.tokens)


JOB_FAULTS: tuple[type[Action], ...] = (
    JobTakes, JobFails, JobExpires, RowsShuffled, RowsMissing, RowsTwice, CountersLie, ResultsKept, ListedAfter, NotStored,
    CancelIgnored, Deferred, ServedTier, NoCapacity, LineExpires, LineLost, DoneBut,
)  # fmt: skip
