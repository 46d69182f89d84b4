"""What must hold of a prepared configuration: the schema, and what one key has to do with another."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from llm_sync.config.cross_checks import insecure, unknown_type, unroutable
from llm_sync.config.models import GOOGLE_CLOUD
from llm_sync.config.normalize import Prepared
from llm_sync.config.schema import KEY_SOURCES, RESERVED, SCHEMA, places_of
from llm_sync.config.suggestions import hint_for
from llm_sync.errors import Problem
from llm_sync.streaming import url_switches
from llm_sync.validation import problems, shown
from llm_sync.validation.document import Document, Path

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, a header's name
_FRAMING = ("content-length", "transfer-encoding", "connection", "content-encoding")
_NO_KEYS = "keys and passwords do not belong in a URL: use api_key"

Found = tuple[Path, str, "str | None"]  # path, message, hint
KnownTypes = Callable[[Iterable[str]], Collection[str]]


def check(document: Document, prepared: Prepared, known_types: KnownTypes | None = None) -> None:
    """Note everything that is wrong in the document's problems.

    ``known_types`` gives the names of the dialects there are, told which ones are wanted; without it, what ConfigValidator
    tells is left to it.
    """
    wrong: set[Path] = set()
    related: set[Path] = set()
    for problem in problems(prepared.value, SCHEMA):
        if problem.path in wrong:
            continue
        wrong.add(problem.path)
        document.problem(problem.path, problem.message, _hint(problem.path, problem.message, problem.hint, prepared))
    for path, message, hint in _relations(document, prepared):
        if path not in wrong and path not in prepared.unset_paths:
            document.problem(path, message, hint)
            related.add(path)
    for path, message, hint in _crosschecks(prepared.value, known_types) if known_types else ():
        if path not in wrong | related and path not in prepared.unset_paths:
            document.problem(path, message, hint)


def in_file_order(found: list[Problem]) -> tuple[Problem, ...]:
    """Sorted by line; those without one come first, the order within a line is kept."""
    return tuple(sorted(found, key=lambda problem: problem.line or 0))


def _hint(path: Path, message: str, hint: str | None, prepared: Prepared) -> str | None:
    if message == "unknown key":
        places = places_of(str(path[-1]))
        return f"it belongs under {' or '.join(places)}" if places else hint
    value: Any = prepared.value
    try:
        for step in path:
            value = value[step]
    except (KeyError, IndexError, TypeError):
        return hint
    expected = message.removeprefix("expected ").partition(", found")[0]
    if path in prepared.templates and isinstance(value, str) and hint_for(value, expected):
        return "variables give texts only: write the value itself here"
    return hint_for(value, expected) or hint


def _relations(document: Document, prepared: Prepared) -> Iterator[Found]:
    defaults, providers = prepared.value.get("defaults"), prepared.value.get("providers")
    if isinstance(defaults, dict):
        yield from _reserved(defaults, ("defaults",))
    for name, provider in (providers if isinstance(providers, dict) else {}).items():
        path: Path = ("providers", name)
        if not name or "/" in name or not name.isprintable() or name != name.strip():
            yield path, "is not a provider's name", "a name has no slash and no blanks around it: model names are provider/model"
        if isinstance(provider, dict):
            yield from _provider(provider, path, document)


def _crosschecks(value: Mapping[str, Any], known_types: KnownTypes) -> Iterator[Found]:
    found, defaults = value.get("providers"), value.get("defaults")
    providers = {name: entry for name, entry in found.items() if isinstance(entry, dict)} if isinstance(found, dict) else {}
    types = {name: kind for name, entry in providers.items() if isinstance(kind := entry.get("type", name), str)}
    known = known_types(types.values())
    for name, kind in types.items():
        named = "type" in providers[name]
        wrong = unknown_type(kind, known, named=named)
        if wrong:
            yield ("providers", name, *(["type"] if named else [])), *wrong
    for name, entry in providers.items():
        url = entry.get("base_url")
        wrong = insecure(url, allowed=entry.get("allow_insecure") is True) if isinstance(url, str) else None
        if wrong:
            yield ("providers", name, "base_url"), *wrong
    model = defaults.get("model") if isinstance(defaults, dict) else None
    wrong = unroutable(model, {name: _listed(entry) for name, entry in providers.items()}) if isinstance(model, str) else None
    if wrong and providers:
        yield ("defaults", "model"), *wrong


def _listed(provider: Mapping[str, Any]) -> list[str]:
    models = provider.get("models")
    items = models if isinstance(models, list) else []
    names = [item.get("name") if isinstance(item, dict) else item for item in items]
    return [name for name in names if isinstance(name, str)]


def _provider(provider: Mapping[str, Any], path: Path, document: Document) -> Iterator[Found]:
    sources = [name for name in KEY_SOURCES if name in provider]
    for name in sources[1:]:
        yield (*path, name), f"cannot be combined with {sources[0]}", "give exactly one of " + ", ".join(KEY_SOURCES)
    if isinstance(provider.get("api_key_command"), str):
        try:
            shlex.split(provider["api_key_command"])
        except ValueError:
            yield (*path, "api_key_command"), "is not a command line: a quotation is not closed", "or write it as a list of words"
    for name, trouble in (("base_url", _base_url), ("proxy", _proxy)):
        if isinstance(provider.get(name), str):
            for message, hint in trouble(provider[name]):
                yield (*path, name), message, hint
    if isinstance(provider.get("ca_bundle"), str) and not os.path.exists(beside(document.file, provider["ca_bundle"])):
        yield (*path, "ca_bundle"), "there is no such file", "a relative path starts at the configuration file's folder"
    if isinstance(provider.get("max_tokens_field"), str) and not re.fullmatch(r"[A-Za-z_]+", provider["max_tokens_field"]):
        yield (*path, "max_tokens_field"), "is not the name of a payload field", "as in: max_tokens_field: max_completion_tokens"
    yield from _headers(provider, path)
    yield from _google(provider, path)
    yield from _levels(provider, path)


def _levels(provider: Mapping[str, Any], path: Path) -> Iterator[Found]:
    yield from _reserved(provider, path)
    params = provider.get("default_params")
    if isinstance(params, dict):
        yield from _reserved(params, (*path, "default_params"))
        both: list[tuple[str, ...]] = [(name,) for name in params if name in provider and name != "provider_specific"]
        own, other = provider.get("provider_specific"), params.get("provider_specific")
        if isinstance(own, dict) and isinstance(other, dict):  # these two are merged, so only their keys can clash
            both += [("provider_specific", name) for name in other if name in own]
        for names in both:
            yield (*path, "default_params", *names), f"is also given by the provider's own {'.'.join(names)}", "keep one of them"
    models = provider.get("models")
    seen: dict[str, int] = {}
    for index, model in enumerate(models if isinstance(models, list) else []):
        if not isinstance(model, dict):
            continue
        here: Path = (*path, "models", index)
        yield from _reserved(model, here)
        name = model.get("name")
        if not isinstance(name, str):
            continue
        if name != name.strip() or not name.isprintable():
            yield (*here, "name"), "has blanks around it, or a control character in it", "write the name alone"
        if name in seen:
            yield (*here, "name"), f"names the same model as models[{seen[name]}]", "keep one of them"
        seen.setdefault(name, index)


def _reserved(level: Mapping[str, Any], path: Path) -> Iterator[Found]:
    specific = level.get("provider_specific")
    for name in specific if isinstance(specific, dict) else ():
        if name in RESERVED:
            yield (*path, "provider_specific", name), "is not to be replaced", "llm-sync puts model and prompt there itself"


def _headers(provider: Mapping[str, Any], path: Path) -> Iterator[Found]:
    headers = provider.get("headers")
    seen: set[str] = set()
    for name, value in (headers if isinstance(headers, dict) else {}).items():
        here = (*path, "headers", name)
        if not _TOKEN.fullmatch(name):
            yield here, "is not a header's name", "letters, digits and hyphens"
        elif name.lower() in _FRAMING:
            yield here, "is set by llm-sync itself", "leave it out"
        elif name.lower() in seen:
            yield here, "is given twice", "upper and lower case are the same in header names: keep one of them"
        seen.add(name.lower())
        if isinstance(value, str) and not (value.isascii() and value.isprintable() and value == value.strip()):
            yield here, "holds a line end, another control character, one that is not ASCII, or blanks around it", None
    auth = provider.get("auth")
    if isinstance(auth, dict):
        if isinstance(auth.get("header"), str) and auth["header"].lower() in _FRAMING:
            yield (*path, "auth", "header"), "is set by llm-sync itself", "name the header that the provider reads the key from"
        for key, pattern in (("header", _TOKEN), ("prefix", re.compile(r"[ -~]*"))):
            if isinstance(auth.get(key), str) and not pattern.fullmatch(auth[key]):
                yield (*path, "auth", key), "cannot be in a header", "as in: auth: {header: Authorization, prefix: Bearer}"


def _google(provider: Mapping[str, Any], path: Path) -> Iterator[Found]:
    if provider.get("auth") == GOOGLE_CLOUD:
        if "project" not in provider and "base_url" not in provider:
            yield (*path, "auth"), "google-cloud needs a project", "add project: ${GOOGLE_CLOUD_PROJECT}"
        return
    for name in ("project", "location"):
        if name in provider:
            yield (*path, name), "goes with auth: google-cloud only", "add auth: google-cloud, or leave it out"


def _base_url(url: str) -> Iterator[tuple[str, str | None]]:
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        hint = "as in: base_url: https://api.openai.com/v1"
        yield "is not an http:// or https:// URL with a host", hint
        return
    if parts.username is not None or parts.password is not None:
        yield "holds a user name or password", _NO_KEYS
    if re.search(r"[\s\x00-\x1f\x7f\"<>\\^`]", url) or not url.isascii():
        yield "holds a character that no URL has", "percent-encode it"
    if re.sub(r"\{model\}", "", url).count("{") or url.count("}") != url.count("{"):
        yield "holds a brace", "{model} is the one thing that is filled in"
    switches = url_switches(url)
    if switches:
        yield f"asks for streaming ({shown(', '.join(switches))})", "name the endpoint that answers in one piece"
    elif parts.query or "?" in url:
        yield "holds a query", "write it under query:, as in: query: {api-version: 2024-10-21}"
    if "#" in url:
        yield "holds a fragment (#…)", "leave it out"


def _proxy(url: str) -> Iterator[tuple[str, str | None]]:
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        yield "is not an http:// or https:// URL of a proxy", "as in: proxy: http://proxy.example.com:3128"


def _split(url: str) -> Any:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises ValueError for an impossible one
    except ValueError:
        return None
    return parts


def beside(file: str, path: str) -> str:
    """A path that stands in a configuration file: ``~`` is the home folder, a relative one starts at the file's folder."""
    return os.path.join(os.path.dirname(os.path.abspath(file)), os.path.expanduser(path))


def shown_switches(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    cut = [shown(name) for name in names]
    return cut[0] if len(cut) == 1 else f"{', '.join(cut[:-1])} and {cut[-1]}"
