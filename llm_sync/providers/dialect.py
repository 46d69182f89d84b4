"""What a dialect says of its wire: data and pure functions. Everything else about a provider is the same for all of them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from llm_sync import errors
from llm_sync.config.models import ProviderConfig
from llm_sync.models import Message, ModelRequest, Reply, Usage
from llm_sync.models.attempts import by_lower_name
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.answer import Answer
from llm_sync.providers.error_mapping import ApiError, ErrorClass, error_class, is_error_body
from llm_sync.providers.turns import Origin, with_accepted_ids

if TYPE_CHECKING:
    from llm_sync.providers.background_wire import BackgroundWire
    from llm_sync.providers.ports import Credential
    from llm_sync.providers.service_tier import AskedTier

Page = tuple[list[str], "dict[str, str] | None"]
"""The model ids of one page of a listing, and the query of the next page, or None."""


class Dialect(ABC):
    """How one kind of endpoint speaks, for one entry of the configuration. The defaults are OpenAI's ways, or nothing.

    Subclasses set the attributes that differ and define ``prepare_request`` and ``read_answer``, and other methods where
    needed (docs/providers.md has a complete example). A dialect opens no connection, starts no thread and keeps no state of a
    request: any thread may ask it anything, and asking costs no HTTP client.
    """

    type: ClassVar[str] = ""
    default_base_url: ClassVar[str | None] = None
    key_variables: ClassVar[tuple[str, ...]] = ()  # read when no key is configured, on the dialect's own host only
    key_header: ClassVar[str] = "Authorization"
    key_prefix: ClassVar[str] = "Bearer "
    fixed_headers: ClassVar[Mapping[str, str]] = {}
    path: ClassVar[str] = "/chat/completions"
    listing_path: ClassVar[str] = "/models"
    embeddings: ClassVar[str | None] = None  # "module:name" of what makes an EmbeddingWire of the dialect; None: there are none
    listing_query: ClassVar[Mapping[str, str]] = {}  # of the first page
    request_id_headers: ClassVar[tuple[str, ...]] = ("x-request-id", "request-id")
    response_schema: ClassVar[Mapping[str, Any]] = {}
    listing_schema: ClassVar[Mapping[str, Any]] = {
        "data": {
            "type": "list",
            "required": True,
            "nullable": True,
            "schema": {"type": "dict", "schema": {"id": {"type": "string", "required": True}}},
        }
    }
    error_words: ClassVar[Mapping[str, ErrorClass]] = {}
    forbidden: ClassVar[frozenset[str]] = frozenset({"model", "messages", "prompt", "input", "contents"})
    choice_counts: ClassVar[tuple[str, ...]] = ("n",)  # fields of the payload that ask for several answers: 1 at most is sent
    json_object: ClassVar[Mapping[str, Any]] = {}  # what a payload asks for JSON of any kind with; without a schema
    part_types: ClassVar[frozenset[str]] = frozenset({"text", "image"})  # the parts of messages that it writes
    image_details: ClassVar[bool] = False  # whether an image says how closely it is looked at
    message_names: ClassVar[bool] = False  # whether a message says who wrote it
    tool_call_ids: ClassVar[re.Pattern[str]] = re.compile(r".{1,64}", re.DOTALL)  # those that the API accepts
    keys_page: ClassVar[str | None] = None
    billing_page: ClassVar[str | None] = None

    def __init__(self, config: ProviderConfig) -> None:
        """``config``: the provider's entry in the configuration."""
        self.config = config
        self.name = config.name
        self._known_hosts: dict[tuple[str, ...], bool] = {}  # the answers of is_at, which every request asks for

    # Request -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def prepare_request(self, request: ModelRequest, adjustments: Adjustments) -> dict[str, Any]:
        """The payload for ``request``, without provider_specific; report to ``adjustments`` what cannot be sent as asked.

        Raises InvalidRequestError for what cannot be sent at all.
        """

    def structured_output(self) -> str:
        """How the endpoint is asked for JSON of a schema: json_schema (as ``prepare_request`` writes it), json_object, tool or
        prompt. The provider option of that name comes first."""
        return "json_schema"

    def structured_form(self, model: str) -> str:
        """The same for one ``model``, where an endpoint has models of several makers."""
        return self.structured_output()

    def normalize_extras(self, extras: Mapping[str, Any]) -> Mapping[str, Any]:
        """provider_specific in the spelling of the payload."""
        return extras

    def extras_for(self, request: ModelRequest, adjustments: Adjustments) -> Mapping[str, Any]:
        """provider_specific as it is merged into the payload; report to ``adjustments`` what the conversation rules out.

        Raises InvalidRequestError for results and calls that do not match.
        """
        return self.normalize_extras(request.provider_specific)

    def turns(self, request: ModelRequest) -> tuple[Message, ...]:
        """The conversation, with the results of tools in the order of their calls and ids that the API accepts.

        Raises InvalidRequestError for results and calls that do not match.
        """
        turns = request.conversation()
        if len(turns) == 1 and turns[0].role == "user":
            return turns  # the usual request: no call, no result
        return with_accepted_ids(turns, self.accepted_ids(request.model or ""))

    def accepted_ids(self, model: str) -> re.Pattern[str]:
        """What ids of tool calls look like that ``model`` accepts."""
        return self.tool_call_ids

    def cache_mark(self, model: str, ttl: str | None) -> Mapping[str, Any] | None:
        """What marks a part of the prompt as the last one to cache, beside its content; None where no mark is taken."""
        return None

    def service_tier(self, tier: str, model: str) -> AskedTier | None:
        """What asks ``model`` for a service tier (flex, priority or default); None where the API has no such tier. Raises
        nothing."""
        return None

    def background(self, model: str) -> BackgroundWire | None:
        """How answers of ``model`` are made in the background; None where the API only answers at once. Raises nothing."""
        return None

    def origin(self, model: str) -> Origin:
        """What the state of a turn with ``model`` is bound to. Raises ConfigurationError as ``base_url``."""
        return Origin(self.type, urlsplit(self.base_url()).netloc.rpartition("@")[2].lower(), model)

    def base_url(self) -> str:
        """Where requests go, ``{model}`` not filled in. Raises ConfigurationError where nothing says so."""
        url = self.config.base_url or self.default_base_url
        if not url:
            raise errors.ConfigurationError(
                f"provider {self.name!r} has no base_url", guidance=f"Set base_url: type {self.type!r} has no host of its own."
            )
        return url

    def path_for(self, model: str) -> str:
        """What follows ``base_url`` for requests to ``model``."""
        return self.path

    def url_for(self, model: str) -> str:
        """Where requests to ``model`` are sent, the configured query included. Raises ConfigurationError."""
        return self.joined_url(self.path_for(model), model, {})

    def listing_url(self, query: Mapping[str, str]) -> str:
        """Where a page of the models is listed. Raises ConfigurationError, and InvalidRequestError where there is none."""
        if "{model}" in self.base_url():
            raise errors.InvalidRequestError(
                "the models cannot be listed, as base_url holds {model}", guidance="List its models under models."
            )
        return self.joined_url(self.listing_path, "", query)

    def joined_url(self, path: str, model: str, query: Mapping[str, str]) -> str:
        """``base_url`` and ``path``, with the query of ``base_url``, the configured one and ``query``. Raises as ``base_url``."""
        parts = urlsplit(self.base_url())
        base = parts._replace(query="", fragment="").geturl().rstrip("/").removesuffix(self.path)  # may be pasted with it
        fields = {**dict(parse_qsl(parts.query)), **self.config.query, **query}
        url = base.replace("{model}", quote(model, safe="")) + path
        return f"{url}?{urlencode(fields)}" if fields else url

    def is_at(self, *domains: str) -> bool:
        """Whether requests go to a host of one of ``domains``."""
        known = self._known_hosts.get(domains)
        if known is None:
            known = self._known_hosts[domains] = self._goes_to(domains)
        return known

    def _goes_to(self, domains: tuple[str, ...]) -> bool:
        try:
            host = urlsplit(self.base_url()).hostname or ""
        except ValueError:  # a variable in it is unset
            return False
        return f".{host}".endswith(tuple(f".{domain}" for domain in domains))

    # Credentials ---------------------------------------------------------------------------------------------------

    def own_credential(self, carry: Callable[[str], dict[str, str]]) -> Credential | None:
        """The credential of an entry without a key, where it is none of ``key_variables``. ``carry``: the headers of a key.

        Raises ConfigurationError where the configuration is not enough for one.
        """
        return None

    def refuses_key(self, reply: Reply) -> bool:
        """Whether an error reply says that the key is not valid, or not any more: it is then renewed, if that is possible."""
        return reply.status == 401

    # Reply ---------------------------------------------------------------------------------------------------------

    @abstractmethod
    def read_answer(self, body: Any) -> Answer:
        """What ``body``, which fits the response schema, says."""

    def read_usage(self, body: Any) -> Usage:
        """The token counts of any body whatsoever; unknown ones None."""
        return Usage()

    def cost_in(self, body: Any) -> float | None:
        """What the answer cost in USD, where any body whatsoever tells."""
        return None

    def read_listing(self, body: Any) -> Page:
        """The model ids of a page that fits the listing schema, and the query of the next one or None."""
        return [item["id"] for item in body.get("data") or ()], None

    def unwrap(self, body: Any) -> Any:
        """The part of a 200's body that is the answer."""
        return body

    def error_in(self, body: Any) -> Any:
        """The error body inside a 200, or None, in whatever words. Google's endpoints put it into a list."""
        first = body[0] if isinstance(body, list) and body else body
        return body if isinstance(first, dict) and (first.get("error") or is_error_body(first)) else None

    def schema_for(self, body: Any) -> Mapping[str, Any]:
        """The schema this body is held against."""
        return self.response_schema

    def listing_schema_for(self, body: Any) -> Mapping[str, Any]:
        """The schema this page of a listing is held against."""
        return self.listing_schema

    def classify(self, error: ApiError, headers: Mapping[str, str]) -> ErrorClass:
        """The class of ``llm_sync.errors`` that an error reply means."""
        return error_class(error, self.error_words, dialect=self.type)

    def partial_text(self, body: Any) -> str:
        """The answer's text as far as it came, from any body whatsoever: one that holds an error, or breaks the schema."""
        return ""

    def other_content(self, body: Any) -> list[str]:
        """What an answer without text and calls holds instead, a word for each part (``image/png``, ``web_search_call`` …).

        ``body`` fits the response schema.
        """
        return []

    def request_id(self, reply: Reply, body: Any) -> str | None:
        """The provider's id of the request, from a header or from any body whatsoever."""
        headers = by_lower_name(reply.headers)
        for name in self.request_id_headers:
            value = headers.get(name)
            if value:
                return value
        in_body = body.get("request_id") if isinstance(body, dict) else None
        return in_body if isinstance(in_body, str) else None
