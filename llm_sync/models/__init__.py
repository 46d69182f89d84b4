"""What goes in and what comes out: frozen dataclasses shared by every room.

All of them are immutable after construction and may be shared between threads; nobody changes the dicts inside them
(``provider_specific``, ``metadata`` …). Names are imported on first use: the command line's parser reads the table of fields
without the rest.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for True; typing itself costs as much as a bare start of Python
if TYPE_CHECKING:
    from llm_sync.models.attempts import AttemptOptions, LimitLeft, RateLimits, Reply
    from llm_sync.models.listing import ModelListing
    from llm_sync.models.messages import ROLES, Message
    from llm_sync.models.parts import Part
    from llm_sync.models.prepared import AdjustmentNotice, PreparedRequest
    from llm_sync.models.requests import ModelRequest, request_hash
    from llm_sync.models.responses import FINISH_REASONS, Adjustment, ModelResponse, ToolCall, UnusableResponse, Usage

_MODULES = {
    "attempts": ("AttemptOptions", "LimitLeft", "RateLimits", "Reply"),
    "listing": ("ModelListing",),
    "prepared": ("AdjustmentNotice", "PreparedRequest"),
    "messages": ("ROLES", "Message"),
    "parts": ("Part",),
    "requests": ("ModelRequest", "request_hash"),
    "responses": ("FINISH_REASONS", "Adjustment", "ModelResponse", "ToolCall", "UnusableResponse", "Usage"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
__all__ = [
    "FINISH_REASONS",
    "ROLES",
    "Adjustment",
    "AdjustmentNotice",
    "AttemptOptions",
    "LimitLeft",
    "Message",
    "ModelListing",
    "ModelRequest",
    "ModelResponse",
    "Part",
    "PreparedRequest",
    "RateLimits",
    "Reply",
    "ToolCall",
    "UnusableResponse",
    "Usage",
    "request_hash",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
