"""A request as it goes through a queue: everything that is sent, as data, made and checked in the caller's thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar, NamedTuple

from llm_sync.models.attempts import AttemptOptions
from llm_sync.models.frozen import Frozen, dataclass
from llm_sync.models.requests import ModelRequest
from llm_sync.models.responses import Adjustment


class AdjustmentNotice(NamedTuple):
    """An adjustment as events tell it: ``text`` shows no prompt; ``lost``: whether something asked for is not sent."""

    text: str
    lost: bool


@dataclass(frozen=True, repr=False, eq=False)
class PreparedRequest(Frozen):
    """One request, ready to be sent: its payload is built, merged, checked and encoded.

    ``provider``: the name of the configuration's entry; ``dialect``: its type; ``model``: the model's bare name there.
    ``method``, ``url``, ``headers`` and ``body`` (JSON bytes) are what goes over the wire, but for the credentials: a key, a
    secret header, a secret query field and a password in the URL are added by the worker when it sends. ``options``: how
    long and how often to try. ``adjustments``: what is sent differently from what was asked, for the response; ``notices``:
    those among them that building the payload made, for events. ``request`` is what the answer is held against
    (``response_schema``) and what it is labelled with (``id``); its defaults are filled in and its images are read. ``sample``:
    which of several answers to equal requests it asks for; only a cache (docs/caching.md) looks at it.

    Immutable and picklable, so that it may wait in a queue, be written down, or be sent by another process that has the same
    configuration. Any thread may read it.
    """

    operation: ClassVar[str] = ""  # see llm_sync.events.Queued
    in_background: ClassVar[bool] = False  # see BackgroundRequest

    provider: str
    dialect: str
    model: str
    method: str
    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    options: AttemptOptions
    request: ModelRequest = field(repr=False)
    adjustments: tuple[Adjustment, ...] = ()
    notices: tuple[AdjustmentNotice, ...] = ()
    sample: int = 0
