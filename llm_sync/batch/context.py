"""The parts of a run that its steps share."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from llm_sync.batch.input.formats import LineFormat
from llm_sync.batch.input.kept_fields import KeptFields
from llm_sync.batch.input.line_ids import LineIds
from llm_sync.batch.input.requests import BatchRequest, RequestBuilder
from llm_sync.batch.input.selection import Selection
from llm_sync.batch.input.settings_hash import former_hash, settings_hash
from llm_sync.batch.input.source import Source
from llm_sync.batch.line_routes import LineRoutes
from llm_sync.batch.options import Options
from llm_sync.batch.state.finished_output import FinishedOutput
from llm_sync.batch.state.index import Index, NumberFile, RouteTable
from llm_sync.batch.state.record_store import RecordStore
from llm_sync.batch.state.records import Key, RequestIdentity
from llm_sync.client.client import LLMClient
from llm_sync.client.middleware import Middleware
from llm_sync.client.route_parts import Around
from llm_sync.config.ways import BACKGROUND, BATCH, DIRECT, way_of
from llm_sync.errors import AuthenticationError, ConfigurationError, LLMConnectorError
from llm_sync.events import logger
from llm_sync.models import AttemptOptions, PreparedRequest
from llm_sync.models.grammar import counted
from llm_sync.models.route import Route

if TYPE_CHECKING:
    from llm_sync.batch.job_ways import JobWays
    from llm_sync.batch.state.background_notes import BackgroundNotes
    from llm_sync.client.dispatcher import Dispatcher
    from llm_sync.engines.engine import EngineRun

_log = logger("batch")


class RepeatedSlots(Protocol):
    """The equal requests of the run; see repeats.py."""

    def sample(self, slot: int) -> int:
        """How many equal requests stand before the one of this slot."""

    def first(self, slot: int) -> int | None:
        """The slot of the first request that equals the one of this slot; None if this is the first."""

    def slots(self) -> Iterator[tuple[int, int]]:
        """Every slot that has an equal one before it, with the first of those."""


@dataclass
class BatchContext:
    """The parts of one run. ``hashes``: the hash of each request's line, by slot. ``lines``: the number of lines read.

    One thread at a time uses it, except ``client``, ``builder`` and ``store``.
    """

    options: Options
    client: LLMClient
    source: Source
    line_format: LineFormat
    builder: RequestBuilder
    selection: Selection
    index: Index
    hashes: NumberFile
    routes: RouteTable
    store: RecordStore
    finished: FinishedOutput
    ids: LineIds
    kept_fields: KeptFields
    line_routes: LineRoutes
    lines: int = 0
    unstored: set[str] = field(default_factory=set)  # providers that something has to be sent to, as far as is known
    repeats: RepeatedSlots | None = None
    engine: EngineRun | None = None  # while its workers run
    dispatcher: Dispatcher = field(init=False)  # what sends: the client's, or that of the engine
    job_ways: JobWays | None = None  # once a line is to go by a job
    foreground: Counter[str] = field(default_factory=Counter)  # lines that providers cannot answer in the background
    goes_by_job: bool = False  # the request that was checked last
    background: BackgroundNotes | None = None  # answers that providers make for earlier runs, if there are any
    _hashes: dict[Route, str] = field(default_factory=dict)
    _former_hashes: dict[Route, str] = field(default_factory=dict)
    _limits: dict[Route, int | None] = field(default_factory=dict)  # max_tokens of the settings

    def __post_init__(self) -> None:
        self.dispatcher = self.client.dispatcher

    @property
    def engine_failure(self) -> LLMConnectorError | None:
        """Why the engine takes no more requests; None without an engine, or as long as it does."""
        return None if self.engine is None else self.engine.failure

    def settings_of(self, target: Route) -> str:
        """The hash of a model's settings; empty for a provider that is no longer configured."""
        digest = self._hashes.get(target)
        if digest is None and target.provider not in self.client.config.providers:
            return ""
        if digest is None:
            settings = self.settings_for(target)
            digest = self._hashes[target] = settings_hash(settings)
            self._former_hashes[target] = former_hash(settings)
            self._limits[target] = settings.get("max_tokens")
        return digest

    def are_current(self, digest: str, target: Route) -> bool:
        """Whether a hash of settings, also one of release 0.1, is that of a model's settings now, or of a route's in use."""
        former = self._former_hashes.get(target)
        return digest == self.settings_of(target) or digest == former or digest in self.line_routes.digests(target)

    def settings(self) -> dict[str, dict[str, Any]]:
        """The settings of all models seen so far, by their hash."""
        return {**{digest: self.settings_for(target) for target, digest in self._hashes.items()}, **self.line_routes.all()}

    def settings_for(self, target: Route) -> dict[str, Any]:
        """A model's settings: what its answers depend on beside their line."""
        return self.builder.settings(target, self.line_format.settings)

    def model(self, slot: int) -> str | None:
        """The model that the run's options give a slot; None if the line decides."""
        models = self.selection.models
        if models is None:
            return None
        number, former = slot % len(models), self.selection.former
        return self.line_routes.model(number - former, models[number]) if number >= former else "/".join(models[number])

    def identity(self, slot: int, line: str, target: tuple[str | None, str | None], **more: Any) -> RequestIdentity:
        """The identity of a slot's request. ``line``: the line's hash; ``more``: further fields of RequestIdentity."""
        provider, model = target
        settings, max_tokens, selection = "", None, self.selection
        if provider is not None and model is not None:
            route = Route(provider, model)
            settings = self.settings_of(route)
            max_tokens = self._limits.get(route)
        if selection.parts > 1:
            more.update(shard=selection.shard, lines=self.lines)
        key = Key(selection.position(slot), provider, model)
        return RequestIdentity(key, line, settings, openai=self.line_format.openai, max_tokens=max_tokens, **more)

    def way(self, target: Route) -> str:
        """How the requests of a model are sent: one of config.ways.WAYS."""
        return way_of(self.client.config.providers[target.provider], target.model, self.options.via)

    def attempts(self, key: Key) -> AttemptOptions:
        """The attempt options of a request outside of a batch."""
        options = self.options
        entry = self.client.config.providers[str(key.provider)].entry(str(key.model))
        retries = entry.attempts.max_retries if options.max_retries is None else options.max_retries
        return dataclasses.replace(entry.attempts, max_retries=retries)

    def prepare(self, batch_request: BatchRequest, slot: int, *, via: str | None = None) -> PreparedRequest:
        """The request as it is sent, ``via`` this way (None: its own); of equal ones, with the number of its sample.

        Raises what is wrong with it.
        """
        options = self.options.attempts()
        configured = self.client.config.providers[batch_request.route.provider].entry(batch_request.route.model).attempts
        # A request that must pause for longer fails at once, and then waits in Sender._wait_for_cool_down, not in flight.
        options["max_retry_after"] = min(configured.max_retry_after, self.options.max_cool_down)
        options["retry_timeouts"] = self._retries_timeouts(batch_request.route)
        options["via"] = via or (BACKGROUND if self.way(batch_request.route) == BACKGROUND else DIRECT)
        prepared = self.dispatcher.prepare(batch_request.request, changed=batch_request.changed, **options)
        sample = 0 if self.repeats is None or self.options.dedupe else self.repeats.sample(slot)
        return dataclasses.replace(prepared, sample=sample) if sample else prepared

    def send(self, prepared: PreparedRequest, middleware: Middleware) -> Future[Any]:
        """Queue a request. Raises QueueFullError, ClientClosedError."""
        # The worker writes the journal around the call. A done-callback would not do: it could not stop the run.
        return self.dispatcher.submit(prepared, middleware=middleware, block=False)

    def send_routed(self, batch_request: BatchRequest, around: Around) -> Future[Any]:
        """Queue a request that names a route, with ``around`` around each step. Raises as ``prepare`` and ``send``."""
        options = self.options.attempts()
        options["retry_timeouts"] = self._retries_timeouts(batch_request.route)
        request = dataclasses.replace(batch_request.request, model=batch_request.routed)
        routed = self.dispatcher.routed
        options["changed"], options["via"] = batch_request.changed, DIRECT
        future: Future[Any] = routed.submit(request, options, block=False, timeout=None, around=around)
        return future

    def check(self, batch_request: BatchRequest) -> bool:
        """Raise what is wrong with a request; send nothing. What its provider lacks is said once for all of its lines.

        Returns whether its answer seems to be stored in a cache.
        """
        caching, way = self.dispatcher.caching, self.way(batch_request.route)
        via = BACKGROUND if way == BACKGROUND and batch_request.routed is None else DIRECT
        self.goes_by_job = False
        with contextlib.suppress(AuthenticationError, ConfigurationError):
            prepared = self.dispatcher.prepare(batch_request.request, changed=batch_request.changed, via=via)
            if caching is not None and caching.is_stored(prepared):
                return True
            if via == BACKGROUND and any(each.parameter == "via" for each in prepared.adjustments):
                self.foreground[prepared.provider] += 1
            if way == BATCH:
                self.goes_by_job = self._ways_of_jobs().goes_by_job(batch_request, prepared)
        self.unstored.add(batch_request.route.provider)
        return False

    def report_ways(self) -> None:
        """Say how many lines go directly though another way was asked for, and why."""
        for provider, number in self.foreground.items():
            lines = counted(number, "line goes", "lines go")
            _log.warning("%s: %s directly: this provider makes no answers in the background", provider, lines)
        if self.job_ways is not None:
            self.job_ways.report()

    def _ways_of_jobs(self) -> JobWays:
        if self.job_ways is None:
            from llm_sync.batch.job_ways import JobWays

            self.job_ways = JobWays(self.client.dispatcher, self.client.config)
        return self.job_ways

    def cooling_down_for(self, provider: str) -> float:
        """Seconds until the end of a provider's cool-down; 0.0 if it has none."""
        return self.dispatcher.cooling_down(provider)

    def _retries_timeouts(self, target: Route) -> bool:
        """Only if the run's options or the configuration's text say so: the second attempt may be billed, too."""
        if self.options.retry_timeouts is not None:
            return self.options.retry_timeouts
        config = self.client.config
        provider = config.providers[target.provider]
        number = next((number for number, entry in enumerate(provider.models) if entry.name == target.model), None)
        levels = ("defaults", f"providers.{target.provider}", f"providers.{target.provider}.models[{number}]")
        written = any(f"{level}.retry_timeouts" in config.lines for level in levels)
        return written and provider.entry(target.model).attempts.retry_timeouts
