"""The clients of openai 1.x and later: ``OpenAI`` and ``AzureOpenAI``."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from llm_sync.compat.calls import Door, extended, seconds
from llm_sync.compat.failures import translated
from llm_sync.compat.openai import parameters
from llm_sync.compat.openai.exceptions import OpenAIError, shim_error
from llm_sync.compat.parameters import Table, is_not_given
from llm_sync.compat.refusals import Refused, refuse
from llm_sync.compat.settings import Settings, found_configuration, pairs

# Attributes of the original's client that are not carried, and the way out.
NOT_CARRIED = {
    **dict.fromkeys(("audio", "images", "videos", "realtime", "live"), "llm-sync sends and gets text and images only"),
    **dict.fromkeys(("files", "uploads", "vector_stores", "containers", "skills"), "put the text into the messages"),
    "embeddings": "ask for embeddings with the original package",
    "moderations": "ask for moderations with the original package",
    "batches": "run 'llm-sync batch', or ask the requests one after the other",
    "beta": "use chat.completions.create; with a json_schema as response_format in the place of parse",
    "with_raw_response": "the answer has _request_id and llm_sync; no other headers are kept",
    "with_streaming_response": "call create: it blocks and returns the whole answer",
    **dict.fromkeys(
        ("fine_tuning", "evals", "conversations", "webhooks", "admin", "safety", "decisions", "content_provenance_checks"),
        "use the original package for it",
    ),
    **dict.fromkeys(("get", "post", "put", "patch", "delete", "request"), "call one of the resources that are carried"),
}
_NOT_CARRIED_CALLS = {
    "parse": "use create with a json_schema as response_format, and parse the text",
    "stream": "use create: it blocks and returns the whole answer",
    **dict.fromkeys(
        ("retrieve", "update", "list", "delete", "messages", "cancel", "compact", "connect", "input_items", "input_tokens"),
        "nothing is stored at the provider: keep what create returns",
    ),
    "with_raw_response": NOT_CARRIED["with_raw_response"],
    "with_streaming_response": NOT_CARRIED["with_streaming_response"],
}


class Resource:
    """One resource of a client. ``path`` is its name after ``client.``."""

    path = ""

    def __init__(self, client: OpenAI) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Refused:
        if name not in _NOT_CARRIED_CALLS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return Refused(f"{self.path}.{name}", _NOT_CARRIED_CALLS[name], shim_error)


class ChatCompletions(Resource):
    """``client.chat.completions``."""

    path = "chat.completions"

    def create(self, **arguments: Any) -> Any:
        """A ChatCompletion; docs/migrating.md tells what becomes of each argument. Raises OpenAIError."""
        from llm_sync.compat.openai import calls

        _require(arguments, "messages", self._client.model_is_needed())
        return calls.chat_completion(self._client.door(), parameters.CHAT, arguments)


class Chat(Resource):
    """``client.chat``."""

    path = "chat"

    @property
    def completions(self) -> ChatCompletions:
        """Chat completions."""
        return ChatCompletions(self._client)


class Completions(Resource):
    """``client.completions``."""

    path = "completions"

    def create(self, **arguments: Any) -> Any:
        """A Completion, asked for as a chat. Raises OpenAIError."""
        from llm_sync.compat.openai import calls

        _require(arguments, "prompt", self._client.model_is_needed())
        return calls.text_completion(self._client.door(), parameters.COMPLETIONS, arguments)


class Responses(Resource):
    """``client.responses``."""

    path = "responses"

    def create(self, **arguments: Any) -> Any:
        """A Response with ``output_text``. Raises OpenAIError."""
        from llm_sync.compat.openai.responding import respond

        return respond(self._client.door("openai-responses"), parameters.RESPONSES, arguments)


class Models(Resource):
    """``client.models``."""

    path = "models"

    def list(self, **arguments: Any) -> Any:
        """Every model, as a page to iterate over. Raises OpenAIError."""
        from llm_sync.compat.openai import calls

        return calls.models(self._client.door(), parameters.LISTING, arguments)

    def retrieve(self, model: str, **arguments: Any) -> Any:
        """One Model. Raises NotFoundError."""
        from llm_sync.compat.listings import looked_up
        from llm_sync.compat.openai import calls, shapes

        with translated(shim_error):
            _, door = self._client.door().read(parameters.LISTING, arguments)
            return shapes.Model.read(calls.model(*looked_up(door, model)))


class OpenAI:
    """The client of openai 1.x and later; docs/migrating.md tells what becomes of each argument.

    With a configuration found, model names are routed by it, as everywhere; else ``api_key``, ``base_url`` and the usual
    environment variables make a provider. Costs no thread and no connection of its own: clients of equal settings share
    one LLMClient. Any thread may use it, and a forked child. Raises OpenAIError when there is no key and no configuration.
    """

    table: Table = parameters.CLIENT

    def __init__(self, **options: Any) -> None:
        reading = self.table.read(options, lambda message, way_out: refuse(message, way_out, shim_error))
        given = reading.given
        self._options = given
        self._closed = False
        with translated(shim_error):
            self.timeout = seconds(given.get("timeout"))
            self.max_retries: int | None = given.get("max_retries")
            self.api_key = self._key(given)
            self.base_url = self._base_url(given)
            self.organization = given.get("organization") or os.environ.get("OPENAI_ORG_ID")
            self.project = given.get("project") or os.environ.get("OPENAI_PROJECT_ID")
            self._settings = self._made(given)
            if not self.api_key and found_configuration() is None:
                raise OpenAIError(self._no_key())

    def _key(self, given: Mapping[str, Any]) -> str | None:
        key = given.get("api_key")
        if key is not None and not isinstance(key, str):
            refuse("api_key is no text", "give the key, or api_key_command in a configuration", shim_error)
        return key or self._key_in_environment()

    def _key_in_environment(self) -> str | None:
        return os.environ.get("OPENAI_API_KEY")

    def _no_key(self) -> str:
        return (
            "Missing credentials: the api_key client option must be set either by passing api_key to the client or by setting "
            "the OPENAI_API_KEY environment variable; or write a configuration for llm-sync"
        )

    def _base_url(self, given: Mapping[str, Any]) -> str | None:
        found = given.get("base_url") or os.environ.get("OPENAI_BASE_URL")
        return str(found) if found else None

    def _made(self, given: Mapping[str, Any]) -> Settings:
        own = {"OpenAI-Organization": self.organization, "OpenAI-Project": self.project}
        settings = Settings(
            name="openai",
            type="openai",
            api_key=self.api_key,
            base_url=self.base_url,
            headers=pairs(own),
            given=tuple(f"{name}=" for name in ("api_key", "base_url", "default_headers", "default_query") if name in given),
        )
        return extended(settings, given.get("default_headers"), given.get("default_query"))

    # What the resources need -----------------------------------------------------------------------------------------

    def door(self, kind: str | None = None) -> Door:
        """Where the resources' calls come in; ``kind``: the provider's type, where it is not the client's own."""
        if self._closed:
            raise RuntimeError("Cannot send a request, as the client has been closed.")
        settings = self._settings
        if kind is not None:
            settings = dataclasses.replace(settings, type=kind)
        return Door(settings, self.timeout, self.max_retries, shim_error)

    def model_is_needed(self) -> bool:
        """Whether a call without a model is wrong: a configuration may have a default."""
        with translated(shim_error):
            return found_configuration() is None

    # The original's names --------------------------------------------------------------------------------------------

    @property
    def chat(self) -> Chat:
        """Chat completions are in it."""
        return Chat(self)

    @property
    def completions(self) -> Completions:
        """Completions of prompts."""
        return Completions(self)

    @property
    def responses(self) -> Responses:
        """The Responses API."""
        return Responses(self)

    @property
    def models(self) -> Models:
        """Listings."""
        return Models(self)

    def __getattr__(self, name: str) -> Refused:
        if name not in NOT_CARRIED:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return Refused(f"{type(self).__name__}.{name}", NOT_CARRIED[name], shim_error)

    def with_options(self, **options: Any) -> OpenAI:
        """Another client, with these options in the place of this one's."""
        reading = parameters.WITH_OPTIONS.read(options, lambda message, way_out: refuse(message, way_out, shim_error))
        given = {name: value for name, value in reading.given.items() if not name.startswith("set_")}
        for name in ("default_headers", "default_query"):
            if name in given:
                given[name] = {**self._options.get(name, {}), **given[name]}
            if f"set_{name}" in reading.given:
                given[name] = reading.given[f"set_{name}"]
        return type(self)(**{**self._options, **given})

    copy = with_options

    def close(self) -> None:
        """Nothing more can be asked with this client; others of the same settings go on."""
        self._closed = True

    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def __enter__(self) -> OpenAI:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over llm-sync, {self.base_url or 'the usual base_url'}>"

    def __reduce__(self) -> Any:
        raise TypeError(f"{type(self).__name__} cannot be pickled, as it holds a key: make one where it is needed")


class AzureOpenAI(OpenAI):
    """The client of Azure OpenAI, whose deployments stand in the URL."""

    table = parameters.AZURE

    def _key_in_environment(self) -> str | None:
        return os.environ.get("AZURE_OPENAI_API_KEY")

    def _no_key(self) -> str:
        return super()._no_key().replace("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY")

    def _base_url(self, given: Mapping[str, Any]) -> str | None:
        if given.get("base_url"):
            return str(given["base_url"])
        endpoint = given.get("azure_endpoint") or os.environ.get("AZURE_OPENAI_ENDPOINT")
        if not endpoint:
            if found_configuration() is not None:
                return None
            raise OpenAIError("Must provide one of the `base_url` or `azure_endpoint` arguments, or $AZURE_OPENAI_ENDPOINT")
        return f"{str(endpoint).rstrip('/')}/openai/deployments/{given.get('azure_deployment') or '{model}'}"

    def _made(self, given: Mapping[str, Any]) -> Settings:
        version = given.get("api_version") or os.environ.get("OPENAI_API_VERSION")
        settings = dataclasses.replace(super()._made(given), name="azure", key_header="api-key")
        return extended(settings, None, {"api-version": version})

    def door(self, kind: str | None = None) -> Door:
        """As OpenAI's; the Responses API has another URL on Azure, which a configuration can have."""
        if kind is not None and found_configuration() is None:
            refuse("responses.create is not carried for AzureOpenAI", "use chat.completions, or a configuration", shim_error)
        return super().door(kind)


def _require(arguments: Mapping[str, Any], name: str, model_too: bool) -> None:
    """TypeError, as the original's, for a call without what it needs."""
    needed = [name, "model"] if model_too else [name]
    missing = [each for each in needed if each not in arguments or is_not_given(arguments[each])]
    if missing:
        raise TypeError(f"Missing required arguments; Expected {' and '.join(map(repr, needed))}, got no {missing[0]!r}")

