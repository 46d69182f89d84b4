"""The HTTP exchanges of one provider's jobs: with its address, headers and key, and its errors as everywhere."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol
from urllib.parse import urlsplit, urlunsplit

from llm_sync.errors import LLMConnectorError, ProviderError, ResponseValidationError
from llm_sync.models import Reply

if TYPE_CHECKING:
    from llm_sync.providers.base import LLMProvider
    from llm_sync.runtime.cancellation import CallControl

MAX_RESULT_BYTES = 4 << 30  # of one result file, which goes to the disk
_BYTES_PER_SECOND = 100_000  # a slow line: how long files may take
_MIN_TIMEOUT_S = 120.0  # creates take as long as a server needs to read its file
_DOWNLOAD_S = 3600.0
_MAX_TEXT = 400


class Transfers(Protocol):
    """The HTTP client of a provider."""

    def transfer(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        body: Any = None,
        into: BinaryIO | None = None,
        max_bytes: int = 0,
        timeout: float,
        control: CallControl | None = None,
        fresh: bool = False,
    ) -> Reply:
        """One exchange, with files as HTTPClient.transfer takes them."""


class JobDoor:
    """``http``: the provider's HTTP client; ``control`` aborts the exchange that is made. One thread at a time makes calls."""

    def __init__(self, provider: LLMProvider, http: Transfers, control: CallControl) -> None:
        self.provider = provider
        self.control = control
        self._http = http

    def url(self, path: str, query: Mapping[str, str] | None = None, *, model: str = "") -> str:
        """The URL of a path below base_url; the deployment that Azure's classic address has in it is left out."""
        return self.provider.dialect.joined_url(path, model, query or {}).replace("/deployments//", "/", 1)

    def url_beside(self, root: str, path: str) -> str:
        """The URL of a path where ``root`` stands before the path of base_url (``/upload`` before ``/v1beta``)."""
        parts = urlsplit(self.url(path))
        base = urlsplit(self.provider.dialect.base_url()).path.rstrip("/")
        own, version = base.rsplit("/", 1) if "/" in base else ("", base)
        rest = parts.path.removeprefix(base)
        return urlunsplit(parts._replace(path=f"{own}{root}/{version}{rest}"))

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        value: Any = None,
        model: str = "",
        fresh: bool = False,
    ) -> Any:
        """An exchange of JSON; the value of the answer, None for an empty one. ``fresh``: over a new connection.

        Raises LLMConnectorError for everything that is no good answer.
        """
        body = None if value is None else json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")
        return self.read(self.exchange(method, self.url(path, query, model=model), body=body, fresh=fresh))

    def look(self, path: str) -> tuple[Any, float | None]:
        """GET the state of a job, and the seconds that the answer asks to wait."""
        reply = self.exchange("GET", self.url(path))
        return self.read(reply), _seconds(reply.headers.get("retry-after"))

    def upload(self, path: str, fields: Mapping[str, str], name: str, file: BinaryIO) -> Any:
        """POST a form with a file, which is sent in pieces; the value of the answer."""
        boundary = os.urandom(16).hex()
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n' for key, text in fields.items()
        ]
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n')
        parts.append("Content-Type: application/jsonl\r\n\r\n")
        body = ("".join(parts).encode("ascii"), file, f"\r\n--{boundary}--\r\n".encode("ascii"))
        kind = f"multipart/form-data; boundary={boundary}"
        return self.read(self.exchange("POST", self.url(path), body=body, headers={"Content-Type": kind}))

    def download(self, url: str, into: BinaryIO) -> None:
        """GET a file into another one. It ends with a line end then."""
        start = into.seek(0, os.SEEK_END)
        reply = self.exchange("GET", url, headers={"Accept": "*/*"}, into=into)
        if reply.status >= 300:
            self.read(reply)
        if into.seek(0, os.SEEK_END) > start:
            into.seek(-1, os.SEEK_END)
            if into.read(1) != b"\n":
                into.write(b"\n")

    def exchange(
        self,
        method: str,
        url: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        into: BinaryIO | None = None,
        fresh: bool = False,
    ) -> Reply:
        """One exchange; after a 401 for a key that can be renewed, once more with a new one. Raises what the transport raises."""
        timeout = _DOWNLOAD_S if into is not None else self._timeout(body)
        credential = self.provider.credential.get()

        def send(proof: Mapping[str, str]) -> Reply:
            return self._http.transfer(
                method,
                url,
                {**self._headers(), **(headers or {}), **proof, **self.provider.config.headers},
                body=body,
                into=into,
                max_bytes=MAX_RESULT_BYTES,
                timeout=timeout,
                control=self.control,
                fresh=fresh,
            )

        proof = credential.headers()
        reply = send(proof)
        return send(credential.headers()) if reply.status == 401 and credential.renew(proof) else reply

    def read(self, reply: Reply) -> Any:
        """The value of an answer. Raises the error that it is instead, with the key made unreadable."""
        try:
            if reply.status >= 300:
                raise self.provider.reader.error(reply)
            if not reply.content.strip():
                return None
            return json.loads(reply.content)
        except LLMConnectorError as error:
            self.provider.credential.redactor().error(error)
            error.provider = error.provider or self.provider.name
            raise
        except (ValueError, RecursionError):
            pass
        raise ProviderError("the answer about a job is not JSON", provider=self.provider.name, status=reply.status)

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", "Accept": "application/json", **self.provider.dialect.fixed_headers}

    def _timeout(self, body: Any) -> float:
        parts = body if isinstance(body, tuple) else (body or b"",)
        size = sum(len(part) if isinstance(part, bytes) else part.seek(0, os.SEEK_END) for part in parts)
        return max(_MIN_TIMEOUT_S, self.provider.config.attempts.timeout) + size / _BYTES_PER_SECOND


def member(value: Any, *names: str) -> Any:
    """A member of nested objects; None where one of them is missing or no object."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def required(value: Any, name: str) -> str:
    """A text that an answer must have. Raises ResponseValidationError, which quotes no value: it might repeat the key."""
    found = member(value, name)
    if not isinstance(found, str) or not found:
        there = f"it has {', '.join(map(str, value)) or 'no field'}" if isinstance(value, dict) else "it is no object"
        raise ResponseValidationError(f"the answer about a job has no {name}: {there[:_MAX_TEXT]}")
    return found


def _seconds(value: str | None) -> float | None:
    """The seconds of a Retry-After; None for a date, or without any."""
    try:
        seconds = float(value or "nan")
    except ValueError:
        return None
    return seconds if 0 <= seconds <= 86400 else None
