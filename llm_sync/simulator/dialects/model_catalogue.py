"""The models that each simulated provider lists, and their token limits.

Other names are served, too, without limits, so that any configuration can be tried. Refused are names that say they are unknown,
and misspelt listed names.
"""

from __future__ import annotations

import difflib
import functools
import re
from typing import NamedTuple


class ModelLimits(NamedTuple):
    """In tokens: the context window, and the largest output that may be requested."""

    window: int
    output: int


# name or prefix, first match wins
_LIMITS = {
    "openai": (
        ("gpt-4o", ModelLimits(128_000, 16_384)),
        ("chatgpt-4o", ModelLimits(128_000, 16_384)),
        ("gpt-4.1", ModelLimits(1_047_576, 32_768)),
        ("gpt-4-turbo", ModelLimits(128_000, 4_096)),
        ("gpt-4", ModelLimits(8_192, 8_192)),
        ("gpt-3.5", ModelLimits(16_385, 4_096)),
        ("gpt-5", ModelLimits(400_000, 128_000)),
        ("o1", ModelLimits(200_000, 100_000)),
        ("o3", ModelLimits(200_000, 100_000)),
        ("o4", ModelLimits(200_000, 100_000)),
    ),
    "anthropic": (
        ("claude-3-5-haiku", ModelLimits(200_000, 8_192)),
        ("claude-3-5", ModelLimits(200_000, 8_192)),
        ("claude-3-7", ModelLimits(200_000, 64_000)),
        ("claude-3", ModelLimits(200_000, 4_096)),
        ("claude-opus-4-0", ModelLimits(200_000, 32_000)),
        ("claude-opus-4-1", ModelLimits(200_000, 32_000)),
        ("claude-opus-4-2", ModelLimits(200_000, 32_000)),
        ("claude-opus-4-5", ModelLimits(200_000, 64_000)),
        ("claude-haiku", ModelLimits(200_000, 64_000)),
        ("claude-sonnet-4", ModelLimits(200_000, 64_000)),
        ("claude-", ModelLimits(1_000_000, 128_000)),
    ),
    "gemini": (
        ("gemini-2.0", ModelLimits(1_048_576, 8_192)),
        ("gemini-", ModelLimits(1_048_576, 65_536)),
        ("gemma-", ModelLimits(131_072, 8_192)),
    ),
}
_LIMITS["bedrock"] = (
    *((f"anthropic.{name}", limits) for name, limits in _LIMITS["anthropic"]),
    ("amazon.nova-micro", ModelLimits(128_000, 5_120)),
    ("amazon.nova-2", ModelLimits(1_000_000, 65_536)),
    ("amazon.nova", ModelLimits(300_000, 5_120)),
    ("amazon.titan-text-express", ModelLimits(8_192, 8_192)),
    ("openai.gpt-oss", ModelLimits(128_000, 16_384)),
)
_LIMITS["openrouter"] = tuple(
    (f"{maker}/{name}", limits)
    for maker, provider in (("openai", "openai"), ("anthropic", "anthropic"), ("google", "gemini"))
    for name, limits in _LIMITS[provider]
)

_LISTED = {
    "openai": """
        gpt-4o-mini gpt-4o-mini-2024-07-18 gpt-4o gpt-4o-2024-08-06 gpt-4.1 gpt-4.1-mini gpt-4.1-nano gpt-4-turbo gpt-4
        gpt-3.5-turbo gpt-5 gpt-5-2025-08-07 gpt-5-mini gpt-5-nano gpt-5-chat-latest gpt-5.1 gpt-5.2 gpt-5-pro gpt-5-codex
        gpt-5.2-pro gpt-5.4 gpt-5.4-mini gpt-5.5 gpt-5.6 o1 o3 o3-mini o4-mini o3-pro text-embedding-3-small
        text-embedding-3-large omni-moderation-latest gpt-image-1 whisper-1 tts-1 gpt-realtime
        """,
    "anthropic": """
        claude-opus-5 claude-sonnet-5 claude-fable-5 claude-mythos-5 claude-opus-4-8 claude-opus-4-7 claude-opus-4-6
        claude-sonnet-4-6 claude-opus-4-5-20251101 claude-haiku-4-5-20251001 claude-sonnet-4-5-20250929
        claude-opus-4-1-20250805 claude-opus-4-20250514 claude-sonnet-4-20250514 claude-3-7-sonnet-20250219
        claude-3-5-sonnet-20241022 claude-3-5-haiku-20241022 claude-3-5-sonnet-20240620 claude-3-opus-20240229
        claude-3-sonnet-20240229 claude-3-haiku-20240307
        """,
    "gemini": """
        gemini-2.5-flash gemini-2.5-pro gemini-2.5-flash-lite gemini-2.5-flash-image gemini-2.5-flash-preview-tts
        gemini-2.5-pro-preview-tts gemini-2.0-flash gemini-2.0-flash-001 gemini-2.0-flash-lite gemini-2.0-flash-lite-001
        gemini-2.0-flash-exp gemini-3-pro-preview gemini-3-flash-preview gemini-3-pro-image-preview gemini-3.6-flash
        gemini-3.7-flash gemini-flash-latest gemini-flash-lite-latest gemini-pro-latest gemini-robotics-er-1.5-preview
        gemini-2.5-computer-use-preview gemini-2.5-flash-native-audio-latest gemini-2.0-flash-live-001
        gemini-live-2.5-flash-preview gemini-exp-1206 gemma-3-1b-it gemma-3-4b-it gemma-3-12b-it gemma-3-27b-it
        gemma-3n-e4b-it gemma-3n-e2b-it gemma-4-12b-it gemma-4-27b-it embedding-001 text-embedding-004 gemini-embedding-exp
        gemini-embedding-001 gemini-embedding-002 aqa imagen-3.0-generate-002 imagen-4.0-generate-001
        imagen-4.0-ultra-generate-001 imagen-4.0-fast-generate-001 veo-2.0-generate-001 veo-3.0-generate-001
        veo-3.0-fast-generate-001 veo-3.1-generate-preview veo-3.1-fast-generate-preview lyria-realtime-exp lyria-2
        learnlm-2.0-flash-experimental deep-research-pro-preview gemini-3-deep-think-preview nano-banana
        """,
    "openrouter": """
        openai/gpt-4o-mini openai/gpt-4o openai/gpt-4.1-mini openai/gpt-5-mini anthropic/claude-sonnet-4.5
        anthropic/claude-haiku-4.5 google/gemini-2.5-flash google/gemini-2.5-pro meta-llama/llama-3.3-70b-instruct
        mistralai/mistral-small-3.2-24b-instruct deepseek/deepseek-chat-v3.1 qwen/qwen3-30b-a3b-instruct-2507
        moonshotai/kimi-k2-0905 z-ai/glm-4.6 x-ai/grok-4
        """,
    "bedrock": """
        us.anthropic.claude-haiku-4-5-20251001-v1:0 us.anthropic.claude-sonnet-4-5-20250929-v1:0
        global.anthropic.claude-sonnet-4-5-20250929-v1:0 eu.anthropic.claude-haiku-4-5-20251001-v1:0
        us.amazon.nova-2-lite-v1:0 us.amazon.nova-lite-v1:0 us.amazon.nova-micro-v1:0 us.deepseek.r1-v1:0
        anthropic.claude-haiku-4-5-20251001-v1:0 anthropic.claude-3-haiku-20240307-v1:0
        anthropic.claude-3-sonnet-20240229-v1:0 amazon.nova-lite-v1:0 amazon.nova-micro-v1:0 amazon.nova-2-lite-v1:0
        amazon.titan-text-express-v1 amazon.titan-embed-text-v2:0 openai.gpt-oss-120b-1:0 openai.gpt-oss-20b-1:0
        qwen.qwen3-32b-v1:0 mistral.mistral-large-2402-v1:0 meta.llama3-8b-instruct-v1:0
        """,
}

LISTED: dict[str, tuple[str, ...]] = {provider: tuple(names.split()) for provider, names in _LISTED.items()}

# the dated name that an answer to a short name contains
DATED_NAMES = {
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "o3-mini": "o3-mini-2025-01-31",
    "o4-mini": "o4-mini-2025-04-16",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-opus-4-5": "claude-opus-4-5-20251101",
    "claude-opus-4-1": "claude-opus-4-1-20250805",
    "claude-sonnet-4-0": "claude-sonnet-4-20250514",
    "claude-opus-4-0": "claude-opus-4-20250514",
    "claude-3-7-sonnet-latest": "claude-3-7-sonnet-20250219",
    "claude-3-5-haiku-latest": "claude-3-5-haiku-20241022",
    "gemini-flash-latest": "gemini-3.6-flash",
    "gemini-pro-latest": "gemini-3-pro-preview",
}


_UNKNOWN_PHRASES = ("no-such", "does-not-exist", "not-found", "not-real", "made-up")
_UNKNOWN_WORDS = frozenset(
    ("nope", "none", "nonexistent", "nonexisting", "unknown", "bogus", "invalid", "missing", "fake", "typo")
)
_MIN_SIMILARITY = 0.75  # difflib's ratio from which a word counts as a misspelling: "sonet", "flahs", "trubo"


@functools.lru_cache(maxsize=1024)
def is_unknown_model(provider: str, name: str) -> bool:
    """Whether a provider refuses a model of this name: the name says so, or is a listed one with one word misspelt.

    A word that is listed elsewhere, or contains a digit, is no misspelling: ``gpt-4o-nano`` and ``gpt-5.9`` may be models.
    """
    pieces = _PIECE.findall(name)
    if any(word in name for word in _UNKNOWN_PHRASES) or not _UNKNOWN_WORDS.isdisjoint(pieces):
        return True
    listed = (*LISTED[provider], *DATED_NAMES)
    if name in listed:
        return False
    return any(_is_misspelling(pieces, _PIECE.findall(other)) for other in listed)


def _is_misspelling(pieces: list[str], listed: list[str]) -> bool:
    """Whether all pieces but one are equal, and that one is similar to the listed piece without being a known word."""
    if len(pieces) != len(listed):
        return False
    odd = [(piece, other) for piece, other in zip(pieces, listed, strict=True) if piece != other]
    if len(odd) != 1 or odd[0][0] in _WORDS or not (odd[0][0] + odd[0][1]).isalpha():
        return False
    return difflib.SequenceMatcher(None, *odd[0]).ratio() >= _MIN_SIMILARITY


_PIECE = re.compile(r"[^-./:@]+")
_WORDS = frozenset(word for names in LISTED.values() for name in names for word in _PIECE.findall(name))


def model_limits(provider: str, model: str) -> ModelLimits | None:
    """The limits of a model; None for a name without known limits."""
    return next((limits for prefix, limits in _LIMITS[provider] if model.startswith(prefix)), None)
