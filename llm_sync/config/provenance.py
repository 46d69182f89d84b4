"""Where the values of a configuration come from: each value of each provider and model, with its field in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from llm_sync.config.models import LLMConfig, is_credential
from llm_sync.config.normalize import Normalized
from llm_sync.config.schema import ATTEMPT_KEYS, KEY_SOURCES, REQUEST_KEYS
from llm_sync.config.variables import Reference, parse
from llm_sync.models import AttemptOptions
from llm_sync.validation import field_path
from llm_sync.validation.document import Document, Path

MASK = "***"
_SETTINGS = (
    "concurrency",
    "requests_per_minute",
    "tokens_per_minute",
    "max_queue",
    "idle_timeout",
    "max_response_bytes",
    "allow_insecure",
    "machine_wide",
    "per_node",
)
_OPTIONAL = (
    *("auth", "project", "location", "region", "profile", "max_tokens_field", "reasoning_field", "structured_output", "proxy"),
    *("ca_bundle", "client_cert", "client_key"),
    "budget",
)


class Value(NamedTuple):
    """A value in effect. ``field`` and ``line``: where the file has it; None for a default of llm-sync."""

    name: str
    value: Any
    field: str | None = None
    line: int | None = None


class Variable(NamedTuple):
    """An environment variable that the file names. ``default``: whether the field has a default for it."""

    name: str
    field: str
    default: bool


@dataclass(frozen=True)
class Provenance:
    """``general``: values of the file as a whole; the others are by provider and by model. Credentials are masked.

    A model lists only the values of its own entry, without those that it inherits from its provider.
    """

    general: tuple[Value, ...]
    providers: Mapping[str, tuple[Value, ...]]
    models: Mapping[str, Mapping[str, tuple[Value, ...]]]
    variables: tuple[Variable, ...]


def trace(document: Document, normalized: Normalized, config: LLMConfig) -> Provenance:
    """The provenance of a document without problems and the configuration that was built from it."""
    return _Tracer(document, normalized, config).all()


class _Tracer:
    def __init__(self, document: Document, normalized: Normalized, config: LLMConfig) -> None:
        self._document = document
        self._normalized = normalized
        self._config = config

    def all(self) -> Provenance:
        defaults: Path = ("defaults",)
        switches = [self._first([defaults], name, False) for name in ("strict", "strict_streaming")]
        model = self._first([defaults], "model", None)
        return Provenance(
            general=(*([model] if model.value is not None else []), *switches),
            providers={name: tuple(self._provider(name)) for name in self._config.providers},
            models={name: dict(self._models(name)) for name in self._config.providers},
            variables=tuple(dict.fromkeys(self._variables())),
        )

    def _provider(self, name: str) -> Iterator[Value]:
        path: Path = ("providers", name)
        entry = self._at(path)
        yield self._first([path], "type", name)
        for source in KEY_SOURCES:
            if source in entry:
                yield self._value((*path, source), source, self._key(name, source))
        for key in ("base_url", *_OPTIONAL):
            if key in entry:
                yield self._value((*path, key), key, _masked(key, entry[key]))
        for key in ("headers", "query"):
            for field in entry.get(key, {}):
                here = (*path, key, field)
                value = entry[key][field]
                is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
                text = str(value) if is_number and is_credential(field) else value  # a key of digits needs no quotes in YAML
                yield self._value(here, f"{key}.{field}", self._mask_value(here, field, text))
        for key in _SETTINGS:
            yield self._first([path], key, getattr(self._config.providers[name], key))
        yield from self._inherited([path, (*path, "default_params"), ("defaults",)])

    def _inherited(self, levels: list[Path]) -> Iterator[Value]:
        for key in REQUEST_KEYS:
            if key == "provider_specific":
                yield from self._specific(levels)
            elif (value := self._first(levels, key, None)).field is not None:
                yield value
        for key in ATTEMPT_KEYS:
            yield self._first(levels, key, getattr(AttemptOptions(), key))
        for key in ("cache", "via"):
            if (value := self._first(levels, key, None)).field is not None:
                yield value

    def _specific(self, levels: list[Path]) -> Iterator[Value]:
        names = [name for level in levels for name in self._at((*level, "provider_specific"))]
        for name in dict.fromkeys(names):
            path = next(
                (*level, "provider_specific", name) for level in levels if name in self._at((*level, "provider_specific"))
            )
            yield self._value(path, f"provider_specific.{name}", self._mask_value(path, name, self._at(path)))

    def _mask_value(self, path: Path, name: str, value: Any) -> Any:
        """The value of a header, query field or parameter; masked if its name says that it is a credential.

        A value from a variable is always shown as the reference: gateways give their keys any name.
        """
        if isinstance(value, dict):
            return {key: self._mask_value((*path, key), key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._mask_value((*path, index), name, item) for index, item in enumerate(value)]
        template = self._normalized.templates.get(path)
        if template is not None:
            return _without_text(template) if is_credential(name) else template
        return MASK if isinstance(value, str) and is_credential(name) else value

    def _models(self, provider: str) -> Iterator[tuple[str, tuple[Value, ...]]]:
        for index, entry in enumerate(self._at(("providers", provider)).get("models", [])):
            path: Path = ("providers", provider, "models", index)
            own = [
                self._value((*path, key), key, _masked(key, value))
                for key, value in entry.items()
                if key not in ("name", "provider_specific")
            ]
            yield entry["name"], (self._value(path, "name", entry["name"]), *own, *self._specific([path]))

    def _key(self, provider: str, source: str) -> Any:
        """The source of a key as it may be shown: references and paths, no literal text, and of a command its first word."""
        key = self._config.providers[provider].key
        written = self._at(("providers", provider))[source]
        if source == "api_key_command":
            return f"{key.program} {MASK}" if key is not None else MASK
        return _without_text(written) if source == "api_key" else written

    def _variables(self) -> Iterator[Variable]:
        templates: list[tuple[Path, str]] = list(self._normalized.templates.items())
        for name, entry in self._at(("providers",)).items():
            for source in KEY_SOURCES:
                spec = entry.get(source, [])
                templates += [(("providers", name, source), text) for text in ([spec] if isinstance(spec, str) else spec)]
        for path, text in templates:
            for part in parse(text).parts:
                if isinstance(part, Reference):
                    yield Variable(part.name, field_path(path), part.default is not None)

    def _first(self, levels: list[Path], name: str, default: Any) -> Value:
        for level in levels:
            values = self._at(level)
            if name in values:
                return self._value((*level, name), name, _masked(name, values[name]))
        return Value(name, default)

    def _value(self, path: Path, name: str, value: Any) -> Value:
        return Value(name, value, field_path(path), self._document.line(path))

    def _at(self, path: Path) -> Any:
        """The value at a path of the normalized document; {} if there is none."""
        here: Any = self._normalized.value
        for step in path:
            if isinstance(here, dict) and step not in here:
                return {}
            here = here[step]
        return here


def _without_text(template: str) -> str:
    """The references of a template; its literal text is masked."""
    parts = parse(template).parts
    shown = "".join(MASK if isinstance(part, str) else f"${{{part.name}}}" for part in parts)
    return shown or MASK


def _masked(name: str, value: Any) -> Any:
    """The value of a field; of a proxy's URL, without user name and password."""
    if name != "proxy" or "@" not in str(value):
        return value
    scheme, mark, rest = value.partition("://")
    return f"{scheme}{mark}{MASK}@{rest.rpartition('@')[2]}"
