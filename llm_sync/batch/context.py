"""What one run is told, and the parts that its steps share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from llm_sync.batch.input.formats import Form, JSONLines, Table, TextLines
from llm_sync.batch.input.requests import Question, Questions, settings_hash
from llm_sync.batch.input.selection import Selection
from llm_sync.batch.input.source import Source
from llm_sync.batch.state.index import Numbers, Slots
from llm_sync.batch.state.previous_runs import Records
from llm_sync.batch.state.records import Asked, Key
from llm_sync.batch.state.routes import Routes
from llm_sync.client.calls import Around
from llm_sync.client.client import LLMClient
from llm_sync.errors import InvalidRequestError
from llm_sync.models import AttemptOptions
from llm_sync.models.route import Route

DAY_S = 86400.0


@dataclass(frozen=True)
class Options:
    """What a run is told beside its input and its output; ``llm_sync.batch.run`` says what each means."""

    models: Sequence[str] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    text: bool = False
    template: str | None = None
    delimiter: str = ","
    limit: int | None = None
    shard: tuple[int, int] | None = None
    restart: bool = False
    skip_bad_lines: bool = False
    retry_failed: bool = False
    retry_timeouts: bool | None = None
    allow_changed_settings: bool = False
    timeout: float | None = None
    deadline: float | None = None
    max_retries: int | None = None
    max_cool_down: float = DAY_S
    give_up_after: int = 10
    fail_fast: bool = False

    def form(self) -> Form:
        """How the input's lines are read. Raises InvalidRequestError for a template that cannot be."""
        if self.text and self.template is not None:
            raise InvalidRequestError("text and template exclude each other", guidance="A template is for CSV.")
        if self.text:
            return TextLines()
        return JSONLines() if self.template is None else Table(self.template, self.delimiter)

    def attempts(self) -> dict[str, Any]:
        """The options of an attempt that hold for every request."""
        return {"timeout": self.timeout, "deadline": self.deadline, "max_retries": self.max_retries}


@dataclass
class Work:
    """One run's parts; ``hashes`` are those of earlier outcomes' lines, by slot.

    All but ``client`` and ``questions`` are used by one thread at a time.
    """

    options: Options
    client: LLMClient
    source: Source
    form: Form
    questions: Questions
    selection: Selection
    slots: Slots
    hashes: Numbers
    routes: Routes
    records: Records
    lines: int = 0
    _hashes: dict[Route, str] = field(default_factory=dict)

    def settings_of(self, place: Route) -> str:
        """The hash of what answers of a model depend on beside their line."""
        found = self._hashes.get(place)
        if found is None:
            found = self._hashes[place] = settings_hash(self.settings_for(place))
        return found

    def settings(self) -> dict[str, dict[str, Any]]:
        """What answers of the models seen so far depend on, by its hash."""
        return {name: self.settings_for(place) for place, name in self._hashes.items()}

    def settings_for(self, place: Route) -> dict[str, Any]:
        """What answers of a model depend on beside their line."""
        return self.questions.settings(place, self.form.settings)

    def model(self, slot: int) -> str | None:
        """The model that a slot's request goes to, whatever its line says; None where the line says it."""
        models = self.selection.models
        return None if models is None else "/".join(models[slot % len(models)])

    def asked(self, slot: int, line: str, place: tuple[str | None, str | None], **more: Any) -> Asked:
        """What is known of a slot's request; ``line``: the line's hash."""
        provider, model = place
        settings = self.settings_of(Route(provider, model)) if provider is not None and model is not None else ""
        key = Key(self.selection.position(slot), provider, model)
        shard = self.selection.shard
        return Asked(key, line, settings, openai=self.form.openai, shard=shard, lines=self.lines if shard else None, **more)

    def attempts(self, key: Key) -> AttemptOptions:
        """How a request may be tried, as everyone but a batch would try it."""
        options = self.options
        entry = self.client.config.providers[str(key.provider)].entry(str(key.model))
        retries = entry.attempts.max_retries if options.max_retries is None else options.max_retries
        return dataclasses.replace(entry.attempts, max_retries=retries)

    def send(self, question: Question, around: Around) -> Future[Any]:
        """Queue a request. Raises what is wrong with it, QueueFullError, ClientClosedError."""
        options = self.options.attempts()
        configured = self.client.config.providers[question.route.provider].entry(question.route.model).attempts
        # What asks for a longer pause comes back at once, to be parked where it is not under way.
        options["max_retry_after"] = min(configured.max_retry_after, self.options.max_cool_down)
        options["retry_timeouts"] = self._retries_timeouts(question.route)
        # Where the client sends, a batch keeps its journal: no done-callback, which could not stop the run, would do.
        return self.client._submit_around(question.request, around, changed=question.changed, **options)  # noqa: SLF001

    def check(self, question: Question) -> None:
        """Raise what is wrong with a request, sending nothing."""
        self.client._calls.asking(question.request)  # noqa: SLF001  (likewise)

    def cooling_down_for(self, provider: str) -> float:
        """Seconds for which a provider asked to be sent nothing; 0.0 where it did not, or they are over."""
        until = self.client._endpoints[provider].gate.cooling_down_until  # noqa: SLF001  (status() would cost more than a request)
        return 0.0 if until is None else max(0.0, (until - datetime.now(timezone.utc)).total_seconds())

    def _retries_timeouts(self, place: Route) -> bool:
        """Off, as a second attempt may be billed twice, unless the run, or the configuration by name, asks for it."""
        asked = self.options.retry_timeouts
        if asked is not None:
            return asked
        config = self.client.config
        provider = config.providers[place.provider]
        number = next((number for number, entry in enumerate(provider.models) if entry.name == place.model), None)
        levels = ("defaults", f"providers.{place.provider}", f"providers.{place.provider}.models[{number}]")
        told = any(f"{level}.retry_timeouts" in config.lines for level in levels)
        return told and provider.entry(place.model).attempts.retry_timeouts
