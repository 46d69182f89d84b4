"""``POST /models/MODEL:countTokens``: the tokens of a request that is not answered."""

from __future__ import annotations

from typing import Any

from llm_sync.simulator.answers.tokens import count_json_tokens
from llm_sync.simulator.dialects.base import Call
from llm_sync.simulator.dialects.gemini import checks
from llm_sync.simulator.dialects.gemini.contents import read_contents

_WHOLE = ("generateContentRequest", "generate_content_request")
_ON_CLOUD = {"contents", "systemInstruction", "system_instruction", "tools", "generationConfig", "generation_config", "model"}


def tokens(call: Call, refuse: Any, *, on_cloud: bool) -> int:
    """The count; ``refuse`` raises what is wrong with the payload.

    The Developer API takes ``contents`` alone, or a whole request; Google Cloud takes the parts of a request.
    """
    payload = dict(call.payload)
    whole = None if on_cloud else next((payload.pop(name) for name in _WHOLE if name in payload), None)
    known = _ON_CLOUD if on_cloud else {"contents"}
    for name in payload:
        if name not in known:
            refuse(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
    if whole is not None:
        if payload:
            refuse("Only one of contents and generate_content_request may be set.")
        if not isinstance(whole, dict) or whole.get("model") not in (f"models/{call.model}", call.model):
            refuse("The model of generate_content_request must be the one of the path.")
        payload = whole
    payload = {name: value for name, value in payload.items() if name != "model"}
    _, prompt = read_contents(checks.read_request(payload, call.model, refuse), refuse)
    return int(prompt) + count_json_tokens(payload.get("tools"))
