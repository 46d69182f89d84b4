"""The clients of openai 1.x and later: ``OpenAI`` and ``AzureOpenAI``."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from llm_sync.compat.openai import parameters
from llm_sync.compat.openai.exceptions import OpenAIError, map_error
from llm_sync.compat.shim.calls import CallContext, extended
from llm_sync.compat.shim.client import RAW, Resource, ShimClient, arguments_given
from llm_sync.compat.shim.error_mapping import translate_errors
from llm_sync.compat.shim.parameters import Table
from llm_sync.compat.shim.settings import Settings, found_configuration, pairs
from llm_sync.compat.shim.targets import follows_configuration

_STORED = "nothing is stored at the provider: keep what create returns"
_CALLS_NOT_CARRIED = {
    **RAW,
    "stream": "use create: it blocks and returns the whole answer",
    **dict.fromkeys(("retrieve", "update", "list", "delete", "messages", "cancel", "compact", "connect"), _STORED),
    **dict.fromkeys(("input_items", "input_tokens"), _STORED),
}


@cache
def _calls() -> Any:
    """The module of calls, imported at the first call: an import statement in each call would cost time."""
    from llm_sync.compat.openai import calls

    return calls


class ChatCompletions(Resource):
    """``client.chat.completions``."""

    path = "chat.completions"
    not_supported = _CALLS_NOT_CARRIED

    def create(self, **arguments: Any) -> Any:
        """A ChatCompletion; docs/migrating.md says how each argument is handled. Raises OpenAIError."""
        if "messages" not in arguments or "model" not in arguments:
            self._client.require(arguments, "messages", "model")
        return _calls().chat_completion(self._client.context(), parameters.CHAT, arguments)

    def parse(self, **arguments: Any) -> Any:
        """As ``create``; ``response_format`` is a pydantic model, and each message has ``parsed``.

        Raises OpenAIError, LengthFinishReasonError for a cut answer, and pydantic's ValidationError.
        """
        from llm_sync.compat.openai import structured

        with translate_errors(self._client.map_error):
            arguments, model = structured.chat_arguments(arguments)
        self._client.require(arguments, "messages", "model")
        completion = _calls().chat_completion(self._client.context(), parameters.CHAT, arguments, structured.ParsedChatCompletion)
        return structured.parsed_chat(completion, model)


class Chat(Resource):
    """``client.chat``."""

    path = "chat"

    @property
    def completions(self) -> ChatCompletions:
        """Chat completions."""
        return ChatCompletions(self._client)


class Beta(Resource):
    """``client.beta``, as far as it is ``client.chat`` by an old name."""

    path = "beta"
    not_supported: ClassVar = {**RAW, **dict.fromkeys(("assistants", "threads", "realtime", "responses", "chatkit"), _STORED)}

    @property
    def chat(self) -> Chat:
        """``client.chat``."""
        return Chat(self._client)


class Completions(Resource):
    """``client.completions``."""

    path = "completions"

    def create(self, **arguments: Any) -> Any:
        """A Completion, sent as a chat. Raises OpenAIError."""
        self._client.require(arguments, "prompt", "model")
        return _calls().text_completion(self._client.context(), parameters.COMPLETIONS, arguments)


class Responses(Resource):
    """``client.responses``."""

    path = "responses"
    not_supported = _CALLS_NOT_CARRIED

    def create(self, **arguments: Any) -> Any:
        """A Response with ``output_text``. Raises OpenAIError."""
        from llm_sync.compat.openai.response_calls import respond
        from llm_sync.compat.openai.response_objects import Response

        self._client.require(arguments, "input", "model")
        return respond(self._client.responses_context(), parameters.RESPONSES, arguments, Response)

    def parse(self, **arguments: Any) -> Any:
        """As ``create``; ``text_format`` is a pydantic model, and the Response has ``output_parsed``.

        Raises OpenAIError, and pydantic's ValidationError.
        """
        from llm_sync.compat.openai import structured
        from llm_sync.compat.openai.response_calls import respond

        with translate_errors(self._client.map_error):
            arguments, model = structured.response_arguments(arguments)
        self._client.require(arguments, "input", "model")
        response = respond(self._client.responses_context(), parameters.RESPONSES, arguments, structured.ParsedResponse)
        return structured.parsed_response(response, model)


class Embeddings(Resource):
    """``client.embeddings``."""

    path = "embeddings"
    not_supported: ClassVar = RAW

    def create(self, **arguments: Any) -> Any:
        """A CreateEmbeddingResponse; docs/migrating.md says how each argument is handled. Raises OpenAIError."""
        from llm_sync.compat.openai.embedding_calls import embed

        self._client.require(arguments, "input", "model")
        return embed(self._client.context(), parameters.EMBEDDINGS, arguments)


class Models(Resource):
    """``client.models``."""

    path = "models"
    not_supported: ClassVar = {**RAW, "delete": "delete models with the original package"}

    def list(self, **arguments: Any) -> Any:
        """Every model, as a page to iterate over. Raises OpenAIError."""
        return _calls().models(self._client.context(), parameters.LISTING, arguments)

    def retrieve(self, model: str, **arguments: Any) -> Any:
        """One Model. Raises NotFoundError."""
        return _calls().one_model(self._client.context(), parameters.LISTING, model, arguments)


class OpenAI(ShimClient):
    """The client of openai 1.x and later; docs/migrating.md says how each argument is handled.

    Raises OpenAIError when there is neither a key nor a configuration.
    """

    table: ClassVar = parameters.CLIENT
    changes: ClassVar = parameters.WITH_OPTIONS
    map_error = staticmethod(map_error)
    not_supported: ClassVar = {
        **RAW,
        **dict.fromkeys(("audio", "images", "videos", "realtime", "live"), parameters.AUDIO),
        **dict.fromkeys(("files", "uploads", "vector_stores", "containers", "skills"), "put the text into the messages"),
        "batches": "run 'llm-sync batch', or ask the requests one after the other",
        **dict.fromkeys(("moderations", "fine_tuning", "evals", "conversations", "webhooks"), parameters.OTHER),
        **dict.fromkeys(("admin", "safety", "decisions", "content_provenance_checks"), parameters.OTHER),
        **dict.fromkeys(("get", "post", "put", "patch", "delete", "request"), "call one of the supported resources"),
    }
    _name: ClassVar[str] = "openai"
    _at_responses: CallContext | None = None
    _key_variable: ClassVar[str] = "OPENAI_API_KEY"

    def _made(self, given: Mapping[str, Any]) -> Settings:
        self.api_key = self._text(given, "api_key") or os.environ.get(self._key_variable)
        self.base_url = self._base_url(given)
        self.organization = given.get("organization") or os.environ.get("OPENAI_ORG_ID")
        self.project = given.get("project") or os.environ.get("OPENAI_PROJECT_ID")
        if not self.api_key and found_configuration() is None:
            raise OpenAIError(
                "Missing credentials: the api_key client option must be set either by passing api_key to the client or by "
                f"setting the {self._key_variable} environment variable; or write a configuration for llm-sync, or, without a "
                "key, put 'llm-sync simulate --' before the command"
            )
        settings = Settings(
            self._name,
            "openai",
            self.api_key,
            self.base_url,
            pairs({"OpenAI-Organization": self.organization, "OpenAI-Project": self.project}),
            given=arguments_given(given, "api_key base_url default_headers default_query azure_endpoint"),
            own_address=bool(given.get("base_url") or given.get("azure_endpoint")),
            own_key=bool(given.get("api_key")),
        )
        return extended(settings, given.get("default_headers"), given.get("default_query"))

    def _base_url(self, given: Mapping[str, Any]) -> str | None:
        address = given.get("base_url") or os.environ.get("OPENAI_BASE_URL")
        return str(address) if address else None

    def responses_context(self) -> CallContext:
        """The context of ``responses.create``; without a configuration it uses the Responses API."""
        context = self.context()
        if self._at_responses is None:  # made once, because every call needs it
            self._at_responses = dataclasses.replace(
                context, settings=dataclasses.replace(context.settings, type="openai-responses")
            )
        return self._at_responses

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
    def embeddings(self) -> Embeddings:
        """Vectors of texts."""
        return Embeddings(self)

    @property
    def models(self) -> Models:
        """Listings."""
        return Models(self)

    @property
    def beta(self) -> Beta:
        """The old home of ``chat.completions.parse``."""
        return Beta(self)


class AzureOpenAI(OpenAI):
    """The client of Azure OpenAI, whose URLs contain the deployment.

    Raises ValueError, as the original, without an endpoint or an API version, where no configuration is found.
    """

    table: ClassVar[Table] = parameters.AZURE
    changes: ClassVar[Table] = parameters.AZURE_WITH_OPTIONS
    _name = "azure"
    _key_variable = "AZURE_OPENAI_API_KEY"

    def _base_url(self, given: Mapping[str, Any]) -> str | None:
        if given.get("base_url"):
            return str(given["base_url"])
        endpoint = given.get("azure_endpoint") or os.environ.get("AZURE_OPENAI_ENDPOINT")
        if endpoint:
            return f"{str(endpoint).rstrip('/')}/openai/deployments/{given.get('azure_deployment') or '{model}'}"
        if found_configuration() is not None:
            return None
        raise ValueError("Must provide one of the `base_url` or `azure_endpoint` arguments, or $AZURE_OPENAI_ENDPOINT")

    def _made(self, given: Mapping[str, Any]) -> Settings:
        settings = dataclasses.replace(super()._made(given), key_header="api-key")
        version = given.get("api_version") or os.environ.get("OPENAI_API_VERSION")
        if not version and found_configuration() is None:
            raise ValueError("Must provide either the `api_version` argument or the $OPENAI_API_VERSION environment variable")
        return extended(settings, None, {"api-version": version})

    def responses_context(self) -> CallContext:
        """On Azure the Responses API has another URL: it needs a configuration."""
        if not follows_configuration(self._settings):
            self._refuse("responses.create is not supported for AzureOpenAI", "use chat.completions, or write a configuration")
        return super().responses_context()
