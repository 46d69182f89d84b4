"""Which requests are equal: those that send the same bytes to the same model at the same address."""

from __future__ import annotations

import re
from hashlib import sha256

from llm_sync.models import PreparedRequest

KEY = re.compile(r"([0-9a-f]{64})(?:-([1-9][0-9]{0,8}))?", re.ASCII)
"""A key: the digest of a request, and behind a dash the number of the sample, if it is not the first one."""
_DIGEST = "_digest"  # no field of PreparedRequest: copies with other values do not have it


def request_digest(prepared: PreparedRequest) -> str:
    """64 hexadecimal digits, equal exactly where dialect, address (without credentials), model and body are equal.

    Remembered with the request, which is immutable: its caller and its worker both ask for it.
    """
    values = vars(prepared)
    digest: str | None = values.get(_DIGEST)
    if digest is None:
        digest = values[_DIGEST] = digest_of(prepared.dialect, prepared.url, prepared.model, prepared.body)
    return digest


def digest_of(dialect: str, url: str, model: str, body: bytes) -> str:
    """The same from the parts."""
    texts = [part.encode("utf-8", "surrogatepass") for part in (dialect, url, model)]
    return sha256(b"".join([*(b"%d:%b" % (len(text), text) for text in texts), body])).hexdigest()


def key_of(prepared: PreparedRequest) -> str:
    """The digest, with the number of the sample."""
    return sample_key(request_digest(prepared), prepared.sample)


def sample_key(digest: str, sample: int) -> str:
    """The key of one sample."""
    return f"{digest}-{sample}" if sample else digest
