"""What must hold of one provider's entry beyond the schema: which keys go together, and what texts may contain."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from llm_sync.config.models import AWS, GOOGLE_CLOUD
from llm_sync.config.schema import CERTIFICATE_FILES, KEY_SOURCES, RESERVED
from llm_sync.streaming import url_switches
from llm_sync.validation import shown
from llm_sync.validation.document import Document, Path

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, the name of a header
_PREFIX = re.compile(r"[ -~]*")
_FRAMING = ("content-length", "transfer-encoding", "connection", "content-encoding")
_NO_KEYS = "keys and passwords do not belong in a URL: use api_key"


class Finding(NamedTuple):
    """A problem with the field at ``path``, and what to do if that is known."""

    path: Path
    message: str
    hint: str | None


def check_provider(provider: Mapping[str, Any], path: Path, document: Document) -> Iterator[Finding]:
    """Everything that is wrong with one entry under ``providers``; values of a wrong type are left to the schema."""
    yield from _check_key_sources(provider, path)
    for name, complaints in (("base_url", _base_url_complaints), ("proxy", _proxy_complaints)):
        if isinstance(provider.get(name), str):
            for message, hint in complaints(provider[name]):
                yield Finding((*path, name), message, hint)
    for name in CERTIFICATE_FILES:
        file = provider.get(name)
        if isinstance(file, str) and not os.path.exists(resolve_path(document.file, file)):
            yield Finding((*path, name), "there is no such file", "a relative path starts at the configuration file's folder")
    if "client_key" in provider and "client_cert" not in provider:
        yield Finding((*path, "client_key"), "belongs to a client_cert", "set client_cert to the certificate's PEM file")
    token_field = provider.get("max_tokens_field")
    if isinstance(token_field, str) and not re.fullmatch(r"[A-Za-z_]+", token_field):
        hint = "as in: max_tokens_field: max_completion_tokens"
        yield Finding((*path, "max_tokens_field"), "is not the name of a payload field", hint)
    yield from _check_headers(provider, path)
    yield from _check_auth(provider, path)
    yield from _check_google_cloud(provider, path)
    yield from _check_aws(provider, path)
    yield from check_reserved(provider, path)
    yield from _check_default_params(provider, path)
    yield from _check_models(provider, path)


def _check_key_sources(provider: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    sources = [name for name in KEY_SOURCES if name in provider]
    for name in sources[1:]:
        hint = "give exactly one of " + ", ".join(KEY_SOURCES)
        yield Finding((*path, name), f"cannot be combined with {sources[0]}", hint)
    if isinstance(provider.get("api_key_command"), str):
        try:
            shlex.split(provider["api_key_command"])
        except ValueError:
            message = "is not a command line: a quotation is not closed"
            yield Finding((*path, "api_key_command"), message, "or write it as a list of words")


def check_reserved(level: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    """Parameters in provider_specific that llm-sync sets itself. ``level``: defaults, a provider or a model."""
    specific = level.get("provider_specific")
    for name in specific if isinstance(specific, dict) else ():
        if name in RESERVED:
            hint = "llm-sync puts model and prompt there itself"
            yield Finding((*path, "provider_specific", name), "is not to be replaced", hint)


def _check_default_params(provider: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    params = provider.get("default_params")
    if not isinstance(params, dict):
        return
    yield from check_reserved(params, (*path, "default_params"))
    both: list[tuple[str, ...]] = [(name,) for name in params if name in provider and name != "provider_specific"]
    own, other = provider.get("provider_specific"), params.get("provider_specific")
    if isinstance(own, dict) and isinstance(other, dict):  # these two are merged, so only their keys can clash
        both += [("provider_specific", name) for name in other if name in own]
    for names in both:
        message = f"is also given by the provider's own {'.'.join(names)}"
        yield Finding((*path, "default_params", *names), message, "keep one of them")


def _check_models(provider: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    models = provider.get("models")
    first: dict[str, int] = {}
    for index, model in enumerate(models if isinstance(models, list) else []):
        if not isinstance(model, dict):
            continue
        here: Path = (*path, "models", index)
        yield from check_reserved(model, here)
        name = model.get("name")
        if not isinstance(name, str):
            continue
        if name != name.strip() or not name.isprintable():
            yield Finding((*here, "name"), "has blanks around it, or a control character in it", "write the name alone")
        if name in first:
            yield Finding((*here, "name"), f"names the same model as models[{first[name]}]", "keep one of them")
        first.setdefault(name, index)


def _check_headers(provider: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    headers = provider.get("headers")
    seen: set[str] = set()
    for name, value in (headers if isinstance(headers, dict) else {}).items():
        here = (*path, "headers", name)
        if not _TOKEN.fullmatch(name):
            yield Finding(here, "is not a header's name", "letters, digits and hyphens")
        elif name.lower() in _FRAMING:
            yield Finding(here, "is set by llm-sync itself", "leave it out")
        elif name.lower() in seen:
            yield Finding(here, "is given twice", "upper and lower case are the same in header names: keep one of them")
        seen.add(name.lower())
        if isinstance(value, str) and not (value.isascii() and value.isprintable() and value == value.strip()):
            message = "holds a line end, another control character, one that is not ASCII, or blanks around it"
            yield Finding(here, message, None)


def _check_auth(provider: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    auth = provider.get("auth")
    if not isinstance(auth, dict):
        return
    if isinstance(auth.get("header"), str) and auth["header"].lower() in _FRAMING:
        hint = "name the header that the provider reads the key from"
        yield Finding((*path, "auth", "header"), "is set by llm-sync itself", hint)
    for key, pattern in (("header", _TOKEN), ("prefix", _PREFIX)):
        if isinstance(auth.get(key), str) and not pattern.fullmatch(auth[key]):
            hint = "as in: auth: {header: Authorization, prefix: Bearer}"
            yield Finding((*path, "auth", key), "cannot be in a header", hint)


def _check_google_cloud(provider: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    if provider.get("auth") == GOOGLE_CLOUD:
        if "project" not in provider and "base_url" not in provider:
            yield Finding((*path, "auth"), "google-cloud needs a project", "add project: ${GOOGLE_CLOUD_PROJECT}")
        return
    for name in ("project", "location"):
        if name in provider:
            yield Finding((*path, name), "goes with auth: google-cloud only", "add auth: google-cloud, or leave it out")


def _check_aws(provider: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    kind = provider.get("type", path[-1])
    signs = [name for name in ("auth", "profile") if provider.get(name) and (name != "auth" or provider["auth"] == AWS)]
    for name in [*signs, *(name for name in ("region",) if name in provider)] if kind != "bedrock" else ():
        yield Finding(
            (*path, name), "goes with type: bedrock only", "leave it out; Bedrock's other endpoints are named by base_url"
        )
    keys = [name for name in KEY_SOURCES if name in provider]
    for name in signs if keys else ():
        yield Finding((*path, name), f"cannot be combined with {keys[0]}", "a request carries an API key or a signature")
    region = provider.get("region")
    if isinstance(region, str) and not re.fullmatch(r"[a-z]{2,8}(-[a-z]{2,12}){1,3}-\d{1,2}", region):
        yield Finding((*path, "region"), f"{shown(region)} is not the name of an AWS region", "as in: region: us-east-1")


def _base_url_complaints(url: str) -> Iterator[tuple[str, str]]:
    parts = _split_url(url)
    if parts is None:
        yield "is not an http:// or https:// URL with a host", "as in: base_url: https://api.openai.com/v1"
        return
    if parts.username is not None or parts.password is not None:
        yield "holds a user name or password", _NO_KEYS
    if re.search(r"[\s\x00-\x1f\x7f\"<>\\^`]", url) or not url.isascii():
        yield "holds a character that no URL has", "percent-encode it"
    if url.replace("{model}", "").count("{") or url.count("}") != url.count("{"):
        yield "holds a brace", "{model} is the one thing that is filled in"
    switches = url_switches(url)
    if switches:
        yield f"asks for streaming ({shown(', '.join(switches))})", "name the endpoint that answers in one piece"
    elif "?" in url:
        yield "holds a query", "write it under query:, as in: query: {api-version: 2024-10-21}"
    if "#" in url:
        yield "holds a fragment (#…)", "leave it out"


def _proxy_complaints(url: str) -> Iterator[tuple[str, str]]:
    if _split_url(url) is None:
        yield "is not an http:// or https:// URL of a proxy", "as in: proxy: http://proxy.example.com:3128"


def _split_url(url: str) -> SplitResult | None:
    """The parts of an http or https URL that has a host, else None."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises ValueError for an impossible one
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None


def resolve_path(file: str, path: str) -> str:
    """A path from a configuration file: ``~`` is the home folder, a relative path starts at the file's folder."""
    return os.path.join(os.path.dirname(os.path.abspath(file)), os.path.expanduser(path))


def check_concurrency(provider: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    """The limits of a concurrency that is found out are in order."""
    limits = provider.get("concurrency")
    low, high = (limits.get("from"), limits.get("to")) if isinstance(limits, dict) else (None, None)
    if isinstance(low, int) and isinstance(high, int) and low > high:
        yield Finding((*path, "concurrency"), "from is above to", "as in: concurrency: {from: 1, to: 64}")
