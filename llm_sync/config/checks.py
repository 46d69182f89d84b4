"""What must hold of a normalized configuration: the schema, and how one part of it relates to the others.

``unknown_type``, ``insecure_url`` and ``unroutable_model`` are used twice, on plain values: on a file while it is loaded,
together with everything else that is wrong with it, and on an LLMConfig, however it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from llm_sync.config.budget_checks import check_budget_names
from llm_sync.config.normalize import Normalized
from llm_sync.config.provider_checks import Finding, check_concurrency, check_provider, check_reserved
from llm_sync.config.route_checks import check_entries, name_conflicts, named_models
from llm_sync.config.schema import SCHEMA, levels_of
from llm_sync.config.suggestions import hint_for
from llm_sync.errors import Problem
from llm_sync.validation import closest, problems, shown
from llm_sync.validation.document import Document, Path

KnownTypes = Callable[[Iterable[str]], Collection[str]]


class Complaint(NamedTuple):
    """What is wrong with a value, and what to do."""

    message: str
    hint: str


def check(document: Document, normalized: Normalized, known_types: KnownTypes | None = None) -> None:
    """Add everything that is wrong to the document's problems, at most one problem per field.

    ``known_types`` takes the dialects that the file uses and returns those that exist. Without it, the checks of
    ConfigValidator are left out.
    """
    reported: set[Path] = set()
    for problem in problems(normalized.value, SCHEMA):
        if problem.path not in reported:
            reported.add(problem.path)
            document.problem(problem.path, problem.message, _hint(problem.path, problem.message, problem.hint, normalized))
    # A value that needs an unset variable is not judged: nobody knows it yet.
    unjudged = reported | normalized.unset_paths
    reported = set()
    for finding in _check_entries(document, normalized):
        if finding.path not in unjudged:
            document.problem(*finding)
            reported.add(finding.path)
    for finding in _check_relations(normalized.value, known_types) if known_types else ():
        if finding.path not in unjudged | reported:
            document.problem(*finding)


def in_file_order(problems: list[Problem]) -> tuple[Problem, ...]:
    """Sorted by line, those without a line first; the order within a line is kept."""
    return tuple(sorted(problems, key=lambda problem: problem.line or 0))


def _hint(path: Path, message: str, hint: str | None, normalized: Normalized) -> str | None:
    if message == "unknown key":
        levels = levels_of(str(path[-1]))
        return f"it belongs under {' or '.join(levels)}" if levels else hint
    value: Any = normalized.value
    try:
        for step in path:
            value = value[step]
    except (KeyError, IndexError, TypeError):
        return hint
    expected = message.removeprefix("expected ").partition(", found")[0]
    suggestion = hint_for(value, expected)
    if path in normalized.templates and isinstance(value, str) and suggestion:
        return "variables give texts only: write the value itself here"
    return suggestion or hint


def _check_entries(document: Document, normalized: Normalized) -> Iterator[Finding]:
    """Each entry by itself."""
    defaults, providers = normalized.value.get("defaults"), normalized.value.get("providers")
    yield from check_budget_names(normalized.value)
    if isinstance(defaults, dict):
        yield from check_reserved(defaults, ("defaults",))
    for name, provider in (providers if isinstance(providers, dict) else {}).items():
        path: Path = ("providers", name)
        if not name or "/" in name or not name.isprintable() or name != name.strip():
            hint = "a name has no slash and no blanks around it: model names are provider/model"
            yield Finding(path, "is not a provider's name", hint)
        if isinstance(provider, dict):
            yield from check_provider(provider, path, document)
            yield from check_concurrency(provider, path)
    yield from check_entries(normalized.value)


def _check_relations(value: Mapping[str, Any], known_types: KnownTypes) -> Iterator[Finding]:
    """The entries and the known dialects, the key and the way to the server, the default model and the lists of models."""
    entries, defaults = value.get("providers"), value.get("defaults")
    entries = entries if isinstance(entries, dict) else {}
    providers = {name: entry for name, entry in entries.items() if isinstance(entry, dict)}
    types = {name: kind for name, entry in providers.items() if isinstance(kind := entry.get("type", name), str)}
    known = known_types(types.values())
    for name, kind in types.items():
        named = "type" in providers[name]
        complaint = unknown_type(kind, known, named=named)
        if complaint:
            yield Finding(("providers", name, *(["type"] if named else [])), *complaint)
    for name, entry in providers.items():
        url = entry.get("base_url")
        complaint = insecure_url(url, allowed=entry.get("allow_insecure") is True) if isinstance(url, str) else None
        if complaint:
            yield Finding(("providers", name, "base_url"), *complaint)
    listings = {name: _model_names(entry) for name, entry in providers.items()}
    model = defaults.get("model") if isinstance(defaults, dict) else None
    if isinstance(model, str) and providers:
        routes = value.get("routes")
        complaint = unroutable_model(model, listings, routes if isinstance(routes, dict) else ())
        if complaint:
            yield Finding(("defaults", "model"), *complaint)
    yield from name_conflicts(value, listings)
    for path, name in named_models(value) if providers else ():
        complaint = unroutable_model(name, listings)
        if complaint:
            yield Finding(path, *complaint)


def _model_names(provider: Mapping[str, Any]) -> list[str]:
    models = provider.get("models")
    items = models if isinstance(models, list) else []
    names = [item.get("name") if isinstance(item, dict) else item for item in items]
    return [name for name in names if isinstance(name, str)]


def unknown_type(kind: str, known: Collection[str], *, named: bool) -> Complaint | None:
    """A dialect nobody offers. ``named``: the entry has ``type:``; else the dialect is the entry's name."""
    if kind in known:
        return None
    near = closest(kind, known)
    listed = f"known are {', '.join(sorted(known))}"
    if near:
        hint = f"did you mean {near}? {listed}"
    elif named:
        hint = f"install the package that offers it; {listed}"
    else:
        hint = f"add type: to the entry, or install the package that offers {shown(kind)!r}; {listed}"
    return Complaint(f"unknown provider type {shown(kind)!r}", hint)


def insecure_url(url: str, *, allowed: bool) -> Complaint | None:
    """Plain http to another machine. A URL that cannot be read is reported by the check of the URL itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return None
    if allowed or parts.scheme != "http" or is_loopback(host):
        return None
    return Complaint(
        "plain http:// sends the key and the prompts readable by anyone on the way",
        "use https://, or set allow_insecure: true",
    )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name alone, as the transport decides it too. No name is looked up."""
    from ipaddress import ip_address  # seldom needed

    host = host.lower().rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def unroutable_model(model: str, listings: Mapping[str, Sequence[str]], routes: Collection[str] = ()) -> Complaint | None:
    """A default model that routing cannot assign to one provider. A provider that lists no models takes any name.

    ``routes``: names that stand for several models. So do models with commas between: each must be found.
    """
    if model in routes:
        return None
    if "," in model and not any(model in models for models in listings.values()):
        parts = [part.strip() for part in model.split(",")]
        complaints = (unroutable_model(part, listings) for part in parts)
        return next((complaint for complaint in complaints if complaint), None)
    if "/" in model and model.partition("/")[0] in listings:
        return None
    listing = [name for name, models in listings.items() if model in models]
    if len(listing) == 1 or (not listing and any(not models for models in listings.values())):
        return None
    if listing:
        return Complaint(f"{shown(model)} is listed by {' and '.join(listing)}", f"write {listing[0]}/{shown(model)}")
    names = [f"{name}/{listed}" for name, models in listings.items() for listed in models]
    near = closest(model, [*names, *(name.partition("/")[2] for name in names)])
    hint = f"did you mean {near}?" if near else f"write PROVIDER/MODEL, with PROVIDER one of {', '.join(listings)}"
    return Complaint(f"no provider lists {shown(model)}", hint)
