"""The journal's line for an outcome. That of an ordinary answer is written as text: to make the dicts of a record and to encode
them takes twice as long, and a batch has thousands of them.
"""

from __future__ import annotations

from llm_sync.batch.state.json_text import object_text, string_text, value_text
from llm_sync.batch.state.records import Head, RequestIdentity, journal_line, line_around, record_of
from llm_sync.errors import LLMConnectorError
from llm_sync.models import ModelResponse
from llm_sync.models.pending_cost import PRICE_SOURCE

_ELSEWHERE = frozenset(("state", "tier"))  # metadata that has another place in a record


def outcome_line(identity: RequestIdentity, outcome: ModelResponse | LLMConnectorError, head: Head) -> bytes:
    """The line for an outcome. Raises what keeps an answer's metadata from being encoded."""
    if type(outcome) is ModelResponse and _is_ordinary(identity, outcome, head):
        return line_around(head, _record_text(identity, outcome).encode("utf-8", "backslashreplace"))
    return journal_line(head, record_of(identity, outcome, head))


def _is_ordinary(identity: RequestIdentity, answer: ModelResponse, head: Head) -> bool:
    """Whether the record has none of the parts that few records have."""
    is_direct = not (identity.openai or identity.via is not None or identity.shard is not None or head.unsure)
    is_plain = not (answer.tool_calls or answer.adjustments or answer.cached or answer.route)
    return is_direct and is_plain and _ELSEWHERE.isdisjoint(answer.metadata)


def _record_text(identity: RequestIdentity, answer: ModelResponse) -> str:
    """The JSON of ``record_of``."""
    key, line, settings, request, _, _, _, _, _, content, _, max_tokens, _ = identity
    more = "" if content is None else f', "content_hash": {string_text(content)}'
    if max_tokens is not None:
        more += f', "max_tokens": {value_text(max_tokens)}'
    return (
        f'{{"id": {value_text(answer.id)}, "index": {key[0]}, "provider": {value_text(key[1])}, "model": {value_text(key[2])}, '
        f'"response": {_answer_text(answer)}, "error": null, "request_hash": {value_text(request)}, '
        f'"line_hash": {value_text(line)}, "settings": {value_text(settings)}{more}}}'
    )


def _answer_text(answer: ModelResponse) -> str:
    """The JSON of ``ModelResponse.to_dict``."""
    answer.metadata.get(PRICE_SOURCE)  # becomes one of them now, if the cost was pending
    metadata = {name: value for name, value in answer.metadata.items() if name != "raw"}
    return (
        f'{{"text": {string_text(answer.text)}, "model": {string_text(answer.model)}, '
        f'"provider": {string_text(answer.provider)}, "finish_reason": {string_text(answer.finish_reason)}, '
        f'"usage": {object_text(vars(answer.usage))}, "timestamp": {string_text(answer.timestamp.isoformat())}, '
        f'"latency_ms": {value_text(answer.latency_ms)}, "attempts": {value_text(answer.attempts)}, '
        f'"request_id": {value_text(answer.request_id)}, "tool_calls": [], "adjustments": [], '
        f'"cost_estimate": {value_text(answer.cost_estimate)}, "metadata": {object_text(metadata)}, '
        f'"id": {value_text(answer.id)}, "cached": false, "saved_estimate": {value_text(answer.saved_estimate)}, '
        f'"token_count": {value_text(answer.token_count)}, "truncated": {"true" if answer.truncated else "false"}}}'
    )
