"""A checked configuration as frozen dataclasses. Nobody changes these objects or the mappings in them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from llm_sync.config.budgets import Budget
from llm_sync.config.pricing import Pricing
from llm_sync.config.secrets import Secret
from llm_sync.config.variables import parse
from llm_sync.errors import AuthenticationError, ConfigurationError
from llm_sync.models import AttemptOptions
from llm_sync.models.fields import CONFIGURABLE, MAPPING
from llm_sync.models.frozen import Frozen, dataclass

GOOGLE_CLOUD, AWS = "google-cloud", "aws"  # the values of ``auth`` that are no mapping


if TYPE_CHECKING:

    @dataclass(frozen=True, repr=False, eq=False)
    class RequestDefaults(Frozen):  # noqa: D101  the docstring is below
        temperature: float | None = None
        top_p: float | None = None
        max_tokens: int | None = None
        stop_sequences: Sequence[str] | None = None
        seed: int | None = None
        system_prompt: str | None = None
        provider_specific: Mapping[str, Any] = field(default_factory=dict)
        cache_system: bool | None = None
        cache_ttl: str | None = None
        service_tier: str | None = None
        completion_window: str | None = None

else:
    _ATTRIBUTES = {row.name: field(default_factory=dict) if row.kind == MAPPING else None for row in CONFIGURABLE}
    _ATTRIBUTES |= {"__module__": __name__, "__annotations__": dict.fromkeys(_ATTRIBUTES, Any)}
    RequestDefaults = dataclass(frozen=True, repr=False, eq=False)(type("RequestDefaults", (Frozen,), _ATTRIBUTES))
    RequestDefaults.__doc__ = """Values for requests that do not give their own.

    An attribute for each field of a request that may stand in a configuration (models/fields.py). None, or an empty mapping,
    is unset: nothing is sent.
    """


@dataclass(frozen=True, repr=False, eq=False)
class Auth(Frozen):
    """The header that carries the key, and the text in front of the key (``Bearer``)."""

    header: str
    prefix: str = ""

    def value(self, key: str) -> str:
        """The header's value; a blank is added after a prefix that ends in a letter or digit."""
        return f"{self.prefix} {key}" if self.prefix[-1:].isalnum() else f"{self.prefix}{key}"


class Unset(NamedTuple):
    """An environment variable that was not set when the file was read; ``field``: the path of the string that needs it."""

    variable: str
    field: str
    line: int | None


@dataclass(frozen=True, repr=False, eq=False)
class ModelEntry(Frozen):
    """One model, with all levels (its entry, its provider, the defaults) merged.

    ``stripped``: the streaming switches that the file sets for it at any level: name -> value. ``cache``: the settings of the
    answer cache, with the folder as an absolute path; None: none. ``context_window``: tokens of request and answer together,
    None where the file does not say. ``budgets``: the names of all budgets that its requests count for, of any level. ``via``:
    how its requests are sent, one of config.ways.WAYS; None where the file does not say.
    """

    name: str
    defaults: RequestDefaults = field(default_factory=RequestDefaults)
    attempts: AttemptOptions = field(default_factory=AttemptOptions)
    pricing: Pricing | None = None
    stripped: Mapping[str, Any] = field(default_factory=dict)
    cache: Mapping[str, Any] | None = None
    context_window: int | None = None
    budgets: tuple[str, ...] = ()
    via: str | None = None


@dataclass(frozen=True, repr=False, eq=False)
class RouteEntry(Frozen):
    """One model of a route, as the file names it. ``settings`` and ``attempts``: what it sets of a request's fields and of
    AttemptOptions; ``weight``: its share under ``spread: weights``."""

    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    attempts: Mapping[str, Any] = field(default_factory=dict)
    weight: int = 1


GO_ON_AFTER = (
    *("unavailable", "connection", "timeout", "rate_limit", "quota", "permission", "model_not_found", "malformed"),
    *("authentication", "empty", "truncated", "context_length"),
)
"""What a route may go on after, in the words of a configuration (client/route_rules.py says what each means)."""
DEFAULT_GO_ON_AFTER = frozenset(GO_ON_AFTER[:8])
SPREADS = ("round-robin", "least-busy", "weights")


@dataclass(frozen=True, repr=False, eq=False)
class ModelRoute(Frozen):
    """One entry under ``routes:``: models that are asked in turn. ``go_on_after``: words of GO_ON_AFTER. ``spread``: how the
    first one is chosen, one of SPREADS; None: always the first of the file. ``unset``: as ``ProviderConfig.unset``."""

    name: str
    entries: tuple[RouteEntry, ...]
    go_on_after: frozenset[str] = DEFAULT_GO_ON_AFTER
    spread: str | None = None
    unset: tuple[Unset, ...] = ()


@dataclass(frozen=True, repr=False, eq=False)
class ProviderConfig(Frozen):
    """One entry under ``providers:``. ``defaults`` and ``attempts`` apply to models without an entry of their own.

    ``key`` is None if the file has none; then the dialect's usual variable is used, on the dialect's own host only.
    ``base_url`` is None for the dialect's own; it may contain ``{model}``. ``unset``: the unset variables that strings of this
    provider need, except the key's (a Secret reads them itself). Headers, query and proxy may hold credentials: they are left
    out of ``repr``, and are pickled as the file has them.
    ``max_response_bytes``: the bytes an answer may have. ``requests_per_minute``: attempts per minute; None: any number.
    ``concurrency_from``: the lowest where it is found out (``concurrency: auto``). ``simulated`` cannot be set in a file: the
    simulator answers the provider's requests (client/simulation.py).
    """

    name: str
    type: str
    key: Secret | None = None
    base_url: str | None = None
    models: tuple[ModelEntry, ...] = ()
    defaults: RequestDefaults = field(default_factory=RequestDefaults)
    attempts: AttemptOptions = field(default_factory=AttemptOptions)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: Auth | str | None = None
    project: str | None = None
    location: str | None = None
    region: str | None = None
    profile: str | None = None
    max_tokens_field: str | None = None
    reasoning_field: str | None = None
    structured_output: str | None = None
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    allow_insecure: bool = False
    max_response_bytes: int = 32 * 2**20
    concurrency: int = 1
    concurrency_from: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    max_queue: int | None = None
    idle_timeout: float = 60.0
    machine_wide: bool = False
    per_node: bool = False
    via: str | None = None
    simulated: bool = False
    budgets: tuple[str, ...] = ()
    unset: tuple[Unset, ...] = ()
    stripped: Mapping[str, Any] = field(default_factory=dict)
    cache: Mapping[str, Any] | None = None
    line: int | None = None
    # Strings of headers, query and proxy that have variables, as the file has them: (field, name) -> template.
    templates: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)

    def entry(self, model: str) -> ModelEntry:
        """The entry of a model; a model that is not listed gets the provider's own values."""
        entry = self._entries.get(model)
        if entry is not None:
            return entry
        return ModelEntry(model, self.defaults, self.attempts, None, self.stripped, self.cache, None, self.budgets, self.via)

    @cached_property
    def _entries(self) -> dict[str, ModelEntry]:
        """Entries by name; of two with the same name, the first. Cached: every request looks here."""
        return {entry.name: entry for entry in reversed(self.models)}

    def require_variables(self, *, without_secrets: bool = False) -> None:
        """Raise AuthenticationError, naming the variables, if any were unset when the file was read.

        ``without_secrets``: those of headers and query are not needed, as nothing is sent yet.
        """
        parts = (".headers.", ".query.") if without_secrets else ()
        missing = [unset for unset in self.unset if not any(part in unset.field for part in parts)]
        if missing:
            needs = ", ".join(f"{unset.variable} (for {unset.field})" for unset in missing)
            raise AuthenticationError(
                f"the environment does not set {needs}",
                provider=self.name,
                guidance=f"Set it before the configuration is read, as in: export {missing[0].variable}=…",
            )

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name != "_entries"}
        for (name, key), template in self.templates.items():
            state[name] = {**state[name], key: template} if key else template
        for name in ("headers", "query"):
            for key in getattr(self, name):
                if is_credential(key) and not _by_reference(self.templates.get((name, key))):
                    raise self._literal(f"{name}.{key}")
        if self.proxy and "@" in self.proxy and not _by_reference(self.templates.get(("proxy", ""))):
            raise self._literal("proxy")
        return state

    def _literal(self, path: str) -> ConfigurationError:
        return ConfigurationError(
            f"providers.{self.name}.{path} holds a credential that is in the configuration itself, so it cannot be pickled",
            guidance="Write ${VAR} there and set VAR in the environment of both processes.",
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        for (name, key), template in state["templates"].items():
            text = parse(template).resolve(os.environ)[0]
            state[name] = {**state[name], key: text} if key else text
        self.__dict__.update(state)


@dataclass(frozen=True, repr=False, eq=False)
class LLMConfig(Frozen):
    """One configuration file. ``warnings``: what was left out, as texts; ``lines``: field path -> line of the file.

    ``budgets``: by name. ``prices``: "auto" looks a price up where the file has none, "off" does not. ``history``: whether
    ``generate`` keeps conversations. ``keyless``: of built-in defaults, the usual providers without a key -> the variable of it.
    """

    providers: Mapping[str, ProviderConfig]
    default_model: str | None = None
    strict: bool = False
    strict_streaming: bool = False
    prices: str = "auto"
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    file: str | None = None
    warnings: tuple[str, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)
    unset: tuple[Unset, ...] = ()
    keyless: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, ModelRoute] = field(default_factory=dict)
    observe: str | None = None
    history: bool = False

    def listing(self, model: str) -> tuple[str, ...]:
        """The names of the providers that list ``model``, in the order of the file."""
        return self._listings.get(model, ())

    @cached_property
    def _listings(self) -> dict[str, tuple[str, ...]]:
        listings: dict[str, dict[str, None]] = {}
        for name, provider in self.providers.items():
            for entry in provider.models:
                listings.setdefault(entry.name, {})[name] = None
        return {model: tuple(names) for model, names in listings.items()}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_listings"}


def route_names(config: LLMConfig) -> frozenset[str | None]:
    """The names of the configured routes; None and "" among them if the default model is a route, ad hoc or not."""
    default = config.default_model
    ad_hoc = default is not None and "," in default and not config.listing(default)
    names: frozenset[str | None] = frozenset(config.routes)
    return names | {None, ""} if ad_hoc or default in names else names


_CREDENTIAL_NAMES = (
    *("key", "sig", "code", "auth", "pwd", "pass", "pin", "otp", "jwt", "sas", "hmac"),
    *("cookie", "authorization", "proxy-authorization"),
)
_CREDENTIAL_PARTS = (
    *("apikey", "accesskey", "-key", "token", "secret", "passw", "credential"),
    *("signature", "bearer", "session", "-auth"),
)


def is_credential(name: str) -> bool:
    """Whether a header or query field of this name carries a key, by the names the field uses."""
    lowered = name.lower().replace("_", "-")
    return lowered in _CREDENTIAL_NAMES or any(part in lowered for part in _CREDENTIAL_PARTS)


def _by_reference(template: str | None) -> bool:
    """Whether a string consists of variables, apart from a scheme (``Bearer ${TOKEN}``)."""
    if template is None:
        return False
    literal = "".join(part if isinstance(part, str) else part.default or "" for part in parse(template).parts)
    return literal.strip().lower() in ("", "bearer", "basic", "token")
