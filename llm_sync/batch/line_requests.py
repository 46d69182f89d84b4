"""From a line of the input to its request, and to what a record says about it."""

from __future__ import annotations

from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.requests import BatchRequest, content_hash
from llm_sync.batch.state.records import RequestIdentity


def read_request(
    context: BatchContext, slot: int, content: bytes, identity: RequestIdentity
) -> tuple[RequestIdentity, BatchRequest]:
    """The request of a slot, whose line this is, and ``identity`` with what the line says. Raises what is wrong with the line."""
    values = context.line_format.read(content)
    batch_request = context.builder.build(values, context.model(slot))
    request = context.builder.hash(batch_request)
    named = identity._replace(
        request=request, id=batch_request.request.id, content=content_hash(values), asked=batch_request.asked
    )
    return named, batch_request
