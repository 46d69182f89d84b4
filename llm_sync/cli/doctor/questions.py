"""With --ask: each provider's listing, and a question of one token to its first model. The only check that uses the key."""

from __future__ import annotations

import time
from collections.abc import Iterator

from llm_sync.cli import exit_codes
from llm_sync.cli.doctor.findings import FAIL, OK, WARN, Finding
from llm_sync.cli.outcome import status_of
from llm_sync.config import LLMConfig
from llm_sync.config.routing import route
from llm_sync.errors import EmptyResponseError, LLMConnectorError, TruncatedResponseError
from llm_sync.models import ModelListing

_QUESTION = "Answer with the word yes."


def check(config: LLMConfig, usable: list[str], timeout: float) -> Iterator[Finding]:
    """Lines for the providers in ``usable``; a key command is run for these."""
    from llm_sync.client.client import LLMClient  # the network is loaded for this only

    with LLMClient(config) as client:
        listings = client.list_all_models(timeout=timeout)
        for name in usable:
            listing = listings[name]
            if listing.error is not None:
                yield _failure("listing", name, listing.error)
            else:
                yield Finding(OK, "listing", name, f"{len(listing.models)} models")
                for missing in listing.missing:
                    hint = "Correct its name, or remove it from models."
                    yield Finding(WARN, "listing", name, f"{missing} is configured, but not listed", hint)
            model = _model_of(config, name, listing)
            if model is None:
                yield Finding(WARN, "question", name, "no model is known to ask", "List one under models.")
                continue
            began = time.monotonic()
            try:
                client.generate(_QUESTION, f"{name}/{model}", max_tokens=1, max_retries=0, timeout=timeout)
            except (TruncatedResponseError, EmptyResponseError):
                pass  # it answered: one token is not enough for text with every model
            except LLMConnectorError as error:
                yield _failure("question", f"{name}/{model}", error)
                continue
            yield Finding(OK, "question", f"{name}/{model}", f"answered after {time.monotonic() - began:.1f} s")


def _model_of(config: LLMConfig, name: str, listing: ModelListing) -> str | None:
    """The model to ask: the default one, if it is this provider's; else the first configured, else the first listed."""
    try:
        target = route(config, None)
    except LLMConnectorError:
        target = None
    if target is not None and target.provider == name:
        return target.model
    entries = config.providers[name].models
    return entries[0].name if entries else next(iter(listing.models), None)


def _failure(topic: str, subject: str, error: LLMConnectorError) -> Finding:
    status = status_of(error)
    if status not in (exit_codes.CONFIGURATION, exit_codes.AUTHENTICATION):
        status = exit_codes.NETWORK  # this side is fine
    return Finding(FAIL, topic, subject, f"{type(error).__name__}: {error.message}", error.guidance, status)
