"""No key ever shows, wherever it was put and whatever a provider echoes."""

from __future__ import annotations

import copy
import html
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from llm_sync import errors
from llm_sync.config.models import Auth
from llm_sync.config.secrets import Secret
from llm_sync.models import ModelRequest
from llm_sync.models.record import error_record
from llm_sync.providers.redaction import Redactor

MARKER = "sk-MaRkEr/0123456789+abcdefghijklmnopqrstuvwx=="
PIECE = "MaRkEr"  # no text of ours holds it
TAIL = "uvwx=="
KINDS = ["openai", "openai-responses", "anthropic", "gemini", "openrouter", "acme"]


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """Everything llm_sync logs at every level, as a handler writes it."""
    stream = io.StringIO()
    sink = logging.StreamHandler(stream)
    sink.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    log = logging.getLogger("llm_sync")
    before = log.level
    log.addHandler(sink)
    log.setLevel(1)
    yield stream
    log.removeHandler(sink)
    log.setLevel(before)


def seen_of(error: BaseException) -> str:
    """All that can be seen of an error: its texts, attributes, record, pickle, copies, traceback, and what it came from."""
    texts = []
    chain: list[BaseException | None] = [error]
    while chain:
        one = chain.pop()
        if one is None:
            continue
        chain += [one.__cause__, one.__context__]
        texts += [str(one), repr(one), repr(vars(one)), repr(one.args), "".join(traceback.format_exception(one))]
    assert isinstance(error, errors.LLMConnectorError)
    texts += [json.dumps(error_record(error)), repr(pickle.dumps(error)), repr(vars(copy.deepcopy(error)))]
    response = getattr(error, "response", None)
    if response is not None:
        texts += [repr(response), json.dumps(response.to_dict()), repr(pickle.dumps(response))]
    return "\n".join(texts)


FORMS: dict[str, str] = {
    "whole": MARKER,
    "URL-quoted": quote(MARKER, safe=""),
    "URL-quoted but for slashes": quote(MARKER),
    "HTML-escaped": html.escape(MARKER),
    "its beginning": MARKER[:14],
    "cut off": MARKER[:30],
    "stars": f"{MARKER[:10]}**********{MARKER[-4:]}",
    "few stars": f"{MARKER[:9]}***{MARKER[-4:]}",
    "dots": f"{MARKER[:11]}...{MARKER[-6:]}",
    "ellipsis": f"{MARKER[:11]}…{MARKER[-6:]}",
    "bullets": f"{MARKER[:11]}••••{MARKER[-6:]}",
}


def bodies(form: str) -> dict[str, Any]:
    """Bodies that echo a key, each in its own place."""
    return {
        "message": ({"error": {"message": f"Incorrect API key provided: {form}. Find yours", "code": "invalid_api_key"}}, 401),
        "bare error": ({"error": f"key={form}"}, 403),
        "code": ({"error": {"message": "m", "code": form, "type": form, "param": form}}, 400),
        "unsupported": ({"error": {"message": f"unknown parameter '{form}'", "param": form}}, 400),
        "a key of the body": ({form: {form: 1}}, 200),
        "detail": ({"detail": [{"loc": [form], "msg": form}]}, 422),
        "upstream": ({"error": {"message": "m", "metadata": {"raw": json.dumps({"error": {"message": form}})}}}, 502),
        "no JSON": (f"<html><body>Bad key {form}</body></html>", 502),
        "inside a 200": ({"error": {"message": f"bad {form}", "code": 401}, "choices": [{"message": {"content": form}}]}, 200),
        "partial text": ({"choices": [{"message": {"content": form}, "error": {"code": 502, "message": form}}]}, 200),
        "a wrong shape": (
            {"choices": [{"message": {"content": [form, {form: form}], form: 5, "tool_calls": form}}], "model": form},
            200,
        ),
        "no text": (
            {
                "choices": [{"message": {"content": " "}}],
                "content": [],
                "output": [],
                "candidates": [{}],
                "model": form,
                "says": "",
                "x": form,
            },
            200,
        ),
        "a stream": (f"data: {form}\n\n", 200),
        "truncated": (f'{{"error": "{form}', 200),
        "long": ({"error": {"message": "x" * 380 + form}}, 400),
        "only streams": ({"error": {"message": f"only supports stream {form}"}}, 400),
        "content policy": ({"error": {"message": "m", "code": "content_filter", "type": form}}, 400),
    }


@pytest.fixture
def fail(provider: Callable[..., Any], reply: Callable[..., Any]) -> Callable[..., errors.LLMConnectorError]:
    """``fail(kind, body, status, headers, **config)``: the error that comes of one reply, of a request and of a listing."""

    def failing(kind: str, body: Any, status: int, headers: Any = None, listing: bool = False, **config: Any) -> Any:
        config.setdefault("key", Secret.literal(MARKER))
        made = provider(
            kind,
            reply(body, status, **(headers or {})),
            emit=lambda event: logging.getLogger("llm_sync.x").info("%s", event),
            **config,
        )
        with pytest.raises(errors.LLMConnectorError) as caught:
            made.list_models() if listing else made.generate_response(ModelRequest("x", "m"))
        return caught.value

    return failing


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_echoed_keys(fail: Any, logged: io.StringIO, kind: str, form: str) -> None:
    """Whole, quoted or abbreviated, in any place of any body: nothing of the key is seen."""
    for place, (body, status) in bodies(FORMS[form]).items():
        text = json.dumps(body, ensure_ascii=False) if not isinstance(body, str) else body
        for sent in {text, text.replace("/", "\\/") if text[:1] == "{" else text}:
            for listing in (False, True):
                seen = seen_of(fail(kind, sent, status, listing=listing)) + logged.getvalue()
                assert PIECE not in seen, (place, listing)
                if form not in ("its beginning", "cut off"):
                    assert TAIL not in seen, (place, listing)


@pytest.mark.parametrize("kind", KINDS)
def test_echoed_in_headers(fail: Any, logged: io.StringIO, kind: str) -> None:
    """A request id that is the key is no request id to show."""
    headers = dict.fromkeys(
        ("x_request_id", "request_id", "x_generation_id", "cf_ray", "content_type", "retry_after"), f"id-{MARKER}"
    )
    seen = seen_of(fail(kind, {"error": {"message": "m"}}, 429, headers)) + logged.getvalue()
    assert PIECE not in seen
    assert "[key]" in seen or kind == "gemini"


def test_what_an_error_means_is_told_by_the_body_as_it_came(fail: Any) -> None:
    """A key that is one of the words of an error changes nothing but what is shown."""
    error = fail(
        "openai",
        {"error": {"message": "m", "code": "context_length_exceeded"}},
        400,
        key=Secret.literal("context_length_exceeded"),
    )
    assert isinstance(error, errors.ContextLengthExceededError)
    assert isinstance(fail("openai", {"error": "m"}, 401, key=Secret.literal("error")), errors.AuthenticationError)


@pytest.mark.parametrize("key", ["none", "ollama", "EMPTY", "m", "x"])
def test_words_for_no_key_are_left_alone(fail: Any, key: str) -> None:
    """What local servers want in a key's place is no secret, and no message is mangled by it."""
    error = fail("openai", {"error": {"message": f"model {key} not found, none of them"}}, 404, key=Secret.literal(key))
    assert error.message == f"model {key} not found, none of them"


@pytest.mark.parametrize(
    "config",
    [
        {"headers": {"X-Api-Key": MARKER}},
        {"headers": {"X-Access-Key": MARKER}},
        {"headers": {"X-Odd": MARKER}, "templates": {("headers", "X-Odd"): "${ODD}"}},
        {"headers": {"Authorization": f"Bearer {MARKER}"}},
        {"headers": {"Cookie": MARKER}},
        {"query": {"key": MARKER}},
        {"query": {"api-key": MARKER}},
        {"base_url": f"https://h.example/v1?api_key={quote(MARKER, safe='')}"},
        {"base_url": f"https://user:{quote(MARKER, safe='')}@h.example/v1"},
        {"auth": Auth("X-Custom", "Token"), "key": Secret.literal(MARKER)},
    ],
)
def test_keys_in_headers_query_and_url(fail: Any, logged: io.StringIO, config: dict[str, Any]) -> None:
    """Credentials configured elsewhere are kept as well, when they are echoed and when they are not."""
    config = {"key": None, **config}
    for body, status in (*bodies(MARKER).values(), ({"error": {"message": "m"}}, 404), ("<html>", 200)):
        assert PIECE not in seen_of(fail("openai", body, status, **config)) + logged.getvalue()


def test_two_keys(fail: Any) -> None:
    """Every secret of a provider is looked for."""
    second = "zz-SeCoNd-0123456789"
    error = fail("openai", {"error": f"{MARKER} and {second}"}, 400, query={"sig": second})
    assert error.message == "[key] and [key]"


@pytest.mark.parametrize("kind", KINDS)
def test_representations(provider: Any, reply: Any, kind: str) -> None:
    """Neither providers nor configurations show what they hold."""
    made = provider(
        kind,
        reply(),
        key=Secret.literal(MARKER),
        headers={"x-api-key": MARKER},
        query={"key": MARKER},
        proxy=f"http://u:{MARKER}@h:1",
    )
    made.check()
    for shown in (made, made.config, made.config.key, made.credential.get(), made.credential.redactor()):
        assert PIECE not in f"{shown!r} {shown!s}"
    with pytest.raises(errors.ConfigurationError) as caught:
        pickle.dumps(made.config)
    assert PIECE not in seen_of(caught.value)


def test_a_key_by_reference_pickles_without_itself(monkeypatch: pytest.MonkeyPatch, provider: Any, reply: Any) -> None:
    """The configuration travels, the key does not."""
    monkeypatch.setenv("MARKED", MARKER)
    made = provider("openai", reply(), key=Secret.from_variable("MARKED"))
    made.check()
    data = pickle.dumps(made.config)
    assert PIECE.encode() not in data
    assert pickle.loads(data).key.reveal() == MARKER  # noqa: S301


@pytest.mark.parametrize("bad", [f'"{MARKER}"', f"{MARKER}\n{MARKER}", f"{MARKER} {MARKER}", f"{MARKER}é", f"${{{MARKER}}}"])
def test_impossible_keys_are_not_shown(provider: Any, reply: Any, logged: io.StringIO, bad: str) -> None:
    """The error says what is wrong with the key, not what it is."""
    with pytest.raises(errors.AuthenticationError) as caught:
        provider("openai", reply(), key=Secret.literal(bad)).generate_response(ModelRequest("x", "m"))
    assert PIECE not in seen_of(caught.value) + logged.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_good_answers_log_no_key(provider: Any, reply: Any, logged: io.StringIO, kind: str) -> None:
    """Nor does anything on the way to an answer."""
    body = {
        "choices": [{"message": {"content": "Hi"}, "finish_reason": "length"}],
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}],
        "content": [{"type": "text", "text": "Hi"}],
        "candidates": [{"content": {"parts": [{"text": "Hi"}]}}],
        "says": "Hi",
    }
    made = provider(kind, reply(body), key=Secret.literal(MARKER), query={"key": MARKER})
    assert made.generate_response(ModelRequest("x", "m")).text == "Hi"
    assert "payload provider=" in logged.getvalue()
    assert PIECE not in logged.getvalue()


def test_long_texts_take_no_time() -> None:
    """Texts made to be costly are looked through at once."""
    import time

    scrubber = Redactor([MARKER])
    for text in ("*" * 10**5, "*a" * 10**4, "**a" * 10**4, "sk-MaR" * 10**4, "a" * 10**5, "." * 10**5, "sk**" * 10**4):
        started = time.process_time()
        scrubber.text(text)
        assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "text", ["**bold** and ... more", "sk-other-key-000000000", "a*b**c", "…", "[key]", "", "Wait... what? See https://x/*/y"]
)
def test_other_texts_stay(text: str) -> None:
    """Stars and dots that hide nothing of the key are left alone."""
    assert Redactor([MARKER]).text(text) == text
    assert Redactor([]).text(text) == text
