"""Who observes a client, beside the listeners and the middleware of the program."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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
    if not _is_asked_for(config):
        return ()
    telemetry, otel_setup = _load()
    otel_setup.set_up()
    return (telemetry(config.providers).on_event,)


def exporters_missing(config: LLMConfig) -> list[str]:
    """The variables of OpenTelemetry for which nothing is exported, if it is asked for; see ``otel_setup.without_exporter``.

    Nothing is set up. Raises ConfigurationError as ``listeners_for``.
    """
    if not _is_asked_for(config):
        return []
    _, otel_setup = _load()
    missing: list[str] = otel_setup.without_exporter()
    return missing


def _is_asked_for(config: LLMConfig) -> bool:
    asked = os.environ.get(VARIABLE, "").strip().lower()
    return asked not in ("0", "false", "no", "off") and bool(asked or config.observe == "otel")


def _load() -> tuple[Any, Any]:
    """The class Telemetry, and the module ``observe.otel_setup``."""
    try:
        with import_lock:
            from llm_sync.observe import otel_setup
            from llm_sync.observe.otel import Telemetry
    except ImportError as error:
        raise ConfigurationError(
            f"OpenTelemetry is asked for (observe: otel, or {VARIABLE}), but cannot be imported: {error}",
            guidance=f"Install it: pip install 'llm-sync[otel]', or turn it off with {VARIABLE}=0.",
        ) from None
    return Telemetry, otel_setup


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
