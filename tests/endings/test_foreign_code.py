"""Code of the program between an answer and its caller (logging, listeners, callbacks, texts of errors) costs no outcome."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from endings_apparatus import PATIENCE_S, answer

from llm_sync import AuthenticationError, ModelRequest
from llm_sync.events import Finished


class BrokenError(Exception):
    """Its text cannot be read."""

    def __str__(self) -> str:
        raise ValueError("no text")


LOCAL = threading.local()


class NeedsTheRequest(logging.Filter):
    """Reads what only the request's own thread has, as filters that add a request's number do."""

    def filter(self, record: logging.LogRecord) -> bool:
        """AttributeError in every other thread."""
        record.number = LOCAL.number
        return True


class Exits(logging.Handler):
    """Ends the thread that logs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Not an Exception, so Handler.handle does not catch it."""
        raise SystemExit


def broken_factory(*args: Any, **options: Any) -> logging.LogRecord:
    """A record factory that fails in workers."""
    if threading.current_thread() is not threading.main_thread():
        raise KeyError("request")
    return logging.LogRecord(*args, **options)


def filter_of_a_handler() -> None:
    """On a handler of the root logger."""
    handler = logging.StreamHandler()
    handler.addFilter(NeedsTheRequest())
    logging.getLogger().addHandler(handler)


WAYS: dict[str, Callable[[], object]] = {
    "a handler's filter": filter_of_a_handler,
    "a logger's filter": lambda: [logging.getLogger(f"llm_sync.{name}").addFilter(NeedsTheRequest()) for name in LOGGERS],
    "a handler": lambda: logging.getLogger().addHandler(Exits()),
    "a record factory": lambda: logging.setLogRecordFactory(broken_factory),
}
LOGGERS = ("requests", "dispatch", "providers", "transport")


@pytest.fixture
def break_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int], None]]:
    """``break_logging(way, level)``: from now on, logging from ``level`` on fails in threads that the test did not start."""
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(f"llm_sync.{name}") for name in LOGGERS)]
    before = [(each, each.level, list(each.handlers), list(each.filters)) for each in loggers]
    factory = logging.getLogRecordFactory()

    def start(way: str, level: int) -> None:
        root.setLevel(level)
        LOCAL.number = 1
        WAYS[way]()

    yield start
    logging.setLogRecordFactory(factory)
    for each, level, handlers, filters in before:
        each.setLevel(level)
        each.handlers[:], each.filters[:] = handlers, filters


@pytest.fixture
def in_time() -> Callable[[Callable[[], Any]], Any]:
    """``in_time(what)`` runs it in another thread, which must end, and gives what it returns or raises."""

    def run(what: Callable[[], Any]) -> Any:
        outcome: Future[Any] = Future()

        def target() -> None:
            try:
                outcome.set_result(what())
            except BaseException as error:
                outcome.set_exception(error)

        threading.Thread(target=target, daemon=True).start()
        return outcome.result(PATIENCE_S)

    return run


def refuse(peer: Any, seen: Any) -> bool | None:
    """401 for prompts that say so, 503 once for others."""
    if seen.text.startswith("wrong"):
        peer.reply(b'{"error": {"message": "Incorrect API key provided"}}', "401 Unauthorized")
        return True
    if seen.text.startswith("later"):
        peer.reply(b"{}", "503 Down") if len(peer.server.texts()) == 1 else peer.reply(OK)
        return True
    return None


OK = answer("a", "ok")


@pytest.mark.parametrize("level", [logging.WARNING, logging.DEBUG])
@pytest.mark.parametrize("way", WAYS)
def test_broken_logging_costs_no_outcome(upstream, open_client, in_time, break_logging, way, level):
    """An answer, a retried answer and a final error reach their callers, whatever logging does; the worker lives on."""
    upstream.script = refuse
    client = open_client(upstream)
    break_logging(way, level)
    assert in_time(lambda: client.generate("later").text) == "ok"
    with pytest.raises(AuthenticationError):
        in_time(lambda: client.generate("wrong"))
    assert in_time(lambda: client.generate("right").text) == "echo right"
    results = in_time(
        lambda: client.generate_responses_concurrent([ModelRequest("wrong"), ModelRequest("x")], return_exceptions=True)
    )
    assert [type(each).__name__ for each in results] == ["AuthenticationError", "ModelResponse"]
    in_time(client.close)


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(), KeyboardInterrupt(), BrokenError()])
def test_a_broken_listener_costs_no_outcome(upstream, open_client, in_time, error):
    """Nor does it keep the next listener from hearing of every event."""
    client, heard = open_client(upstream), []

    def broken(event: object) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise error

    client.add_listener(broken)
    client.add_listener(heard.append)
    assert in_time(lambda: client.generate("x").text) == "echo x"
    assert [type(event).__name__ for event in heard] == ["Queued", "Started", "AttemptStarted", "AttemptEnded", "Finished"]


def test_a_listener_that_hangs_at_the_end_costs_no_outcome(upstream, open_client, in_time):
    """The future is settled before the end of its request is reported."""
    client, go = open_client(upstream), threading.Event()
    client.add_listener(lambda event: isinstance(event, Finished) and go.wait(PATIENCE_S))
    try:
        assert in_time(lambda: client.generate("x").text) == "echo x"
        assert not go.is_set()
    finally:
        go.set()


def test_a_broken_callback_keeps_no_other_from_running(upstream, open_client, in_time, break_logging):
    """Though the record of its failure cannot be logged."""
    client, hold, ran = open_client(upstream), upstream.hold(), threading.Event()
    future = client.submit(ModelRequest("x"))
    hold.wait()
    break_logging("a handler's filter", logging.WARNING)
    future.add_done_callback(lambda _: 1 / 0)
    future.add_done_callback(lambda _: ran.set())
    hold.open()
    assert ran.wait(PATIENCE_S)
    assert future.result(PATIENCE_S).text == "echo x"


def test_an_error_without_text_is_raised(upstream, open_client, in_time):
    """The caller gets the very exception, and the counts name its class."""
    client = open_client(upstream)
    error = BrokenError()

    def fail(_request: Any, _send: Any) -> Any:
        raise error

    client.dispatcher.add_middleware(fail)
    with pytest.raises(BrokenError) as caught:
        in_time(lambda: client.generate("x"))
    assert caught.value is error
    assert client.status()["a"].failed == {"BrokenError": 1}
