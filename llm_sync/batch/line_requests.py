"""From a line of the input to its request, and to what a record says about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.requests import BatchRequest, content_hash
from llm_sync.batch.state.records import RequestIdentity


def read_request(
    context: BatchContext, slot: int, content: bytes, identity: RequestIdentity
) -> tuple[RequestIdentity, BatchRequest]:
    """The request of a slot, whose line this is, and ``identity`` with what the line says. Raises what is wrong with the line."""
    return request_of(context, slot, context.line_format.read(content), identity)


def request_of(
    context: BatchContext, slot: int, values: Mapping[str, Any], identity: RequestIdentity
) -> tuple[RequestIdentity, BatchRequest]:
    """The same of the line's fields."""
    batch_request = context.builder.build(values, context.model(slot))
    request = context.builder.hash(batch_request)
    named = identity._replace(
        request=request, id=batch_request.request.id, content=content_hash(values), asked=batch_request.asked
    )
    return named, batch_request
