"""What one part of a configuration has to do with another, or with the known dialects: a message and a hint, or None.

Asked twice, on plain values and in the same words: of a file that is being loaded, beside everything else that is wrong
with it, and of an LLMConfig however it was made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlsplit

from llm_sync.validation import closest, shown

Found = tuple[str, str]


def unknown_type(kind: str, known: Collection[str], *, named: bool) -> Found | None:
    """``named``: whether the entry says ``type:``, or is taken for one by its name."""
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
    return f"unknown provider type {shown(kind)!r}", hint


def insecure(url: str, *, allowed: bool) -> Found | None:
    """Plain http to another machine."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return None  # told by the check of the URL itself
    if allowed or parts.scheme != "http" or _is_this_machine(host):
        return None
    return (
        "plain http:// sends the key and the prompts readable by anyone on the way",
        "use https://, or set allow_insecure: true",
    )


def _is_this_machine(host: str) -> bool:
    """By its very name, as the transport judges it: a file that is valid here is not refused there."""
    from ipaddress import ip_address  # seldom needed

    try:
        address = ip_address(host.rstrip("."))
    except ValueError:
        return host.rstrip(".") == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def unroutable(model: str, listings: Mapping[str, Sequence[str]]) -> Found | None:
    """A default model that no routing could find: a provider that lists no models takes any name."""
    if "/" in model and model.partition("/")[0] in listings:
        return None
    listing = [name for name, models in listings.items() if model in models]
    if len(listing) == 1 or (not listing and any(not models for models in listings.values())):
        return None
    if listing:
        return f"{shown(model)} is listed by {' and '.join(listing)}", f"write {listing[0]}/{shown(model)}"
    names = [f"{name}/{listed}" for name, models in listings.items() for listed in models]
    near = closest(model, [*names, *(name.partition("/")[2] for name in names)])
    hint = f"did you mean {near}?" if near else f"write PROVIDER/MODEL, with PROVIDER one of {', '.join(listings)}"
    return f"no provider lists {shown(model)}", hint
