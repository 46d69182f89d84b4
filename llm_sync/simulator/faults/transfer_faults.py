"""Actions that change how a response is transferred: damaged bytes, encoding, speed, and broken connections."""

from __future__ import annotations

import functools
import gzip
import struct
import zlib
from abc import abstractmethod
from typing import Any, ClassVar

from llm_sync.simulator.faults.actions import ONLY_TRUE, SECONDS, ResponseAction, Schema, mapping, true_or
from llm_sync.simulator.faults.context import RequestContext
from llm_sync.simulator.server import delivery
from llm_sync.simulator.server.response import Response, with_headers

_BLOCK = 2**20
_DEFAULT_BOMB = 64  # MiB, twice the limit of llm-sync's client
_RATE: Schema = {
    "type": "number",
    "required": True,
    "min": 0.001,
    "check_with": "finite",
    "meta": {"expected": "bytes per second, more than 0"},
}


class TransferFault(ResponseAction):
    """A fault of the whole response, whatever its content."""

    def apply(self, context: RequestContext, previous: Response | None) -> Response:
        """Changes the previous response, or the normal one."""
        return self.transform(context.normal_response() if previous is None else previous)

    @abstractmethod
    def transform(self, response: Response) -> Response:
        """The changed response."""


class MalformedJson(TransferFault):
    """The body is not valid JSON."""

    name = "malformed_json"
    schema: ClassVar[Schema] = true_or("string", "cut or trailing", allowed=["cut", "trailing"])

    def transform(self, response: Response) -> Response:
        """Removes the last third, or appends a fragment."""
        content = response.content()
        if self.setting == "trailing":
            return response._replace(body=content + b'{"more":')
        return response._replace(body=content[: max(1, len(content) * 2 // 3)])


class Whitespace(TransferFault):
    """White space before the body."""

    name = "whitespace"
    short = "blanks"
    schema: ClassVar[Schema] = mapping(
        "a number of blanks, or a mapping with times and every",
        blanks={"type": "integer", "min": 1, "max": 2**24, "meta": {"expected": "a number of blanks from 1 to 16777216"}},
        times={"type": "integer", "min": 1, "max": 2**20, "meta": {"expected": "a number of chunks, 1 or more"}},
        every=SECONDS,
    )

    def transform(self, response: Response) -> Response:
        """All at once, or in chunks from time to time."""
        if "times" in self.setting:
            return response._replace(delivery=delivery.Padded(self.setting["times"], float(self.setting["every"])))
        blanks = self.setting["blanks"]
        repeats = blanks // len(delivery.WHITESPACE) + 1
        return response._replace(body=(delivery.WHITESPACE * repeats)[:blanks].encode() + response.content())


class Gzip(TransferFault):
    """A compressed body, whatever the request accepts."""

    name = "gzip"
    schema = ONLY_TRUE

    def transform(self, response: Response) -> Response:
        """Compresses the body and sets Content-Encoding."""
        headers = with_headers(response.headers, {"content-encoding": "gzip"})
        return response._replace(body=gzip.compress(response.content(), 6, mtime=0), headers=headers)


class GzipBomb(TransferFault):
    """A small body that decompresses to a huge one."""

    name = "gzip_bomb"
    short = "mebibytes"
    schema: ClassVar[Schema] = mapping(
        f"true, or MiB of blanks ({_DEFAULT_BOMB})",
        mebibytes={"type": "integer", "min": 1, "max": 4096, "meta": {"expected": "a number of MiB from 1 to 4096"}},
    )

    def transform(self, response: Response) -> Response:
        """Replaces the body by compressed white space; keeps the status."""
        content = gzip_bomb(self.setting.get("mebibytes", _DEFAULT_BOMB))
        return response._replace(body=content, headers=with_headers(response.headers, {"content-encoding": "gzip"}))


class DeliveryFault(TransferFault):
    """A fault that is a delivery of its own (server/delivery.py)."""

    def __init__(self, setting: Any) -> None:
        super().__init__(setting)
        self.delivery = self.make_delivery()

    @abstractmethod
    def make_delivery(self) -> delivery.Delivery:
        """The delivery, made from the setting."""

    def transform(self, response: Response) -> Response:
        """Sets the delivery."""
        return response._replace(delivery=self.delivery)


class ConnectionRefused(DeliveryFault):
    """Connections are refused for a while."""

    name = "connection_refused"
    schema: ClassVar[Schema] = {**SECONDS, "min": 0.001, "meta": {"expected": "seconds, more than 0"}}

    def make_delivery(self) -> delivery.Delivery:
        """The setting is the time in seconds."""
        return delivery.Refusing(float(self.setting))


class Reset(DeliveryFault):
    """The connection is reset."""

    name = "reset"
    short = "when"
    schema: ClassVar[Schema] = mapping(
        "before_status, mid_headers, mid_body, or a mapping with after_bytes",
        when={
            "type": "string",
            "allowed": ["before_status", "mid_headers", "mid_body"],
            "meta": {"expected": "before_status, mid_headers or mid_body"},
        },
        after_bytes={"type": "integer", "min": 0, "meta": {"expected": "bytes of the body, 0 or more"}},
    )

    def make_delivery(self) -> delivery.Delivery:
        """By default within the body."""
        return delivery.Reset(self.setting.get("when", "mid_body"), self.setting.get("after_bytes"))


class Drip(DeliveryFault):
    """The response is sent very slowly."""

    name = "drip"
    short = "bytes_per_second"
    schema: ClassVar[Schema] = mapping(
        "bytes per second, or a mapping with bytes_per_second and start",
        bytes_per_second=_RATE,
        start={"type": "string", "allowed": ["status", "body"], "meta": {"expected": "status or body"}},
    )

    def make_delivery(self) -> delivery.Delivery:
        """By default only the body is slow."""
        return delivery.Drip(float(self.setting["bytes_per_second"]), self.setting.get("start", "body") == "body")


class Silence(DeliveryFault):
    """Nothing more is sent."""

    name = "silence"
    short = "after"
    schema: ClassVar[Schema] = mapping(
        "true, after what (request, headers or body), or a mapping with after and seconds",
        after={
            "type": "string",
            "allowed": ["request", "headers", "body"],
            "meta": {"expected": "request, headers, or body (half of it)"},
        },
        seconds=SECONDS,
    )

    def make_delivery(self) -> delivery.Delivery:
        """For ever, or for some seconds, after which the connection is closed."""
        return delivery.Silent(self.setting.get("after", "request"), self.setting.get("seconds"))


class WrongLength(DeliveryFault):
    """A wrong Content-Length."""

    name = "wrong_length"
    schema: ClassVar[Schema] = {"type": "string", "allowed": ["short", "long"], "meta": {"expected": "short or long"}}

    def make_delivery(self) -> delivery.Delivery:
        """Too short, or too long."""
        return delivery.WrongLength(self.setting == "long")


class ExpiredKeepAlive(DeliveryFault):
    """The connection closes when it is reused."""

    name = "expired_keep_alive"
    schema = ONLY_TRUE

    def make_delivery(self) -> delivery.Delivery:
        """This response is sent normally."""
        return delivery.Expiring()


@functools.lru_cache(maxsize=4)
def gzip_bomb(mebibytes: int) -> bytes:
    """White space of ``mebibytes`` MiB as one gzip member; all blocks of a MiB compress to the same few bytes."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = b" " * _BLOCK
    piece = compressor.compress(block) + compressor.flush(zlib.Z_FULL_FLUSH)
    check = 0
    for _ in range(mebibytes):
        check = zlib.crc32(block, check)
    header = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    return header + piece * mebibytes + compressor.flush() + struct.pack("<II", check, mebibytes * _BLOCK & 0xFFFFFFFF)
