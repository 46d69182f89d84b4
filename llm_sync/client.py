"""LLMClient, the library's front door: configuration, providers, transport and dispatch wired together."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

from llm_sync import preparation
from llm_sync.config.loader import ConfigLoader
from llm_sync.config.models import LLMConfig, ProviderConfig
from llm_sync.config.validator import ConfigValidator
from llm_sync.dispatch import ending
from llm_sync.dispatch.gate import Gate
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.dispatch.queue import ProviderRequestQueue
from llm_sync.dispatch.status import ProviderStatus
from llm_sync.errors import ClientClosedError, ConfigurationError, LLMConnectorError, Problem
from llm_sync.events import Event, Listener, log_event, log_facts, logger
from llm_sync.models import Adjustment, ModelListing, ModelRequest, ModelResponse
from llm_sync.providers.factory import ProviderFactory
from llm_sync.routing import route
from llm_sync.transport.client import HTTPClient
from llm_sync.transport.control import CallControl
from llm_sync.transport.retry import RetryHandler

if TYPE_CHECKING:
    from types import TracebackType

    from llm_sync.machine.status import StatusFile
    from llm_sync.providers.base import LLMProvider

_log = logger("client")
_DATE = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2}|latest)$")  # at the end of a model's name


Around = Callable[[Callable[[], ModelResponse], CallControl], Any]
"""``around(send, control)``: what is done in place of ``send()``."""


class Endpoint(NamedTuple):
    """One provider entry at work: what its requests share."""

    provider: LLMProvider
    http: HTTPClient
    gate: Gate


class ProviderCall:
    """One request on its way through a queue; dispatch runs it, and may tell it to stop."""

    def __init__(self, run: Callable[..., Any], arguments: tuple[Any, ...], control: CallControl, model: str = "") -> None:
        self._run = run
        self._arguments = arguments
        self._control = control
        self.key = control.key
        self.model = model

    @property
    def control(self) -> CallControl:
        """With which it is told to stop."""
        return self._control

    def __call__(self) -> Any:
        """Send the request and give its answer."""
        return self._run(*self._arguments)

    def stop_retrying(self) -> None:
        """No further attempt, no further wait."""
        self._control.stop_retrying()

    def abort(self) -> None:
        """End the attempt under way too."""
        self._control.abort()


class LLMClient:
    """Blocking calls to every provider of one configuration.

    May be used from any thread, and after a fork in the child. Close it, or use it as a context manager: leaving the block
    normally waits for what is queued, leaving by an exception cancels it (after Ctrl-C, what is in flight gets 5 s). A
    client that is never closed still finishes its queued work before the interpreter exits. Clients pickle as
    configuration, keys by reference.

    ``strict`` refuses what would otherwise be adjusted, and truncated answers, and checks every key now.
    ``strict_streaming`` refuses streaming switches in requests instead of stripping them. ``publish_status`` shows the
    client in ``llm-sync status``. Raises ConfigurationError for a configuration that cannot be used.
    """

    def __init__(
        self, config: LLMConfig, *, strict: bool = False, strict_streaming: bool = False, publish_status: bool = False
    ) -> None:
        if not isinstance(config, LLMConfig):
            raise TypeError(f"LLMClient takes an LLMConfig, not {type(config).__name__}: use LLMClient.from_config(name_or_path)")
        self._given = {"strict": strict, "strict_streaming": strict_streaming, "publish_status": publish_status}
        self.config = config
        self._strict = strict or config.strict
        self._strict_streaming = strict_streaming or config.strict_streaming
        validator = ConfigValidator(_known_types(config))
        problems = validator.validate_config(config)
        if self._strict:
            problems += validator.validate_environment_variables(config)
        if self._strict_streaming:
            problems += _switches_in(config)
        _refuse(problems)
        self._keys = itertools.count(1)
        self._listeners: tuple[Listener, ...] = ()  # replaced, never changed: workers go through it without a lock
        self._endpoints: dict[str, Endpoint] = {}
        self._status_file: StatusFile | None = None
        self._manager = ConcurrentLLMManager(self._open_queue)
        self._manager.after_fork(self._renew_after_fork)
        if self._strict:
            _refuse(self._usual_keys_missing())
        if publish_status:
            from llm_sync.machine.status import publish

            self._status_file = publish(self)

    @classmethod
    def from_config(
        cls,
        name_or_path: str | None = None,
        *,
        config_dir: str | None = None,
        strict: bool = False,
        strict_streaming: bool = False,
        publish_status: bool = False,
    ) -> LLMClient:
        """A client for a configuration file (docs/configuration.md says where it is looked for). Raises ConfigurationError."""
        loader = ConfigLoader(config_dir, known_types=ProviderFactory.types_for)
        config = loader.load_config(name_or_path, strict_streaming=strict_streaming)
        return cls(config, strict=strict, strict_streaming=strict_streaming, publish_status=publish_status)

    # Asking --------------------------------------------------------------------------------------------------------

    def generate(
        self,
        prompt: str | None = None,
        model: str | None = None,
        *,
        timeout: float | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        wait_timeout: float | None = None,
        **request_fields: Any,
    ) -> ModelResponse:
        """Ask one model and wait for its answer.

        ``timeout``: seconds for one attempt; ``deadline``: seconds for the request from its first attempt on, retries and
        waits included; ``wait_timeout``: seconds this call may take in all, queueing included. ``request_fields`` are
        those of ModelRequest; an unknown one is a TypeError. Raises LLMConnectorError; RuntimeError when called on the
        provider's own worker thread (from a done-callback), where it would wait for itself.
        """
        fields = preparation.refuse_streaming(request_fields)
        preparation.refuse_unknown(fields)
        return self.generate_response(
            ModelRequest(prompt, model, **fields),
            timeout=timeout,
            deadline=deadline,
            max_retries=max_retries,
            wait_timeout=wait_timeout,
        )

    def generate_response(
        self,
        request: ModelRequest,
        *,
        timeout: float | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        wait_timeout: float | None = None,
    ) -> ModelResponse:
        """Ask with a ModelRequest and wait; options, errors and threads as for ``generate``."""
        preparation.check_seconds("wait_timeout", wait_timeout)
        name, call = self._call(request, timeout=timeout, deadline=deadline, max_retries=max_retries)
        return self._manager.call(name, call, timeout=wait_timeout)  # type: ignore[no-any-return]

    def submit(
        self,
        request: ModelRequest,
        *,
        block: bool = True,
        timeout: float | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        wait_timeout: float | None = None,
    ) -> Future[ModelResponse]:
        """Queue a request; the future carries the answer or its error, and can be cancelled until it is sent.

        Times and retries as for ``generate``. Raises at once what is wrong with the request or its model, ClientClosedError,
        and QueueFullError when ``max_queue`` is reached and ``block`` is False, or no room has come within ``wait_timeout``
        seconds.
        """
        preparation.check_seconds("wait_timeout", wait_timeout)
        name, call = self._call(request, timeout=timeout, deadline=deadline, max_retries=max_retries)
        return self._manager.submit(name, call, block=block, timeout=wait_timeout)

    def generate_responses_concurrent(self, requests: Iterable[ModelRequest], *, return_exceptions: bool = False) -> list[Any]:
        """Ask all, each provider one at a time and all providers at once; results in input order.

        Every request is checked before any is sent; what is wrong with one is raised then. When some fail later, all are
        waited for and a BatchError is raised whose ``.results`` is the list with exceptions in place. With
        ``return_exceptions`` that list is returned, and requests that are wrong have their errors in it too.
        """
        calls = [self._call_or_error(request) if return_exceptions else self._call(request) for request in requests]
        made = [call for call in calls if not isinstance(call, LLMConnectorError)]
        outcomes = iter(self._manager.run(made, return_exceptions=return_exceptions))
        return [call if isinstance(call, LLMConnectorError) else next(outcomes) for call in calls]

    def map(self, requests: Iterable[ModelRequest], *, window: int = 256, return_exceptions: bool = False) -> Iterator[Any]:
        """The answers to an iterable of any length, lazily, in input order, with at most ``window`` requests in memory.

        The first error, also of a request that is wrong, is raised in its place and ends the iteration, unless
        ``return_exceptions``: then it stands there, and the iteration goes on. What ``requests`` itself raises comes after
        the answers to what it gave before. ClientClosedError ends the iteration always.
        """
        asked = self._call_or_error if return_exceptions else self._call
        return self._manager.map(map(asked, requests), window=window, return_exceptions=return_exceptions)

    def list_all_models(self, *, timeout: float | None = None) -> dict[str, ModelListing]:
        """What every provider lists, all asked at once; a provider that fails has its error in its ModelListing.

        ``timeout``: seconds for one attempt, where it shall differ from the configured one. Raises ClientClosedError, and
        RuntimeError on a worker thread of any provider.
        """
        preparation.check_seconds("timeout", timeout)
        calls: dict[str, tuple[str, ProviderCall]] = {}
        failed: dict[str, LLMConnectorError] = {}
        for name in self.config.providers:
            try:
                calls[name] = self._listing_call(name, timeout)
            except LLMConnectorError as error:  # noqa: PERF203  (one provider that cannot be set up stops no other)
                failed[name] = error
        outcomes = dict(zip(calls, self._manager.run(list(calls.values()), return_exceptions=True), strict=True))
        return {name: self._listing(name, failed.get(name) or outcomes[name]) for name in self.config.providers}

    def status(self) -> dict[str, ProviderStatus]:
        """How each provider's queue stands now; providers that were never asked are all zeros."""
        found = self._manager.status()
        return {name: self._cooled(name, found.get(name, ProviderStatus())) for name in self.config.providers}

    def _cooled(self, name: str, status: ProviderStatus) -> ProviderStatus:
        endpoint = self._endpoints.get(name)
        return dataclasses.replace(status, cooling_down_until=endpoint.gate.cooling_down_until) if endpoint else status

    def add_listener(self, listener: Listener) -> None:
        """Let ``listener`` hear of every event (llm_sync.events) from now on, for as long as the client lives.

        It is called in the thread where the event arises, usually a worker's, and must be quick; what it raises is logged.
        """
        self._listeners += (listener,)

    def check_providers(self, names: Iterable[str]) -> None:
        """Raise what keeps the named providers from being used: an unset variable, an impossible key, no base_url.

        Sends nothing; run it before a long or costly job.
        """
        for name in names:
            self._endpoint(name).provider.check()

    # Ending --------------------------------------------------------------------------------------------------------

    def close(self, cancel_pending: bool = False, *, grace: float | None = None) -> None:
        """Take no more requests, wait for what is queued (or cancel it), end the workers, close the connections.

        ``grace``: seconds after which what is still in flight is aborted, when pending work is cancelled (None: never).
        """
        self._manager.close(cancel_pending, grace=grace)
        for endpoint in list(self._endpoints.values()):
            endpoint.http.close()
        if self._status_file is not None:
            self._status_file.end()

    def __enter__(self) -> LLMClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.close(cancel_pending=kind is not None, grace=ending.GRACE_S if interrupted else None)

    def __getstate__(self) -> dict[str, Any]:
        return {"config": self.config, **self._given}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"<LLMClient {self.config.file or ''} providers={list(self.config.providers)}>"

    # Wiring --------------------------------------------------------------------------------------------------------

    def _call_or_error(self, request: ModelRequest) -> tuple[str, ProviderCall] | LLMConnectorError:
        """As ``_call``; what is wrong with this request alone is returned."""
        try:
            return self._call(request)
        except ClientClosedError:
            raise
        except LLMConnectorError as error:
            return error

    def _call(self, request: ModelRequest, *, changed: Iterable[Adjustment] = (), **options: Any) -> tuple[str, ProviderCall]:
        """Where a request goes and the call that sends it; raises what is wrong with it before anything is queued.

        ``changed``: adjustments made before. ``options`` replace fields of AttemptOptions.
        """
        if not isinstance(request, ModelRequest):
            raise TypeError(f"a request is a ModelRequest, not {type(request).__name__}")
        name, model = route(self.config, request.model)
        log_facts(_log, "route", asked=request.model, provider=name, model=model)
        entry = self.config.providers[name].entry(model)
        adjustments = [
            Adjustment(switch, asked, None, "the configuration asks for streaming, which llm-sync never does")
            for switch, asked in entry.stripped.items()
        ]
        adjustments += changed
        request, stripped = preparation.without_switches(request, name, strict=self._strict_streaming)
        adjustments += stripped
        request = preparation.filled(request, model, entry)
        attempts = preparation.attempt_options(entry.attempts, options)
        control = CallControl(next(self._keys))
        ask = self._endpoint(name).provider.generate_response
        return name, ProviderCall(ask, (request, attempts, control, tuple(adjustments)), control, model)

    def _submit_around(self, request: ModelRequest, around: Around, **options: Any) -> Future[Any]:
        """For batches, which keep their journal on the worker: ``around`` runs there in place of the call, which it makes.

        ``options`` as ``_call`` takes them. Raises QueueFullError where ``max_queue`` requests wait.
        """
        name, call = self._call(request, **options)
        control = call.control
        return self._manager.submit(name, ProviderCall(around, (call, control), control, call.model), block=False)

    def _endpoint(self, name: str) -> Endpoint:
        found = self._endpoints.get(name)
        if found is None:
            # Two threads may both build one: no socket is open yet, and setdefault keeps the first.
            found = self._endpoints.setdefault(name, self._build(self.config.providers[name]))
        return found

    def _build(self, config: ProviderConfig) -> Endpoint:
        http = HTTPClient(
            pool_size=config.concurrency,
            proxy=config.proxy,
            ca_bundle=config.ca_bundle,
            max_response_bytes=config.max_response_bytes,
            allow_insecure=config.allow_insecure,
        )
        emit = self._manager.queue(config.name).emit  # the queue counts every event before it passes it on
        gate = Gate(config.name, requests_per_minute=config.requests_per_minute, emit=emit, **self._shared_with_others(config))
        retry = RetryHandler(gate, provider=config.name, emit=emit)
        kind = ProviderFactory.provider_class(config.type)
        return Endpoint(kind(config, http, retry, strict=self._strict, emit=emit), http, gate)

    def _shared_with_others(self, config: ProviderConfig) -> dict[str, Any]:
        """What the gate of a provider shares with other processes, where it does."""
        if not config.machine_wide:
            return {}
        from llm_sync.machine.cooldowns import CoolDowns
        from llm_sync.machine.folder import Meeting
        from llm_sync.machine.slots import Slots

        def identity() -> str:  # asked later: the provider is made after its gate
            return self._endpoint(config.name).provider.identity()

        meeting = Meeting(identity)
        return {"slot": Slots(meeting, config.concurrency, config.name), "cool_downs": CoolDowns(meeting)}

    def _open_queue(self, name: str) -> ProviderRequestQueue:
        config = self.config.providers[name]
        return ProviderRequestQueue(
            name,
            concurrency=config.concurrency,
            max_queue=config.max_queue,
            idle_timeout=config.idle_timeout,
            emit=self._tell,
        )

    def _tell(self, event: Event) -> None:
        log_event(event)
        for listener in self._listeners:
            listener(event)

    def _renew_after_fork(self) -> None:
        for endpoint in list(self._endpoints.values()):
            endpoint.provider.reset_after_fork()
            endpoint.http.reset_after_fork()
            endpoint.gate.reset_after_fork()
        if self._status_file is not None:
            self._status_file.reset_after_fork()

    def _listing_call(self, name: str, timeout: float | None) -> tuple[str, ProviderCall]:
        provider = self._endpoint(name).provider
        attempts = preparation.attempt_options(self.config.providers[name].attempts, {"timeout": timeout})
        control = CallControl(next(self._keys))
        return name, ProviderCall(provider.list_models, (attempts, control), control)

    def _listing(self, name: str, outcome: list[str] | BaseException) -> ModelListing:
        if isinstance(outcome, LLMConnectorError):
            return ModelListing(error=outcome)
        if isinstance(outcome, BaseException):
            raise outcome
        listed = tuple(model.removeprefix("models/") for model in outcome)
        known = {spelling for model in listed for spelling in _spellings(model)}
        configured = [entry.name for entry in self.config.providers[name].models]
        return ModelListing(listed, tuple(model for model in configured if not known & _spellings(model)))

    def _usual_keys_missing(self) -> list[Problem]:
        """Providers whose configuration names no key, and whose dialect's usual variable has none."""
        found = []
        for name, config in self.config.providers.items():
            try:
                if config.key is None:
                    self._endpoint(name).provider.check()
            except LLMConnectorError as error:  # noqa: PERF203  (all of them are told)
                found.append(Problem(error.message, f"providers.{name}", self.config.file, config.line, error.guidance))
        return found


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise ConfigurationError("the configuration cannot be used", problems=tuple(problems))


def _switches_in(config: LLMConfig) -> list[Problem]:
    """The streaming switches that were stripped from a configuration that was loaded without ``strict_streaming``."""
    found = []
    for name, provider in config.providers.items():
        switches = dict.fromkeys([*provider.stripped, *(switch for model in provider.models for switch in model.stripped)])
        if switches:
            message = f"asks for streaming ({', '.join(switches)})"
            found.append(Problem(message, f"providers.{name}", config.file, provider.line, "leave it out"))
    return found


def _spellings(model: str) -> set[str]:
    """A model's bare name and its undated alias: providers serve ``claude-x-1`` and list ``claude-x-1-20250929`` only."""
    bare = model.removeprefix("models/")
    return {bare, _DATE.sub("", bare)}


def _known_types(config: LLMConfig) -> list[str]:
    return ProviderFactory.types_for(provider.type for provider in config.providers.values())
