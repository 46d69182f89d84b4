"""Events: frozen facts about the progress of requests. Logs, status and progress displays are computed from them.

A listener is called in the thread where the fact arose (usually a provider's worker) and must be quick and thread-safe.
``key`` tells the requests of one client apart; times are ``time.monotonic()`` seconds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from llm_sync.models.frozen import Frozen, dataclass
from llm_sync.models.pending_cost import CostField
from llm_sync.runtime.guarded_logging import guard
from llm_sync.runtime.interrupts import may_suppress

if TYPE_CHECKING:
    from llm_sync.models.responses import Usage


@dataclass(frozen=True, repr=False, eq=False)
class Event(Frozen):
    """What all events have."""

    provider: str
    key: int
    at: float = field(default_factory=time.monotonic, kw_only=True)


@dataclass(frozen=True, repr=False, eq=False)
class Queued(Event):
    """A request was queued; ``depth`` requests are in the queue, this one included. ``operation``: "embeddings" of one for
    vectors, "list_models" of a listing, which has no ``model``, "" of one for an answer."""

    model: str = ""
    depth: int = 0
    operation: str = ""


@dataclass(frozen=True, repr=False, eq=False)
class Started(Event):
    """The worker took the request from the queue after ``waited`` seconds."""

    waited: float = 0.0


@dataclass(frozen=True, repr=False, eq=False)
class AttemptStarted(Event):
    """An HTTP exchange begins; it ends after at most ``timeout`` seconds."""

    number: int = 1
    timeout: float = 0.0


@dataclass(frozen=True, repr=False, eq=False)
class AttemptEnded(Event):
    """An HTTP exchange ended after ``elapsed`` seconds, with an HTTP status or, without one, an error's class name."""

    number: int = 1
    elapsed: float = 0.0
    status: int | None = None
    error: str | None = None


@dataclass(frozen=True, repr=False, eq=False)
class Waiting(Event):
    """The next attempt waits ``seconds``; ``reason`` is "retry", "cool-down", "pace", "slot", "concurrency" or "budget"; with
    "background" the next look at an answer waits that the provider makes in the background."""

    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, repr=False, eq=False)
class Retrying(Event):
    """Attempt ``number`` of at most ``most`` failed with ``error``; the next one follows in ``seconds``."""

    number: int = 1
    error: str = ""
    message: str = ""
    most: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, repr=False, eq=False)
class Rerouted(Event):
    """A route goes on: ``provider`` failed with ``error``, or was not asked; ``target`` (PROVIDER/MODEL) is asked instead.

    ``attempts``: HTTP exchanges made; ``possibly_billed``: how many of them may be billed although no answer came. ``model``:
    the bare name of the model that failed.
    """

    model: str = ""
    error: str = ""
    message: str = ""
    target: str = ""
    attempts: int = 0
    possibly_billed: int = 0


@dataclass(frozen=True, repr=False, eq=False)
class Adjusted(Event):
    """Something is sent differently from what was asked: ``text`` says what; ``lost``: something asked for is not sent."""

    text: str = ""
    lost: bool = True


@dataclass(frozen=True, repr=False, eq=False)
class Finished(Event):
    """The request ended after ``elapsed`` seconds: ``error`` is None, the error's class name, or "cancelled".

    ``usage``: the tokens that were billed, and ``cost``: USD, as the response has them, or the answer that an error carries as
    unusable. Both are None where nothing was billed, or nobody knows.
    """

    error: str | None = None
    message: str = ""
    elapsed: float = 0.0
    usage: Usage | None = None
    cost: float | None = CostField()  # type: ignore[assignment]  # a descriptor, whose default is None


@dataclass(frozen=True, repr=False, eq=False)
class CacheHit(Event):
    """A request was answered without being sent: from the cache, or with the answer to an equal request in flight.

    ``queued``: whether it had gone through the queue first, so that Started and Finished are emitted for it, too. ``usage``: the
    tokens that were not billed; ``saved``: their cost in USD, None where no price is known. ``elapsed``: seconds.
    ``operation``: as of Queued.
    """

    model: str = ""
    queued: bool = False
    elapsed: float = 0.0
    usage: Usage | None = None
    saved: float | None = CostField()  # type: ignore[assignment]  # likewise
    operation: str = ""


Listener = Callable[[Event], None]

_LEVELS: dict[type[Event], int] = {
    Queued: logging.DEBUG,
    Started: logging.INFO,
    AttemptStarted: logging.DEBUG,
    AttemptEnded: logging.DEBUG,
    Waiting: logging.DEBUG,
    Retrying: logging.WARNING,
    Rerouted: logging.WARNING,
    Adjusted: logging.WARNING,
    Finished: logging.INFO,
    CacheHit: logging.INFO,
}


def logger(name: str) -> logging.Logger:
    """The logger ``llm_sync.name``. Silent until the program configures logging; otherwise Python would print warnings.

    No exception of a filter, handler or record factory comes out of it (except what ends the main thread).
    """
    root = logging.getLogger("llm_sync")
    if not any(isinstance(handler, logging.NullHandler) for handler in root.handlers):
        root.addHandler(logging.NullHandler())
    return guard(logging.getLogger(f"llm_sync.{name}"))


CONTENT = "llm_sync.content"  # prompts and answers, word for word


def content_logger() -> logging.Logger:
    """The logger that prompts and answers go to, at DEBUG. They are private: it is off until its own level is set."""
    log = logger("content")
    if log.level == logging.NOTSET:
        log.setLevel(logging.CRITICAL + 1)
    return log


def log_facts(log: logging.Logger, what: str, **facts: object) -> None:
    """Log at DEBUG ``what`` happened, with ``key=value`` facts, which the record has as a dict too (``record.facts``)."""
    if log.isEnabledFor(logging.DEBUG):
        log.debug("%s %s", what, _pairs(facts), extra={"what": what, "facts": facts})


_log = requests_log = logger("requests")

HIGHEST_LEVELS: Mapping[type[Event], int] = {**_LEVELS, Finished: logging.ERROR}
"""The highest level that events of a kind are logged at: below it, ``log_event`` would do nothing."""
_listener_log = logger("dispatch")


def notify(listener: Listener, event: Event) -> None:
    """Call ``listener`` with ``event``. Its exceptions are logged: a bug in it must not affect the request."""
    try:
        listener(event)
    except BaseException as error:  # noqa: BLE001
        report_failed_listener(event, error)


def report_failed_listener(event: Event, error: BaseException) -> None:
    """Log the exception of a listener, from its ``except`` block; raise again what must not be suppressed."""
    if not may_suppress(error):
        raise error
    _listener_log.exception("%s: a listener of events failed on %s; the request continues", event.provider, type(event).__name__)


def log_event(event: Event) -> None:
    """Log an event to ``llm_sync.requests``: one line ``Event key=value …``; the record's ``event`` is the event itself."""
    level = _LEVELS.get(type(event), logging.DEBUG)
    if isinstance(event, Finished) and event.error not in (None, "cancelled"):
        level = logging.ERROR
    if isinstance(event, Adjusted) and not event.lost:
        level = logging.INFO
    if _log.isEnabledFor(level):
        _log.log(level, "%s %s", type(event).__name__, _pairs(facts(event)), extra={"event": event})


def facts(event: Event) -> dict[str, object]:
    """The fields of an event by name; instead of ``usage`` its known counts."""
    given = {name: getattr(event, name) for name in vars(event) if name != "at"}  # not vars alone: a cost may be pending
    named = {name: value for name, value in given.items() if value not in (None, "")}
    usage = named.pop("usage", None)
    return named if usage is None else {**named, **{name: count for name, count in vars(usage).items() if count is not None}}


def _pairs(named: Mapping[str, object]) -> str:
    return " ".join(f"{name}={_usd(value) if name in ('cost', 'saved') else _shown(value)}" for name, value in named.items())


def _usd(value: object) -> str:
    """US dollars, with all digits that prices per million tokens produce."""
    return f"{value:.8f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)  # one line for each event, whatever a provider sent
