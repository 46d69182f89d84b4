"""What goes in and what comes out: frozen dataclasses shared by every room.

Thread rules: all of them are immutable after construction and may be shared between threads; dicts inside them
(``provider_specific``, ``metadata`` …) are not to be changed by anyone who did not make them.
"""

from llm_sync.models.attempts import AttemptOptions, Reply
from llm_sync.models.requests import ROLES, Message, ModelRequest, ToolCall, request_hash
from llm_sync.models.responses import FINISH_REASONS, Adjustment, ModelListing, ModelResponse, UnusableResponse, Usage

__all__ = [
    "FINISH_REASONS",
    "ROLES",
    "Adjustment",
    "AttemptOptions",
    "Message",
    "ModelListing",
    "ModelRequest",
    "ModelResponse",
    "Reply",
    "ToolCall",
    "UnusableResponse",
    "Usage",
    "request_hash",
]
