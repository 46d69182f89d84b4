"""The body of generateContent: candidates, parts, finish reasons and usage metadata."""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.generated import Answer
from llm_sync.simulator.dialects.model_catalogue import DATED_NAMES
from llm_sync.simulator.dialects.signatures import sign

# In the order of the proto's enum, because clients may ask for enums as integers.
FINISH_WORDS = (
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "IMAGE_PROHIBITED_CONTENT",
    "NO_IMAGE",
    "IMAGE_RECITATION",
    "IMAGE_OTHER",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
    "ESCALATION",
    "PUP_LIMITED_DISABLED",
    "CONTINUATION",
    "MODEL_ARMOR",
)
_WORDS = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "other": "FINISH_REASON_UNSPECIFIED",
}
# A refusal may begin with "prompt: " and with a reason of Gemini: "prompt: PROHIBITED_CONTENT", "RECITATION: as in …".
_BLOCK = re.compile(r"(prompt: )?(?:([A-Z][A-Z_]{3,})(?:: |$))?(.*)", re.DOTALL)
_THOUGHT = "A short answer that names the prompt will do."


def content(
    model: str, answer: Answer, prompt: int, *, show_thoughts: bool = False, whole_numbers: bool = False
) -> tuple[dict[str, Any], tuple[int, int]]:
    """The body and its tokens (input, output); ``whole_numbers``: write enums as integers."""
    parts = _parts(model, answer, show_thoughts) if answer.refusal is None else []
    prompt = answer.input_tokens(prompt)
    # a tool call cut by the limit is dropped; candidatesTokenCount is absent, not 0, if nothing was generated
    visible = answer.output_tokens - answer.reasoning_tokens if parts else 0
    usage: dict[str, Any] = {"promptTokenCount": prompt}
    if visible:
        usage["candidatesTokenCount"] = visible
    usage["totalTokenCount"] = prompt + visible + answer.reasoning_tokens
    cached = answer.cached_tokens(prompt * 3 // 4 if prompt >= 2048 and answer.digest % 2 else 0)
    if cached:
        usage["cachedContentTokenCount"] = cached
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": prompt}]
    if answer.reasoning_tokens:
        usage["thoughtsTokenCount"] = answer.reasoning_tokens
    usage["serviceTier"] = "standard"
    block = _BLOCK.fullmatch(answer.refusal) if answer.refusal else None
    whose, word, message = block.groups() if block else (None, None, None)
    body = {
        "usageMetadata": usage,
        "modelVersion": answer.model or DATED_NAMES.get(model, model),
        "responseId": base64.urlsafe_b64encode(random.getrandbits(128).to_bytes(16, "big")).decode().rstrip("="),
    }
    if whose:  # the prompt is blocked, so there are no candidates
        feedback = {"blockReason": word or "OTHER", **({"blockReasonMessage": message} if message else {})}
        return {"promptFeedback": feedback, **body}, (prompt, 0)
    word = word or _finish_word(answer)
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"} if parts else {"role": "model"}}
    if word == "SAFETY":
        candidate |= {"content": {}, "safetyRatings": _ratings(whole_numbers)}
    if word:
        candidate["finishReason"] = FINISH_WORDS.index(word) if whole_numbers and word in FINISH_WORDS else word
    if message:
        candidate["finishMessage"] = message
    return {"candidates": [{**candidate, "index": 0}], **body}, (prompt, visible + answer.reasoning_tokens)


def _finish_word(answer: Answer) -> str | None:
    if answer.raw_finish_reason in FINISH_WORDS:
        return answer.raw_finish_reason
    if answer.refusal is not None:
        return "SAFETY"
    return _WORDS.get(answer.finish_reason, answer.finish_reason)


def _parts(model: str, answer: Answer, show_thoughts: bool) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if answer.thinking or (show_thoughts and answer.reasoning_tokens):
        parts.append({"text": answer.thinking or _THOUGHT, "thought": True})
    if answer.text:
        parts.append({"text": answer.text})
    signed = model.startswith("gemini-3")
    for call in answer.tool_calls:
        if call.arguments is None:
            continue
        part: dict[str, Any] = {"functionCall": {"name": call.name, "args": call.arguments}}
        if signed:  # only the first of several calls has a signature
            part["thoughtSignature"] = sign(model, answer.digest)
            signed = False
        parts.append(part)
    return parts


def _ratings(whole_numbers: bool) -> list[Mapping[str, Any]]:
    harm: tuple[object, object] = (10, 4) if whole_numbers else ("HARM_CATEGORY_DANGEROUS_CONTENT", "HIGH")
    return [{"category": harm[0], "probability": harm[1], "blocked": True}]
