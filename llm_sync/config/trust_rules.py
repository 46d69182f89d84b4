"""What a configuration may do without being trusted, and everything it needs trust for.

A file that somebody else wrote (a cloned repository has it in ./config/llms) may decide which models are asked, and how. It may
not decide who gets the keys and the prompts, run a command, read a file or a variable, or give the model instructions.
The rules name what is allowed: a setting that no rule knows needs trust.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from llm_sync.config.checks import is_loopback
from llm_sync.config.models import AWS, GOOGLE_CLOUD
from llm_sync.config.normalize import Normalized
from llm_sync.config.schema import ATTEMPT_KEYS
from llm_sync.config.variables import Reference, parse
from llm_sync.errors import Problem
from llm_sync.models import fields
from llm_sync.validation import field_path, shown
from llm_sync.validation.document import Document, Path

# The hosts of the built-in dialects -> the usual variables of their keys.
OWN_HOSTS: Mapping[str, tuple[str, ...]] = {
    "api.openai.com": ("OPENAI_API_KEY",),
    "api.anthropic.com": ("ANTHROPIC_API_KEY",),
    "generativelanguage.googleapis.com": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "openrouter.ai": ("OPENROUTER_API_KEY",),
    "bedrock-runtime.us-east-1.amazonaws.com": ("AWS_BEARER_TOKEN_BEDROCK",),  # or in another region: see _BEDROCK
}
# Where each dialect sends requests without a base_url.
DEFAULT_HOSTS: Mapping[str, str] = {
    "openai": "api.openai.com",
    "openai-responses": "api.openai.com",
    "anthropic": "api.anthropic.com",
    "gemini": "generativelanguage.googleapis.com",
    "gemini-interactions": "generativelanguage.googleapis.com",
    "openrouter": "openrouter.ai",
    "bedrock": "bedrock-runtime.us-east-1.amazonaws.com",
}
_PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT",)
_GOOGLE_CLOUD_TYPES = ("gemini", "gemini-interactions", "anthropic")  # whose hosts are Google's own then
_LOCATION = re.compile(r"[a-z0-9-]{1,40}")
# Hosts of Amazon Bedrock: one for each region.
_BEDROCK = re.compile(r"bedrock(?:-runtime|-mantle)?(?:-fips)?\.[a-z0-9-]+\.(?:amazonaws\.com(?:\.cn)?|api\.aws)")

# Settings that change how much is asked, how often and how long, and what an answer looks like.
_FREE = frozenset(
    {
        *ATTEMPT_KEYS,
        *(row.name for row in fields.CONFIGURABLE if row.kind not in (fields.TEXT, fields.MAPPING)),
        *("model", "strict", "strict_streaming", "prices", "budget"),
        *("name", "pricing", "context_window", "weight"),
        *(
            "type",
            "max_tokens_field",
            "max_response_bytes",
            "concurrency",
            "requests_per_minute",
            "tokens_per_minute",
            "max_queue",
            "idle_timeout",
        ),
        *("machine_wide", "per_node", "reasoning_field", "structured_output", "via"),
    }
)
# Headers in which an application names itself.
_FREE_HEADERS = ("http-referer", "x-title", "x-openrouter-title")
# Parameters of providers that bring in tools, instructions or earlier conversations, or decide who else gets the prompts.
_GUARDED_PARAMETERS = re.compile(
    r"tool|plugin|mcp|server|connector|search|retriev|ground|instruct|system|prompt|input|content|message|container|conversation"
    r"|previous|webhook|callback|url|uri|metadata|cache|user|data.?collection|^zdr$|^only$|^order$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,32}")

_REASONS = {
    "api_key_command": "runs a command",
    "api_key_file": "reads a file as the key",
    "proxy": "sends requests through a proxy",
    "ca_bundle": "decides which certificates are accepted",
    "client_cert": "identifies you to the server by a certificate",
    "client_key": "reads a file as a certificate's key",
    "allow_insecure": "allows connections that are not encrypted",
    "system_prompt": "gives the model instructions",
    "auth": "changes how the key is sent",
    "profile": "decides whose account is used",
    "headers": "sets a header",
    "query": "sets a query field",
    "cache": "takes answers from a folder, and writes to it",
}


def trust_needs(document: Document, normalized: Normalized) -> tuple[Problem, ...]:
    """Everything in the file that needs trust, in its order; () for a file that may be used as it is."""
    rules = _Rules(normalized)
    needs = dict.fromkeys(rules.check(normalized.value))
    problems = [Problem(message, field_path(path), document.file or None, document.line(path)) for path, message in needs]
    return tuple(sorted(problems, key=lambda problem: problem.line or 0))


Need = tuple[Path, str]


class _Rules:
    """The rules, applied to one configuration in its long form."""

    def __init__(self, normalized: Normalized) -> None:
        self._templates = normalized.templates

    def check(self, value: Mapping[str, Any]) -> Iterator[Need]:
        for name, entry in value.items():
            if name == "defaults" and isinstance(entry, dict):
                yield from self._level(entry, ("defaults",))
            elif name == "providers" and isinstance(entry, dict):
                for provider, settings in entry.items():
                    if isinstance(settings, dict):
                        yield from self._provider(provider, settings)
            elif name == "history":
                if entry is not False:
                    yield (name,), "keeps prompts and answers on the disk"
            elif name == "observe":
                yield from self._variables(entry, (name,))  # where to is the user's own setting
            elif name == "routes" and isinstance(entry, dict):
                for route, settings in entry.items():
                    for index, model in enumerate(settings.get("models", ()) if isinstance(settings, dict) else ()):
                        if isinstance(model, dict):
                            yield from self._level(model, ("routes", route, "models", index))
            elif name != "budgets":  # they only limit
                yield (name,), "is not known to be harmless"

    def _provider(self, name: str, entry: Mapping[str, Any]) -> Iterator[Need]:
        path: Path = ("providers", name)
        host, allowed, need = self._host(name, entry)
        if need:
            yield (*path, "base_url"), need
        for key, value in entry.items():
            here: Path = (*path, key)
            if key == "base_url":
                yield from self._variables(value, here)
            elif key == "api_key":
                yield from self._key(value, here, host, allowed)
            elif key == "models" and isinstance(value, list):
                for index, model in enumerate(value):
                    if isinstance(model, dict):
                        yield from self._level(model, (*here, index))
            elif key == "default_params" and isinstance(value, dict):
                yield from self._level(value, here)
            elif key == "headers" and isinstance(value, dict):
                for header, text in value.items():
                    yield from self._header(header, text, (*here, header))
            elif key in ("auth", "project", "location", "region"):
                yield from self._cloud(key, value, here, entry.get("type", name), "base_url" in entry)
            elif key == "allow_insecure" and value is False:
                continue
            else:
                yield from self._setting(key, value, here)

    def _level(self, level: Mapping[str, Any], path: Path) -> Iterator[Need]:
        for key, value in level.items():
            yield from self._setting(key, value, (*path, key))

    def _setting(self, key: str, value: Any, path: Path) -> Iterator[Need]:
        if key == "provider_specific":
            yield from self._parameters(value, path, guarded=False)
        elif key in _FREE or (key == "cache" and not (isinstance(value, dict) and "dir" in value)):
            yield from self._variables(value, path)
        else:
            yield path, _REASONS.get(key, "is not known to be harmless")

    def _host(self, name: str, entry: Mapping[str, Any]) -> tuple[str, tuple[str, ...], str | None]:
        """Where the provider's requests go, the variables whose value may go there, and why the host needs trust if it does."""
        url, path = entry.get("base_url"), ("providers", name, "base_url")
        if parse(self._templates.get(path, "")).names:
            return "", (), "sends requests to a host that variables decide"  # their values are not to be shown
        if url is None:
            kind = entry.get("type", name)
            host = DEFAULT_HOSTS.get(kind, "") if isinstance(kind, str) else ""
            return host, () if entry.get("auth") == GOOGLE_CLOUD else OWN_HOSTS.get(host, ()), None
        try:
            parts = urlsplit(str(url))
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            return "", (), "sends requests to a host that cannot be read"
        if is_loopback(host):
            return host, (), None
        if parts.scheme == "https" and host in OWN_HOSTS and port in (None, 443):
            return host, OWN_HOSTS[host], None
        if parts.scheme == "https" and _BEDROCK.fullmatch(host) and port in (None, 443):
            return host, OWN_HOSTS[DEFAULT_HOSTS["bedrock"]], None
        return host, (), f"sends requests to {shown(host)}"

    def _key(self, value: Any, path: Path, host: str, allowed: tuple[str, ...]) -> Iterator[Need]:
        parts = parse(str(value)).parts
        place = f", which is not the usual variable for {shown(host)}" if host else ""
        for part in parts:
            if isinstance(part, Reference) and part.name not in allowed:
                yield path, f"sends the variable {part.name}{place}"
                return
        if any(isinstance(part, str) or part.default for part in parts) and not is_loopback(host):
            yield path, "decides whose account is used"  # the owner of the account can read what is sent

    def _header(self, name: str, value: Any, path: Path) -> Iterator[Need]:
        if name.lower() in _FREE_HEADERS:
            yield from self._variables(value, path)
        else:
            yield path, _REASONS["headers"]

    def _cloud(self, key: str, value: Any, path: Path, kind: Any, has_url: bool) -> Iterator[Need]:
        """The token of Google Cloud is the user's own: the project must be too, and the location is part of the host. AWS's
        keys are, too, and a region is part of its host."""
        if key == "auth" and value == AWS and kind == "bedrock" and not has_url:
            return
        if key == "auth":
            if value != GOOGLE_CLOUD or kind not in _GOOGLE_CLOUD_TYPES or has_url:
                yield path, _REASONS["auth"]
        elif key == "project":
            parts = parse(self._templates.get(path, str(value))).parts
            if not (len(parts) == 1 and isinstance(parts[0], Reference) and parts[0].name in _PROJECT_VARIABLES):
                yield path, "decides whose account is used"
            elif parts[0].default:
                yield path, "decides whose account is used where the variable is not set"
        elif path in self._templates or not _LOCATION.fullmatch(str(value)):
            yield path, "decides which host is asked"

    def _parameters(self, value: Any, path: Path, *, guarded: bool) -> Iterator[Need]:
        """Parameters of a provider's own may be numbers, switches and single words under names that are not guarded."""
        if isinstance(value, dict):
            for key, item in value.items():
                risky = guarded or bool(_GUARDED_PARAMETERS.search(key))
                yield from self._parameters(item, (*path, key), guarded=risky)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._parameters(item, (*path, index), guarded=guarded)
        elif guarded or (isinstance(value, str) and not _WORD.fullmatch(value)):
            yield path, "is a parameter that may give instructions, or pass the conversation on"
        else:
            yield from self._variables(value, path)

    def _variables(self, value: Any, path: Path) -> Iterator[Need]:
        """The variables that the texts of a setting read."""
        if isinstance(value, dict):
            for key, item in value.items():
                yield from self._variables(item, (*path, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._variables(item, (*path, index))
        elif path in self._templates:
            names = parse(self._templates[path]).names
            if names:
                yield path, f"reads the variable {names[0]}"
