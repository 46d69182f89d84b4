"""AWS's Signature Version 4: a request's method, URL, body and time, signed with a secret that is not sent.

Imported where AWS access keys sign requests; Bedrock's API keys need no signature.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_PORTS = {"https": 443, "http": 80}


class AccessKeys(NamedTuple):
    """A key pair of AWS; ``token``: of temporary ones."""

    access_key: str
    secret_key: str
    token: str | None = None


def signed_headers(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    keys: AccessKeys,
    *,
    region: str,
    service: str,
    at: float,
) -> dict[str, str]:
    """``headers`` and those that sign them. ``at``: the time in seconds since 1970; AWS refuses it when it is minutes off.

    ``url`` as it is sent: AWS encodes its path once more before it compares, so that it has to be encoded here twice.
    The headers Content-Type, Host and all that begin with X-Amz- are signed: proxies may change the others on the way.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    sent = {**headers, "X-Amz-Date": stamp}
    if keys.token:
        sent["X-Amz-Security-Token"] = keys.token
    covered = {"host": _host(url)}
    for name, value in sent.items():
        if name.lower() == "content-type" or name.lower().startswith("x-amz-"):
            covered[name.lower()] = " ".join(str(value).split())
    names = ";".join(sorted(covered))
    lines = [method, _path(url), _query(url), *(f"{name}:{covered[name]}" for name in sorted(covered)), "", names]
    canonical = "\n".join([*lines, hashlib.sha256(body or b"").hexdigest()])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(_signing_key(keys.secret_key, stamp[:8], region, service), text.encode(), hashlib.sha256).hexdigest()
    proof = f"{_ALGORITHM} Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**sent, "Authorization": proof}


@lru_cache(maxsize=8)  # one a day, region and secret
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _host(url: str) -> str:
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode() if not (parts.hostname or "").isascii() else parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, _PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def _path(url: str) -> str:
    return quote(urlsplit(url).path or "/", safe="/-_.~")


def _query(url: str) -> str:
    fields = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in fields)
    return "&".join(f"{name}={value}" for name, value in encoded)
