"""Lines that differ in their prompts and ids only: all but the first are checked and prepared by what is known of the first.

A batch has thousands of such lines. What a prompt changes in a request is known exactly: the place of its text in the body, and
in the texts that are hashed. Whatever else may depend on it, such as a budget or a cache, keeps a request off this way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b, sha256
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, NamedTuple, TypeVar

from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.formats import REQUEST_FIELDS, is_openai
from llm_sync.batch.input.requests import BatchRequest, content_text
from llm_sync.batch.state.records import RequestIdentity
from llm_sync.config.ways import DIRECT
from llm_sync.errors import LLMConnectorError
from llm_sync.models import PreparedRequest
from llm_sync.providers.base import LLMProvider
from llm_sync.streaming import PARAMETERS

MAX_TEMPLATES = 256  # different kinds of lines; further ones are made one by one
_SCALARS = frozenset((str, int, float, bool, type(None)))
_PROBES = ("a prompt\u00e9 that stands for any other", 'another "one", of another length\n')
_OWN = "llm_sync."

Kind = tuple[Any, ...]
T = TypeVar("T")


class Pieces(NamedTuple):
    """A text around the prompt."""

    before: bytes
    after: bytes

    def around(self, prompt: bytes) -> bytes:
        """The text with a prompt, which is a JSON string."""
        return b"".join((self.before, prompt, self.after))


class Template(NamedTuple):
    """What the requests of one kind of lines have in common. ``hashed`` and ``content``: what request_hash and content_hash
    are made of.
    """

    prepared: PreparedRequest
    body: Pieces
    hashed: Pieces
    content: Pieces

    def fill(self, prompt: str, line_id: str | int | None, identity: RequestIdentity) -> tuple[RequestIdentity, PreparedRequest]:
        """A line's request, and ``identity`` with its hashes and its id."""
        ascii_text = encode_basestring_ascii(prompt).encode("ascii")
        request = _copied(self.prepared.request, prompt=prompt, id=line_id)
        body = self.body.around(encode_basestring(prompt).encode("utf-8"))
        named = RequestIdentity(  # _replace takes three times as long
            identity.key,
            identity.line,
            identity.settings,
            sha256(self.hashed.around(ascii_text)).hexdigest()[:32],
            identity.openai,
            line_id,
            identity.unsure,
            identity.shard,
            identity.lines,
            blake2b(self.content.around(ascii_text), digest_size=8).hexdigest(),
            identity.asked,
            identity.max_tokens,
            identity.via,
        )
        return named, _copied(self.prepared, body=body, request=request)


class LineTemplates:
    """The templates of one run. One thread at a time."""

    def __init__(self, context: BatchContext) -> None:
        self._context = context
        self._checked: dict[Kind, BatchRequest] = {}
        self._seen: set[Kind] = set()  # prepared at least once
        self._templates: dict[Kind, Template | None] = {}  # None: its requests depend on more

    def kind(self, values: Mapping[str, Any], model: str | None) -> Kind | None:
        """What a line has in common with others, its prompt and its id apart; None if it is to be made by itself.

        ``model``: the one that the run gives it. Equal kinds are checked alike, and fail alike.
        """
        prompt = values.get("prompt")
        if type(prompt) is not str or not _is_sendable(prompt) or is_openai(values):
            return None
        kind: list[Any] = [model]
        for name, value in values.items():
            if name == "prompt":
                continue
            value_type = type(value)
            kind += (name, value_type)
            if name == "id":
                if value_type not in (str, int) and value is not None:
                    return None
            elif name in PARAMETERS:  # beside one, fields that are only kept are looked at, too
                return None
            elif name in REQUEST_FIELDS:
                if value_type not in _SCALARS:
                    return None
                kind.append(repr(value) if value_type is float else value)  # 0.0 equals -0.0
        return tuple(kind)

    def checked(self, kind: Kind | None) -> BatchRequest | None:
        """The request of an earlier line of this kind that was found to be good."""
        return None if kind is None else self._checked.get(kind)

    def add_checked(self, kind: Kind | None, batch_request: BatchRequest) -> None:
        """A line of this kind has been found to be good."""
        if kind is not None and len(self._checked) < MAX_TEMPLATES and self._is_ordinary(batch_request):
            self._checked[kind] = batch_request

    def find(self, kind: Kind | None) -> Template | None:
        """The template of a kind, if there is one."""
        return None if kind is None else self._templates.get(kind)

    def learn(
        self,
        kind: Kind | None,
        values: Mapping[str, Any],
        batch_request: BatchRequest,
        identity: RequestIdentity,
        prepared: PreparedRequest,
    ) -> None:
        """A line of this kind was prepared: make a template of the second one."""
        if kind is None or kind in self._templates or not self._is_ordinary(batch_request):
            return
        if kind in self._seen:
            self._templates[kind] = self._made(values, batch_request, identity, prepared)
        elif len(self._seen) < MAX_TEMPLATES:
            self._seen.add(kind)

    def _is_ordinary(self, batch_request: BatchRequest) -> bool:
        """Whether nothing but the dialect sees the prompt, and the dialect is one of llm_sync's own."""
        context = self._context
        dispatcher = context.dispatcher
        if (
            batch_request.routed is not None
            or batch_request.asked is not None
            or context.background is not None
            or dispatcher.caching is not None
            or dispatcher.spending is not None
            or context.way(batch_request.route) != DIRECT
        ):
            return False
        provider = dispatcher.endpoint(batch_request.route.provider).provider
        is_own = type(provider).__module__.startswith(_OWN) and type(provider.dialect).__module__.startswith(_OWN)
        return is_own and type(provider).prepare is LLMProvider.prepare

    def _made(
        self, values: Mapping[str, Any], batch_request: BatchRequest, identity: RequestIdentity, prepared: PreparedRequest
    ) -> Template | None:
        """The template; None if a prompt changes anything but its own place."""
        body = self._body_around_prompt(batch_request)
        request = prepared.request
        system = request.system_prompt
        turns = [["system", system], ["user", _PROBES[0]]] if system else [["user", _PROBES[0]]]
        hashed = _pieces(json.dumps([prepared.model, turns]), _PROBES[0])
        content = _pieces(content_text({**values, "prompt": _PROBES[0]}), _PROBES[0])
        if type(prepared) is not PreparedRequest or prepared.sample or body is None or hashed is None or content is None:
            return None
        template = Template(prepared, body, hashed, content)
        again = template.fill(str(request.prompt), request.id, identity)  # the proof: it makes the same of the same line
        return template if again == (identity, prepared) else None

    def _body_around_prompt(self, batch_request: BatchRequest) -> Pieces | None:
        """What stands around the prompt in the body, if no other part of the request depends on the prompt or the id."""
        found = set()
        others = []
        for number, probe in enumerate(_PROBES):
            request = replace(batch_request.request, prompt=probe, id=f"{probe} {number}")
            try:
                prepared = self._context.prepare(batch_request._replace(request=request), 0)
            except LLMConnectorError:  # of the probe: the line itself was prepared
                return None
            found.add(_split(prepared.body, encode_basestring(probe).encode("utf-8")))
            others.append(_copied(prepared, body=b"", sample=0, request=_copied(prepared.request, prompt="", id=None)))
        return found.pop() if len(found) == 1 and others[0] == others[1] else None


def _is_sendable(prompt: str) -> bool:
    """Whether a prompt has visible characters, and no lone surrogates."""
    if not prompt or prompt.isspace():
        return False
    if prompt.isascii():
        return True
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return bool(prompt.strip())


def _pieces(text: str, probe: str) -> Pieces | None:
    return _split(text.encode("ascii"), encode_basestring_ascii(probe).encode("ascii"))


def _split(text: bytes, probe: bytes) -> Pieces | None:
    """The two parts of a text that has a probe in it exactly once."""
    before, found, after = text.partition(probe)
    return Pieces(before, after) if found and probe not in after else None


def _copied(frozen: T, **changes: Any) -> T:
    """A copy of one of the models' frozen objects that is not checked again."""
    copy: T = object.__new__(type(frozen))
    values = vars(copy)
    values.update(vars(frozen))
    values.update(changes)
    return copy
