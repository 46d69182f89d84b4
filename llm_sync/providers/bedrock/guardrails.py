"""What a guardrail of Bedrock did to an answer. One finish word stands for both: parts masked, or everything blocked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

INTERVENED = "guardrail_intervened"
_MASKED = "ANONYMIZED"
_BLOCKED = "BLOCKED"
_MAX_TEXT = 200  # characters
_MAX_KINDS = 5  # of findings that a message names
_DEPTH = 8  # of the policies in a trace
_UNKNOWN = f"{INTERVENED} (with guardrailConfig.trace: enabled, the answer would tell whether parts of it are masked only)"


class _Finding(NamedTuple):
    """One thing that a policy found: what it did about it, and what kind of thing it was; never the text itself."""

    action: str
    kind: str


def is_masked(body: Mapping[str, Any]) -> bool:
    """Whether the answer is whole, with personal data replaced: no refusal."""
    actions = {finding.action for finding in _findings(_trace(body))}
    if _BLOCKED in actions:
        return False
    reason = _trace(body).get("actionReason")
    says = reason.lower() if isinstance(reason, str) else ""
    return _MASKED in actions or ("masked" in says and "blocked" not in says)


def block_reason(body: Mapping[str, Any], text: str) -> str:
    """Why an answer is blocked, by the names and kinds of what was found, and the guardrail's words, which are its ``text``."""
    kinds = dict.fromkeys(finding.kind for finding in _findings(_trace(body)) if finding.action == _BLOCKED)
    if kinds:
        return f"{INTERVENED}: {', '.join(list(kinds)[:_MAX_KINDS])}" + (f": {text[:_MAX_TEXT]}" if text.strip() else "")
    return INTERVENED if _trace(body) else _UNKNOWN


def without_unmasked(body: Any) -> Any:
    """``body`` without what the model wrote before the guardrail masked it: it must not be logged or stored."""
    if not isinstance(body, dict) or "modelOutput" not in _trace(body):
        return body
    guardrail = {name: value for name, value in _trace(body).items() if name != "modelOutput"}
    return {**body, "trace": {**body["trace"], "guardrail": guardrail}}


def _trace(body: Mapping[str, Any]) -> Mapping[str, Any]:
    trace = body.get("trace")
    guardrail = trace.get("guardrail") if isinstance(trace, Mapping) else None
    return guardrail if isinstance(guardrail, Mapping) else {}


def _findings(value: Any, policy: str = "", depth: int = _DEPTH) -> Iterator[_Finding]:
    """Everything with an ``action`` in the assessments, which are lists or mappings of policies."""
    if isinstance(value, list) and depth:
        for item in value:
            yield from _findings(item, policy, depth - 1)
    if not isinstance(value, Mapping) or not depth:
        return
    action = value.get("action")
    if isinstance(action, str):
        kind = value.get("name") or value.get("type")
        yield _Finding(action.upper(), f"{policy} {kind}" if isinstance(kind, str) and kind else policy or "a policy")
    for name, item in value.items():
        yield from _findings(item, name if name.endswith("Policy") else policy, depth - 1)
