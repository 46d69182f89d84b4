"""LLMClient, the entry point of the library: prepares requests, queues them for their providers, and waits for answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from llm_sync.client import cache_choice, observers, queues, request_defaults, simulation, startup_checks
from llm_sync.client.built_in import load_or_built_in
from llm_sync.client.cache_choice import Cache
from llm_sync.client.dispatcher import Dispatcher
from llm_sync.client.endpoints import Endpoints, spending_of
from llm_sync.client.routed_requests import RoutedRequests
from llm_sync.config.loader import ConfigLoader
from llm_sync.config.models import LLMConfig
from llm_sync.dispatch import shutdown
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.dispatch.queue import ProviderRequestQueue
from llm_sync.dispatch.status import ProviderStatus
from llm_sync.events import HIGHEST_LEVELS, Event, Listener, log_event, notify, requests_log
from llm_sync.models import ModelListing, ModelRequest, ModelResponse
from llm_sync.providers.factory import ProviderFactory
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from types import TracebackType

    from llm_sync.client.middleware import Middleware
    from llm_sync.client.tools import Tools
    from llm_sync.machine.status import StatusFile
    from llm_sync.models.embeddings import Embeddings
    from llm_sync.models.tool_run import ToolRun
    from llm_sync.transport.adapter import SessionHook


class LLMClient:
    """Blocking calls to all providers of one configuration.

    May be used from any thread, and in the child after a fork. Close it, or use it as a context manager: leaving the block
    normally waits for queued requests, leaving it by an exception cancels them (after Ctrl-C, requests in flight get 5 s). A
    client that is never closed still finishes its queued requests before the interpreter exits. A client pickles as its
    configuration, with keys by reference. In a simulation (``llm-sync simulate -- …``) a new client asks the simulator
    instead of the providers, and logs a warning that says so.

    ``strict`` refuses what would otherwise be adjusted, and truncated answers, and checks every key now. ``strict_streaming``
    refuses streaming switches in requests instead of stripping them, which ``strict`` means, too. ``publish_status`` shows
    the client in ``llm-sync status``. ``cache`` stores answers and serves them again (docs/caching.md): True, a folder, or a
    mapping with ``dir``, ``max_age``, ``max_bytes``, ``errors`` and ``offline``; False: none; None: as configured.
    ``max_cost``: the most USD that all requests of this client may cost; ``tag``: under which ``llm-sync spend`` shows what they
    cost. ``session``: called with each new requests.Session, to mount adapters. Raises ConfigurationError.
    """

    def __init__(
        self,
        config: LLMConfig,
        *,
        strict: bool = False,
        strict_streaming: bool = False,
        publish_status: bool = False,
        cache: Cache = None,
        max_cost: float | None = None,
        tag: str | None = None,
        session: SessionHook | None = None,
    ) -> None:
        if not isinstance(config, LLMConfig):
            raise TypeError(f"LLMClient takes an LLMConfig, not {type(config).__name__}: use LLMClient.from_config(name_or_path)")
        self._given: dict[str, Any] = {"strict": strict, "strict_streaming": strict_streaming, "publish_status": publish_status}
        self._given |= {"cache": cache, "max_cost": max_cost, "tag": tag, "session": session}
        self.config = config
        self._config = config = simulation.apply_simulation(config)  # the one that counts
        self._strict = strict or config.strict
        self._strict_streaming = strict_streaming or config.strict_streaming
        startup_checks.check_config(config, strict=self._strict, strict_streaming=self._strict_streaming)
        self._listeners = observers.listeners_for(config)  # replaced, never changed: workers go through it without a lock
        self._status_file: StatusFile | None = None
        self._manager = ConcurrentLLMManager(self._open_queue)
        self._endpoints = Endpoints(config, self._manager, self._strict, spending_of(config, max_cost, tag), session)
        self.dispatcher = Dispatcher(
            config, self._manager, self._endpoints, strict=self._strict, strict_streaming=self._strict_streaming
        )
        observers.record_content(self._listeners, self.dispatcher.add_middleware, self._endpoints)
        self._routed = RoutedRequests(config, self._manager, self.dispatcher, self._endpoints)
        self._manager.after_fork(self._renew_after_fork)
        if cache_choice.is_wanted(config, cache):
            self.dispatcher.open_caches(cache)
        if self._strict and not self.dispatcher.is_offline:
            startup_checks.check_usual_keys(config, self._endpoints)
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
        cache: Cache = None,
        max_cost: float | None = None,
        tag: str | None = None,
        session: SessionHook | None = None,
    ) -> LLMClient:
        """A client for a configuration file. docs/configuration.md says where it is searched. Raises ConfigurationError.

        Without a name and without any file, the providers whose usual key variables are set are used with built-in defaults.
        """
        loader = ConfigLoader(config_dir, known_types=ProviderFactory.types_for)
        config = load_or_built_in(loader, name_or_path, strict_streaming=strict_streaming)
        modes: dict[str, Any] = {"strict": strict, "strict_streaming": strict_streaming, "publish_status": publish_status}
        return cls(config, cache=cache, max_cost=max_cost, tag=tag, session=session, **modes)

    def generate(
        self,
        prompt: str | None = None,
        model: str | None = None,
        *,
        timeout: float | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        wait_timeout: float | None = None,
        via: str | None = None,
        **request_fields: Any,
    ) -> ModelResponse:
        """Ask one model and wait for its answer.

        ``timeout``: seconds for one attempt; ``deadline``: seconds for the request from its first attempt on, waits included;
        ``wait_timeout``: seconds for this call in all, time in the queue included. ``via``: "background" has the provider work
        on it and fetches the answer, "direct" is one exchange. ``request_fields`` are those of ModelRequest; an unknown one is a
        TypeError. Raises LLMConnectorError, and RuntimeError on the provider's own worker thread (in a done-callback).
        """
        if request_fields:
            request_fields = request_defaults.refuse_streaming(request_fields)
            request_defaults.refuse_unknown(request_fields)
        if wait_timeout is not None:
            request_defaults.check_seconds("wait_timeout", wait_timeout)
        request = ModelRequest(prompt, model, **request_fields)
        if model in self._routed.names or (model is not None and "," in model and self._routed.includes(request)):
            return self._routed.ask(request, wait_timeout, timeout=timeout, deadline=deadline, max_retries=max_retries, via=via)
        prepared = self.dispatcher.prepare(request, timeout=timeout, deadline=deadline, max_retries=max_retries, via=via)
        if self.dispatcher.caching is not None:
            return self.dispatcher.ask(prepared, wait_timeout)
        return self._manager.call(prepared.provider, self.dispatcher.call_for(prepared), timeout=wait_timeout)  # type: ignore[no-any-return]

    def generate_response(
        self,
        request: ModelRequest,
        *,
        timeout: float | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        wait_timeout: float | None = None,
        via: str | None = None,
    ) -> ModelResponse:
        """Ask with a ModelRequest and wait; options, errors and threads as for ``generate``."""
        if wait_timeout is not None:
            request_defaults.check_seconds("wait_timeout", wait_timeout)
        if self._routed.includes(request):
            return self._routed.ask(request, wait_timeout, timeout=timeout, deadline=deadline, max_retries=max_retries, via=via)
        prepared = self.dispatcher.prepare(request, timeout=timeout, deadline=deadline, max_retries=max_retries, via=via)
        if self.dispatcher.caching is not None:
            return self.dispatcher.ask(prepared, wait_timeout)
        return self._manager.call(prepared.provider, self.dispatcher.call_for(prepared), timeout=wait_timeout)  # type: ignore[no-any-return]

    def submit(
        self,
        request: ModelRequest,
        *,
        block: bool = True,
        timeout: float | None = None,
        deadline: float | None = None,
        max_retries: int | None = None,
        wait_timeout: float | None = None,
        via: str | None = None,
    ) -> Future[ModelResponse]:
        """Queue a request; the future gets the answer or its error, and can be cancelled until the request is sent.

        Times and retries as for ``generate``. Raises at once what is wrong with the request, ClientClosedError, and
        QueueFullError if ``max_queue`` requests are queued and ``block`` is False, or still so after ``wait_timeout`` seconds.
        """
        if wait_timeout is not None:
            request_defaults.check_seconds("wait_timeout", wait_timeout)
        if self._routed.includes(request):
            options = {"timeout": timeout, "deadline": deadline, "max_retries": max_retries, "via": via}
            return self._routed.submit(request, options, block=block, timeout=wait_timeout)
        prepared = self.dispatcher.prepare(request, timeout=timeout, deadline=deadline, max_retries=max_retries, via=via)
        return self.dispatcher.submit(prepared, block=block, timeout=wait_timeout)

    def generate_responses_concurrent(self, requests: Iterable[ModelRequest], *, return_exceptions: bool = False) -> list[Any]:
        """Send all requests, to all providers in parallel, each at its own ``concurrency``; results in input order.

        All requests are checked before the first is sent; an error in one is raised then. If some fail later, this waits for
        all and raises BatchError, whose ``.results`` is the list with exceptions in place of answers. With
        ``return_exceptions`` that list is returned, with the errors of the checks in it, too.
        """
        return self._routed.run(requests, return_exceptions=return_exceptions)

    def map(self, requests: Iterable[ModelRequest], *, window: int = 256, return_exceptions: bool = False) -> Iterator[Any]:
        """The answers to an iterable of any length, lazily, in input order, with at most ``window`` requests in memory.

        The first error, also of a check, is raised at its place and ends the iteration; with ``return_exceptions`` it is yielded
        there. An exception of ``requests`` itself is raised after the answers before it. ClientClosedError always ends it.
        """
        return self._routed.map(requests, window=window, return_exceptions=return_exceptions)

    def run_tools(
        self, request: ModelRequest, tools: Tools, max_rounds: int = 8, max_cost: float | None = None, **options: Any
    ) -> ToolRun:
        """Ask, call what the model calls, hand it the results, and so on until it answers: at most ``max_rounds`` answers and
        ``max_cost`` USD. ``tools``: functions by name, described by their signatures (docs/tools.md).

        ``options``: those of ``generate_response``, for each answer; ``on_error``: "model" hands it the errors of tools, "raise"
        raises them; ``tool_timeout``: seconds for a call (120; None: no limit); ``parallel``: calls made at once (8);
        ``max_result``: characters of a result that the model gets (100,000). What is raised has ``tool_run``: all until then.
        """
        with import_lock:
            from llm_sync.client.tools import run_tools

        return run_tools(self.generate_response, self.dispatcher, request, tools, max_rounds, max_cost, **options)

    def embed(self, texts: str | Iterable[str], model: str, **options: Any) -> Embeddings:
        """The vectors of texts, in their order; see docs/embeddings.md and ``help(llm_sync.client.embedding.embed)``."""
        return self._routed.embed(texts, model, **options)

    def list_all_models(self, *, timeout: float | None = None) -> dict[str, ModelListing]:
        """The models that each provider lists, all asked at once; if one fails, its ModelListing has the error.

        ``timeout``: seconds for one attempt; None: as configured. Raises ClientClosedError, and RuntimeError on any worker.
        """
        from llm_sync.client import model_listing

        return model_listing.list_all_models(self._config, self.dispatcher, timeout)

    def status(self) -> dict[str, ProviderStatus]:
        """The state of each provider's queue; all zeros for providers that were not used yet."""
        return self._endpoints.statuses(self._manager.status())

    def add_listener(self, listener: Listener) -> None:
        """Call ``listener`` with every event (llm_sync.events) from now on, in the thread where it happens, usually a worker's.
        It must be quick; what it raises is logged."""
        self._listeners += (listener,)

    def add_middleware(self, middleware: Middleware) -> None:
        """Run ``middleware`` around every call that is queued from now on (llm_sync.client.middleware).

        A worker thread calls it with the prepared request and ``send``, which continues the call; the first one is the outermost.
        """
        self.dispatcher.add_middleware(middleware)

    def check_providers(self, names: Iterable[str]) -> None:
        """Raise an error if a named provider cannot be used: an unset variable, an invalid key, no base_url. Sends nothing, but
        reads key files and runs key commands; call it before a long or expensive job."""
        for name in names:
            self.dispatcher.check(name)

    def close(self, cancel_pending: bool = False, *, grace: float | None = None) -> None:
        """Refuse new requests, wait for queued ones (or cancel them), end the workers, close the connections.

        ``grace``: if queued requests are cancelled, seconds until those in flight are aborted (None: never).
        """
        self._manager.close(cancel_pending, grace=grace)
        self._endpoints.close()
        if self._status_file is not None:
            self._status_file.close()

    def __enter__(self) -> LLMClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        grace = shutdown.GRACE_S if kind is not None and issubclass(kind, KeyboardInterrupt) else None
        self.close(cancel_pending=kind is not None, grace=grace)

    def __getstate__(self) -> dict[str, Any]:
        return {"config": self.config, **self._given, **self._endpoints.shared_maximum()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"<LLMClient {self.config.file or ''} providers={list(self.config.providers)}>"

    def _open_queue(self, name: str) -> ProviderRequestQueue:
        provider = self.config.providers.get(name)
        return self._routed.open_queue() if provider is None else queues.open_queue(provider, self._tell)

    def _tell(self, event: Event) -> None:
        if requests_log.isEnabledFor(HIGHEST_LEVELS.get(type(event), 0)):  # every request has five, and most are not logged
            log_event(event)
        for listener in self._listeners:
            notify(listener, event)

    def _renew_after_fork(self) -> None:
        self._endpoints.reset_after_fork()
        if self._status_file is not None:
            self._status_file.reset_after_fork()
