"""The Responses API: returns OpenAI's own response, or another provider's written in its shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from llm_sync.compat.openai.response_objects import Response
from llm_sync.compat.shim import sending
from llm_sync.compat.shim.calls import CallContext
from llm_sync.compat.shim.error_mapping import translate_errors
from llm_sync.compat.shim.parameters import Table
from llm_sync.compat.shim.targets import resolve_target
from llm_sync.openai_shape import responses_body, responses_request

ResponseKind = TypeVar("ResponseKind", bound=Response)
_NATIVE = "openai-responses"


def respond(context: CallContext, table: Table, arguments: Mapping[str, Any], kind: type[ResponseKind]) -> ResponseKind:
    """The Response, of class ``kind``, for a call of ``responses.create``."""
    with translate_errors(context.map_error):
        reading, context = context.read(table, arguments)
        given = reading.given
        target = resolve_target(context.settings, given.pop("model", None))
        made = sending.not_sent(table.call, reading) if reading.not_sent else []
        native = target.type == _NATIVE
        parsed = responses_request(given, native=native, chat=target.chat, strict=target.strict, model=target.model)
        made += parsed.adjustments
        outcome = sending.send(target, parsed.request, timeout=context.timeout, max_retries=context.max_retries)
        return sending.finished(kind.read(responses_body(outcome, given)), made, [outcome])
