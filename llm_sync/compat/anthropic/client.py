"""The client of anthropic."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from llm_sync.compat.anthropic import parameters
from llm_sync.compat.anthropic.exceptions import map_error
from llm_sync.compat.shim.calls import CallContext, extended
from llm_sync.compat.shim.client import RAW, Resource, ShimClient, arguments_given
from llm_sync.compat.shim.error_mapping import translate_errors
from llm_sync.compat.shim.settings import Settings, pairs
from llm_sync.compat.shim.targets import follows_configuration

_NEEDED = {"max_tokens", "messages", "model"}


@cache
def _calls() -> Any:
    """The module of calls, imported at the first call: an import statement in each call would cost time."""
    from llm_sync.compat.anthropic import calls

    return calls


class Messages(Resource):
    """``client.messages``."""

    path = "messages"
    not_supported: ClassVar = {
        **RAW,
        "stream": "use create: it blocks and returns the whole answer",
        "parse": "use create with output_config, and parse the text",
        "count_tokens": "the answer's usage has the tokens",
        "batches": "run 'llm-sync batch', or ask the requests one after the other",
    }

    def create(self, **arguments: Any) -> Any:
        """A Message; docs/migrating.md says how each argument is handled. Raises AnthropicError."""
        if not arguments.keys() >= _NEEDED:
            self._client.require(arguments, "max_tokens", "messages", "model")
        return _calls().message(self._client.context(), parameters.MESSAGES, arguments)


class Models(Resource):
    """``client.models``."""

    path = "models"

    def list(self, **arguments: Any) -> Any:
        """Every model, as a page to iterate over. Raises AnthropicError."""
        from llm_sync.compat.anthropic.calls import with_headers
        from llm_sync.compat.anthropic.response_objects import SyncPage
        from llm_sync.compat.shim import sending
        from llm_sync.compat.shim.model_listing import list_models

        with translate_errors(map_error):
            reading, context = self._client.context().read(parameters.LISTING, with_headers(arguments))
            not_sent = sending.not_sent(parameters.LISTING.call, reading)
            entries = [_entry(name) for name, _ in list_models(context)]
            ends = {"first_id": entries[0]["id"] if entries else None, "last_id": entries[-1]["id"] if entries else None}
            page = SyncPage.read({"data": entries, "has_more": False, **ends})
            page.adjustments = tuple(not_sent)
            return page

    def retrieve(self, model_id: str, **arguments: Any) -> Any:
        """One ModelInfo. Raises NotFoundError."""
        from llm_sync.compat.anthropic.calls import with_headers
        from llm_sync.compat.anthropic.response_objects import ModelInfo
        from llm_sync.compat.shim import sending
        from llm_sync.compat.shim.model_listing import find_model

        with translate_errors(map_error):
            reading, context = self._client.context().read(parameters.LISTING, with_headers(arguments))
            info = ModelInfo.read(_entry(find_model(context, model_id)[0]))
            info.adjustments = tuple(sending.not_sent(parameters.LISTING.call, reading))
            return info


class Anthropic(ShimClient):
    """The client of anthropic; docs/migrating.md says how each argument is handled."""

    table: ClassVar = parameters.CLIENT
    changes: ClassVar = parameters.WITH_OPTIONS
    map_error = staticmethod(map_error)
    not_supported: ClassVar = {
        **RAW,
        "completions": "use messages.create",
        "beta": "use messages.create",
        **dict.fromkeys(("files", "skills", "user_profiles"), "put the text into the messages"),
        **dict.fromkeys(("get", "post", "put", "patch", "delete", "request"), "call messages.create"),
        "with_middleware": "llm-sync has listeners: LLMClient.add_listener",
    }

    def _made(self, given: Mapping[str, Any]) -> Settings:
        self.api_key = self._text(given, "api_key") or os.environ.get("ANTHROPIC_API_KEY") or None
        self.auth_token = self._text(given, "auth_token") or os.environ.get("ANTHROPIC_AUTH_TOKEN") or None
        address = given.get("base_url") or os.environ.get("ANTHROPIC_BASE_URL")
        self.base_url = str(address).rstrip("/") if address else None
        token = None if self.api_key else self.auth_token
        settings = Settings(
            "anthropic",
            "anthropic",
            self.api_key,
            self.base_url,
            pairs({"Authorization": f"Bearer {token}" if token else None}),
            given=arguments_given(given, "api_key auth_token base_url default_headers default_query"),
            own_address=bool(given.get("base_url")),
            own_key=bool(given.get("api_key") or given.get("auth_token")),
        )
        return extended(settings, given.get("default_headers"), given.get("default_query"))

    def context(self) -> CallContext:
        """The context of the resources' calls. Raises TypeError, as the original does, without key and configuration."""
        supported = {name.lower() for name, _ in self._settings.headers}
        if not self.api_key and not supported & {"authorization", "x-api-key"}:
            with translate_errors(map_error):
                own = not follows_configuration(self._settings)
            if own:
                raise TypeError(
                    "Could not resolve authentication method: give api_key or auth_token, set ANTHROPIC_API_KEY, or write a "
                    "configuration for llm-sync"
                )
        return super().context()

    @property
    def messages(self) -> Messages:
        """Messages."""
        return Messages(self)

    @property
    def models(self) -> Models:
        """Listings."""
        return Models(self)


def _entry(name: str) -> dict[str, Any]:
    """One entry of a listing; only the name is known."""
    from datetime import datetime, timezone

    return {"type": "model", "id": name, "display_name": name, "created_at": datetime.fromtimestamp(0, timezone.utc)}
