"""The simulator's vectors: of length 1, the same for the same text, model and number of dimensions."""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Sequence
from hashlib import shake_256
from typing import NamedTuple

from llm_sync.simulator.answers.tokens import count_tokens


class EmbeddingModel(NamedTuple):
    """``dimensions``: without a choice; ``choices``: those that may be asked for (None: any up to ``dimensions``; (): none).

    ``window``: the most tokens of a text.
    """

    dimensions: int
    choices: tuple[int, ...] | None
    window: int


# name and model, first match wins
_MODELS = (
    (re.compile(r"text-embedding-ada"), EmbeddingModel(1536, (), 8192)),
    (re.compile(r"text-embedding-3-large"), EmbeddingModel(3072, None, 8192)),
    (re.compile(r"text-embedding-3"), EmbeddingModel(1536, None, 8192)),
    (re.compile(r"gemini-embedding"), EmbeddingModel(3072, None, 2048)),
    (re.compile(r"text-embedding-00|embedding-001"), EmbeddingModel(768, None, 2048)),
    (re.compile(r"mistral-embed"), EmbeddingModel(1024, (), 8192)),
    (re.compile(r"codestral-embed"), EmbeddingModel(1536, None, 8192)),
    (re.compile(r"voyage"), EmbeddingModel(1024, (256, 512, 1024, 2048), 32_000)),
    (re.compile(r"embed-v4"), EmbeddingModel(1536, (256, 512, 1024, 1536), 128_000)),
    (re.compile(r"embed-"), EmbeddingModel(1024, (), 512)),
)
_OTHER = EmbeddingModel(384, None, 8192)


def embedding_model(name: str) -> EmbeddingModel:
    """What is known of a model by its name."""
    return next((model for pattern, model in _MODELS if pattern.search(name)), _OTHER)


def text_tokens(texts: Sequence[str | list[int]]) -> list[int]:
    """The tokens of each text; a text may come as tokens."""
    return [len(text) if isinstance(text, list) else max(1, count_tokens(text)) for text in texts]


def unit_vector(text: str | list[int], model: str, dimensions: int) -> tuple[float, ...]:
    """The vector of a text: numbers of single precision, so that every way to write them gives the same."""
    seed = f"{model}\0{text}".encode("utf-8", "surrogatepass")
    numbers = struct.unpack(f"<{dimensions}h", shake_256(seed).digest(2 * dimensions))
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return struct.unpack(f"<{dimensions}f", struct.pack(f"<{dimensions}f", *(number / length for number in numbers)))


def written(vector: Sequence[float], encoding: str | None) -> str | list[float]:
    """A vector as JSON has it: base64 of little-endian numbers, or the numbers in as few digits as single precision needs."""
    if encoding == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return [float(f"{number:.9g}") for number in vector]
