"""Requests made into calls: where each goes, and what a queue's worker runs to send it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from llm_sync.client import request_defaults
from llm_sync.config.models import LLMConfig
from llm_sync.config.routing import route
from llm_sync.errors import ClientClosedError, LLMConnectorError
from llm_sync.events import log_facts, logger
from llm_sync.models import Adjustment, ModelRequest, ModelResponse
from llm_sync.runtime.cancellation import CallControl

if TYPE_CHECKING:
    from llm_sync.client.endpoints import Endpoints

_log = logger("client")

Around = Callable[[Callable[[], ModelResponse], CallControl], Any]
"""``around(send, control)``: what is done in place of ``send()``."""


class ProviderCall:
    """One request on its way through a queue; dispatch runs it, and may tell it to stop."""

    def __init__(self, run: Callable[..., Any], arguments: tuple[Any, ...], control: CallControl, model: str = "") -> None:
        self._run = run
        self._arguments = arguments
        self._control = control
        self.key = control.key
        self.model = model

    def within(self, around: Around) -> ProviderCall:
        """The call that runs ``around`` in place of this one, which it makes."""
        return ProviderCall(around, (self, self._control), self._control, self.model)

    def __call__(self) -> Any:
        """Send the request and give its answer."""
        return self._run(*self._arguments)

    def stop_retrying(self) -> None:
        """No further attempt, no further wait."""
        self._control.stop_retrying()

    def abort(self) -> None:
        """End the attempt under way too."""
        self._control.abort()


class Calls:
    """Makes the calls of one client, each with the name of the provider it goes to; on any thread."""

    def __init__(self, config: LLMConfig, endpoints: Endpoints, *, strict_streaming: bool) -> None:
        self._config = config
        self._endpoints = endpoints
        self._strict_streaming = strict_streaming
        self._keys = itertools.count(1)

    def asking(self, request: ModelRequest, *, changed: Iterable[Adjustment] = (), **options: Any) -> tuple[str, ProviderCall]:
        """The call that sends ``request``; raises what is wrong with it, before anything is queued.

        ``changed``: adjustments made before. ``options`` replace fields of AttemptOptions.
        """
        if not isinstance(request, ModelRequest):
            raise TypeError(f"a request is a ModelRequest, not {type(request).__name__}")
        name, model = route(self._config, request.model)
        log_facts(_log, "route", asked=request.model, provider=name, model=model)
        entry = self._config.providers[name].entry(model)
        adjustments = [
            Adjustment(switch, asked, None, "the configuration asks for streaming, which llm-sync never does")
            for switch, asked in entry.stripped.items()
        ]
        adjustments += changed
        request, stripped = request_defaults.without_switches(request, name, strict=self._strict_streaming)
        adjustments += stripped
        request = request_defaults.filled(request, model, entry)
        attempts = request_defaults.attempt_options(entry.attempts, options)
        control = CallControl(next(self._keys))
        ask = self._endpoints[name].provider.generate_response
        return name, ProviderCall(ask, (request, attempts, control, tuple(adjustments)), control, model)

    def asking_or_error(self, request: ModelRequest) -> tuple[str, ProviderCall] | LLMConnectorError:
        """As ``asking``; what is wrong with this request alone is returned."""
        try:
            return self.asking(request)
        except ClientClosedError:
            raise
        except LLMConnectorError as error:
            return error

    def listing(self, name: str, timeout: float | None) -> tuple[str, ProviderCall]:
        """The call that asks a provider which models it has, each attempt within ``timeout`` seconds."""
        provider = self._endpoints[name].provider
        attempts = request_defaults.attempt_options(self._config.providers[name].attempts, {"timeout": timeout})
        control = CallControl(next(self._keys))
        return name, ProviderCall(provider.list_models, (attempts, control), control)
