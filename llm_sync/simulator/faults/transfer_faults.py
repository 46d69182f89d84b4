"""Actions that change how an answer travels, whatever it says: its bytes, their coding, their pace, their end."""

from __future__ import annotations

import functools
import gzip
import struct
import zlib
from abc import abstractmethod
from typing import Any, ClassVar

from llm_sync.simulator.faults.actions import SECONDS, YES, Change, Rules, mapping, or_yes
from llm_sync.simulator.faults.context import Scene
from llm_sync.simulator.server import delivery
from llm_sync.simulator.server.response import Response, with_headers

_BLOCK = 2**20
_BOMB = 64  # MiB, twice what the client of this package takes
_RATE: Rules = {
    "type": "number",
    "required": True,
    "min": 0.001,
    "check_with": "finite",
    "meta": {"expected": "bytes a second, more than 0"},
}


class Way(Change):
    """Changes a whole response."""

    def apply(self, scene: Scene, given: Response | None) -> Response:
        """Of what was given, else of the good answer."""
        return self.sent(scene.good() if given is None else given)

    @abstractmethod
    def sent(self, response: Response) -> Response:
        """As it goes out."""


class MalformedJson(Way):
    """No JSON any more."""

    name = "malformed_json"
    rules: ClassVar[Rules] = or_yes("string", "cut or trailing", allowed=["cut", "trailing"])

    def sent(self, response: Response) -> Response:
        """Without its last third, or with something behind its end."""
        content = response.content()
        if self.setting == "trailing":
            return response._replace(body=content + b'{"more":')
        return response._replace(body=content[: max(1, len(content) * 2 // 3)])


class Whitespace(Way):
    """Blanks before the body."""

    name = "whitespace"
    short = "blanks"
    rules: ClassVar[Rules] = mapping(
        "a number of blanks, or a mapping with times and every",
        blanks={"type": "integer", "min": 1, "max": 2**24, "meta": {"expected": "a number of blanks from 1 to 16777216"}},
        times={"type": "integer", "min": 1, "max": 2**20, "meta": {"expected": "how many lots, from 1 on"}},
        every=SECONDS,
    )

    def sent(self, response: Response) -> Response:
        """At once, or a lot from time to time."""
        if "times" in self.setting:
            return response._replace(delivery=delivery.Padded(self.setting["times"], float(self.setting["every"])))
        blanks = self.setting["blanks"]
        lots = blanks // len(delivery.BLANKS) + 1
        return response._replace(body=(delivery.BLANKS * lots)[:blanks].encode() + response.content())


class Gzip(Way):
    """Compressed, whether or not that was asked for."""

    name = "gzip"
    rules = YES

    def sent(self, response: Response) -> Response:
        """With the header that says so."""
        headers = with_headers(response.headers, {"content-encoding": "gzip"})
        return response._replace(body=gzip.compress(response.content(), 6, mtime=0), headers=headers)


class GzipBomb(Way):
    """Little that becomes much."""

    name = "gzip_bomb"
    short = "mebibytes"
    rules: ClassVar[Rules] = mapping(
        f"true, or MiB of blanks ({_BOMB})",
        mebibytes={"type": "integer", "min": 1, "max": 4096, "meta": {"expected": "a number of MiB from 1 to 4096"}},
    )

    def sent(self, response: Response) -> Response:
        """Blanks; the status is the answer's."""
        content = bomb(self.setting.get("mebibytes", _BOMB))
        return response._replace(body=content, headers=with_headers(response.headers, {"content-encoding": "gzip"}))


class Delivered(Way):
    """Goes by a delivery of its own."""

    def __init__(self, setting: Any) -> None:
        super().__init__(setting)
        self.delivery = self.made()

    @abstractmethod
    def made(self) -> delivery.Delivery:
        """The delivery of the setting."""

    def sent(self, response: Response) -> Response:
        """By it."""
        return response._replace(delivery=self.delivery)


class Refused(Delivered):
    """No connection is taken for a while."""

    name = "connection_refused"
    rules: ClassVar[Rules] = {**SECONDS, "min": 0.001, "meta": {"expected": "seconds, more than 0"}}

    def made(self) -> delivery.Delivery:
        """For so many seconds."""
        return delivery.Refusing(float(self.setting))


class Reset(Delivered):
    """The connection is reset."""

    name = "reset"
    short = "when"
    rules: ClassVar[Rules] = mapping(
        "before_status, mid_headers, mid_body, or a mapping with after_bytes",
        when={
            "type": "string",
            "allowed": ["before_status", "mid_headers", "mid_body"],
            "meta": {"expected": "before_status, mid_headers or mid_body"},
        },
        after_bytes={"type": "integer", "min": 0, "meta": {"expected": "bytes of the body, 0 or more"}},
    )

    def made(self) -> delivery.Delivery:
        """At that point."""
        return delivery.Reset(self.setting.get("when", "mid_body"), self.setting.get("after_bytes"))


class Drip(Delivered):
    """Slower than anyone waits."""

    name = "drip"
    short = "bytes_per_second"
    rules: ClassVar[Rules] = mapping(
        "bytes a second, or a mapping with bytes_per_second and start",
        bytes_per_second=_RATE,
        start={"type": "string", "allowed": ["status", "body"], "meta": {"expected": "status or body"}},
    )

    def made(self) -> delivery.Delivery:
        """From the body on, where the script does not say the status."""
        return delivery.Drip(float(self.setting["bytes_per_second"]), self.setting.get("start", "body") == "body")


class Silence(Delivered):
    """Nothing comes."""

    name = "silence"
    short = "after"
    rules: ClassVar[Rules] = mapping(
        "true, after what (request, headers or body), or a mapping with after and seconds",
        after={
            "type": "string",
            "allowed": ["request", "headers", "body"],
            "meta": {"expected": "request, headers, or body (half of it)"},
        },
        seconds=SECONDS,
    )

    def made(self) -> delivery.Delivery:
        """For ever, or until the seconds are over and the connection is closed."""
        return delivery.Silent(self.setting.get("after", "request"), self.setting.get("seconds"))


class WrongLength(Delivered):
    """Content-Length lies."""

    name = "wrong_length"
    rules: ClassVar[Rules] = {"type": "string", "allowed": ["short", "long"], "meta": {"expected": "short or long"}}

    def made(self) -> delivery.Delivery:
        """Less or more than there is."""
        return delivery.WrongLength(self.setting == "long")


class ExpiredKeepAlive(Delivered):
    """The connection ends at the moment of its reuse."""

    name = "expired_keep_alive"
    rules = YES

    def made(self) -> delivery.Delivery:
        """This answer is a good one."""
        return delivery.Expiring()


@functools.lru_cache(maxsize=4)
def bomb(mebibytes: int) -> bytes:
    """So many MiB of blanks as one gzip member: the same few bytes for each, as the compressor starts afresh for each."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = b" " * _BLOCK
    piece = compressor.compress(block) + compressor.flush(zlib.Z_FULL_FLUSH)
    check = 0
    for _ in range(mebibytes):
        check = zlib.crc32(block, check)
    header = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    return header + piece * mebibytes + compressor.flush() + struct.pack("<II", check, mebibytes * _BLOCK & 0xFFFFFFFF)
