"""Who observes a client, beside the listeners and the middleware of the program."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from llm_sync.config.models import LLMConfig
from llm_sync.errors import ConfigurationError
from llm_sync.events import Listener
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.client.endpoints import Endpoints
    from llm_sync.client.middleware import Middleware

VARIABLE = "LLM_SYNC_OTEL"


def listeners_for(config: LLMConfig) -> tuple[Listener, ...]:
    """OpenTelemetry's listener, where it is asked for: by the variable, which may also turn it off, or by the configuration.

    Raises ConfigurationError if its packages are not installed, or its exporter is not.
    """
    asked = os.environ.get(VARIABLE, "").strip().lower()
    if asked in ("0", "false", "no", "off") or not (asked or config.observe == "otel"):
        return ()
    try:
        with import_lock:
            from llm_sync.observe.otel import Telemetry
            from llm_sync.observe.otel_setup import set_up
    except ImportError as error:
        raise ConfigurationError(
            f"OpenTelemetry is asked for (observe: otel, or {VARIABLE}), but cannot be imported: {error}",
            guidance=f"Install it: pip install 'llm-sync[otel]', or turn it off with {VARIABLE}=0.",
        ) from None
    set_up()
    return (Telemetry(config.providers).on_event,)


def record_content(watching: tuple[Listener, ...], add: Callable[[Middleware], None], endpoints: Endpoints) -> None:
    """Add a middleware that puts prompts and answers on spans, if OpenTelemetry's own variable asks for that.

    ``watching``: what ``listeners_for`` returned.
    """
    if not watching:
        return
    with import_lock:
        from llm_sync.observe.content import ContentRecorder, is_wanted

    def redact(name: str, text: str) -> str:
        return endpoints[name].provider.credential.redactor().text(text)

    if is_wanted():
        for listener in watching:
            add(ContentRecorder(listener.__self__.describe, redact))  # type: ignore[attr-defined]  # Telemetry's method
