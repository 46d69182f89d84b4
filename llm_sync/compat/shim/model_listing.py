"""The model listing as scripts see it."""

from __future__ import annotations

from llm_sync.compat.shim import notices
from llm_sync.compat.shim.calls import CallContext
from llm_sync.compat.shim.targets import client_of, follows_configuration
from llm_sync.errors import ModelNotFoundError


def list_models(context: CallContext) -> list[tuple[str, str]]:
    """Every model as (the name to ask for it with, its provider's name), in the order of the providers.

    With a configuration, names are ``provider/model``. A provider that fails is reported on standard error; if all
    fail, the first one's error is raised.
    """
    own = not follows_configuration(context.settings)
    models: list[tuple[str, str]] = []
    failed = []
    for provider, listing in client_of(context.settings).list_all_models(timeout=context.timeout).items():
        if listing.error is not None:
            failed.append(listing.error)
        models += [(model if own else f"{provider}/{model}", provider) for model in listing.models]
    if failed and not models:
        raise failed[0]
    for error in failed:
        notices.notify(f"not listed: {error}")
    return models


def find_model(context: CallContext, name: str) -> tuple[str, str]:
    """The model with this name, and its provider. Raises ModelNotFoundError."""
    match = next((entry for entry in list_models(context) if entry[0] == name), None)
    if match is None:
        raise ModelNotFoundError(f"no provider lists {name!r}", model=name, guidance="models.list() has the names there are.")
    return match
