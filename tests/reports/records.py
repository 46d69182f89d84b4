"""Records as outputs have them."""

from __future__ import annotations

from typing import Any


def answer(index: int, text: str = "yes", **values: Any) -> dict[str, Any]:
    """A record of an answer; ``values`` replace keys of the record, or of its response."""
    response = {
        "text": text,
        "model": "m-1",
        "finish_reason": "stop",
        "usage": {"input_tokens": 3, "output_tokens": 2},
        "timestamp": f"2026-01-01T00:00:{index % 60:02}+00:00",
        "latency_ms": 100.0 + index,
        "attempts": 1,
        "cost_estimate": 0.5,
        "metadata": {},
        "truncated": False,
        "cached": False,
    }
    record = {"id": f"q{index}", "index": index, "provider": "p", "model": "m", "response": response, "error": None}
    for name, value in values.items():
        (response if name in response else record)[name] = value
    return record


def failure(index: int, kind: str = "RateLimitError", **values: Any) -> dict[str, Any]:
    """A record of a failure."""
    error = {"type": kind, "message": f"{kind}!", "text": None}
    record = {"id": f"q{index}", "index": index, "provider": "p", "model": "m", "response": None, "error": error}
    return {**record, **values}
