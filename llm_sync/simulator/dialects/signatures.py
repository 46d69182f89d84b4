"""Signatures of reasoning and calls: the simulator's models make their own, and refuse those of another model."""

from __future__ import annotations

import base64
import zlib

_MARK = b"simulated:"


def sign(model: str, number: int) -> str:
    """A signature of ``model``, in base64; ``number`` makes it different from others."""
    return base64.b64encode(_MARK + b"%08x:%016x" % (zlib.crc32(model.encode()), number)).decode()


def is_good(signature: object, model: str) -> bool:
    """Whether ``model`` takes the signature: it made it, or a real provider did (of a recorded answer)."""
    if not isinstance(signature, str) or not signature:
        return False
    try:
        content = base64.b64decode(signature, validate=True)
    except ValueError:
        return True
    return not content.startswith(_MARK) or content.startswith(_MARK + b"%08x:" % zlib.crc32(model.encode()))
