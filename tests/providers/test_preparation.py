"""What a provider makes of a request before it is queued: data, without any key; and what it adds when it sends."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.config.models import ProviderConfig, Unset
from llm_sync.config.secrets import Secret
from llm_sync.models import AttemptOptions, ModelRequest
from llm_sync.providers import ProviderFactory

KINDS = ["openai", "openai-responses", "anthropic", "gemini", "openrouter", "acme"]
MARKER = "marker-0123456789-secret"
ANSWER = {"choices": [{"message": {"content": "Hi"}}]}
SECRETS: dict[str, Any] = {
    "key": Secret("literal", f"{MARKER}-key"),
    "base_url": f"https://user:{MARKER}-password@api.test/v1?sig={MARKER}-sig&api-version=1",
    "headers": {"X-Api-Key": f"{MARKER}-header", "X-Team": f"{MARKER}-team", "X-Plain": "plain"},
    "query": {"token": f"{MARKER}-query", "region": "eu", "blank": ""},
    "templates": {("headers", "X-Team"): "${TEAM}"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_key_waits_in_a_queue(provider: Any, reply: Any, kind: str) -> None:
    """A prepared request pickles without key, secret headers, secret query fields and password, and its repr shows none."""
    made = provider(kind, reply(), **SECRETS)
    prepared = made.prepare(ModelRequest("x", "m"))
    assert MARKER.encode() not in pickle.dumps(prepared)
    assert MARKER not in repr(prepared)
    assert pickle.loads(pickle.dumps(prepared)) == prepared  # noqa: S301  (our own bytes)
    assert prepared.headers["X-Plain"] == "plain"
    assert prepared.url.startswith("https://api.test/v1")
    assert prepared.url.endswith("?api-version=1&region=eu&blank=")


def test_all_of_them_are_there_when_it_is_sent(provider: Any, reply: Any) -> None:
    """Also when the request comes from a pickle, and is sent by a provider that did not prepare it."""
    pickled = pickle.dumps(provider("openai", reply(), **SECRETS).prepare(ModelRequest("x", "m")))
    other = provider("openai", reply(ANSWER), **SECRETS)
    assert other.send(pickle.loads(pickled)).text == "Hi"  # noqa: S301
    (sent,) = other.web.sent
    assert sent.headers["Authorization"] == f"Bearer {MARKER}-key"
    assert {name: sent.headers[name] for name in SECRETS["headers"]} == SECRETS["headers"]
    assert sent.url.startswith(f"https://user:{MARKER}-password@api.test/v1/chat/completions?")
    assert sent.query == {"sig": f"{MARKER}-sig", "token": f"{MARKER}-query", "api-version": "1", "region": "eu"}


def test_a_configured_header_beats_the_dialects_and_the_keys(provider: Any, reply: Any) -> None:
    """Prepared or not: headers of the configuration override all others."""
    made = provider(
        "anthropic", reply({"content": [{"type": "text", "text": "Hi"}]}), headers={"anthropic-version": "2", "x-api-key": "own"}
    )
    made.generate_response(ModelRequest("x", "m"))
    assert (made.web.sent[0].headers["anthropic-version"], made.web.sent[0].headers["x-api-key"]) == ("2", "own")


def test_preparing_sends_nothing_and_sending_builds_nothing(provider: Any, reply: Any) -> None:
    """The body that was prepared is what goes out, byte for byte, as often as it is sent."""
    made = provider("openai", reply(ANSWER))
    prepared = made.prepare(ModelRequest("x", "m", id="a"), AttemptOptions(timeout=3))
    assert made.web.sent == []
    assert prepared.options.timeout == 3
    made.dialect.prepare_request = None
    assert [made.send(prepared).id for _ in range(2)] == ["a", "a"]
    assert [sent.body for sent in made.web.sent] == [
        {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": False}
    ] * 2


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], type[Exception]]] = {
    "a tool without a name": ({"tools": [{}]}, {}, errors.InvalidRequestError),
    "a forbidden field": ({"provider_specific": {"model": "other"}}, {}, errors.InvalidRequestError),
    "a streaming switch": ({"provider_specific": {"stream": True}}, {}, errors.StreamingNotSupportedError),
    "a streaming switch of the query": ({}, {"query": {"alt": "sse"}}, errors.StreamingNotSupportedError),
    "a secret streaming switch of the query": (
        {},
        {"query": {"stream": "true"}, "templates": {("query", "stream"): "${X}"}},
        errors.StreamingNotSupportedError,
    ),
    "what JSON cannot hold": ({"provider_specific": {"x": {1, 2}}}, {}, errors.InvalidRequestError),
    "an unset variable": ({}, {"unset": (Unset("TEAM", "providers.p.headers.X-Team", 3),)}, errors.AuthenticationError),
    "an unset key": ({}, {"key": Secret.from_variable("NOBODY_SETS_THIS")}, errors.AuthenticationError),
    "an impossible key": ({}, {"key": Secret.literal("a b")}, errors.AuthenticationError),
    "no base_url": ({}, {"base_url": None}, errors.ConfigurationError),
}


@pytest.mark.parametrize("name", WRONG)
def test_everything_that_is_wrong_is_raised_when_it_is_prepared(
    provider: Any, reply: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With the provider and the model on the error."""
    fields, config, error = WRONG[name]
    made = provider("openai", reply(ANSWER), **config)
    monkeypatch.setattr(type(made.dialect), "default_base_url", None)
    with pytest.raises(error) as caught:
        made.prepare(ModelRequest("x", "m", **fields))
    assert (caught.value.provider, caught.value.model) == ("p", "m")
    assert made.web.sent == []


@pytest.mark.parametrize("kind", ["file", "command"])
def test_preparing_reads_no_key_file_and_runs_no_command(provider: Any, reply: Any, kind: str) -> None:
    """Both take time: the worker does it."""
    made = provider("openai", reply(ANSWER), key=Secret(kind, "no-such-thing"))
    prepared = made.prepare(ModelRequest("x", "m"))
    with pytest.raises(errors.AuthenticationError):
        made.send(prepared)
    assert made.web.sent == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_dialect_is_asked_for_its_url_without_a_network(kind: str) -> None:
    """It is data and pure functions: no HTTP client, no retry handler, no thread."""
    threads = threading.active_count()
    dialect = ProviderFactory.dialect(ProviderConfig("p", kind, base_url="https://api.test/v1"))
    assert dialect.url_for("m").startswith("https://api.test/v1/")
    assert dialect.listing_url({}).startswith("https://api.test/v1/")
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    ("kind", "extras", "field"),
    [
        ("openai", {"n": 2}, "n=2"),
        ("openai", {"n": "3"}, "n='3'"),
        ("openai", {"n": 2.0}, "n=2.0"),
        ("openai", {"n": 10**400}, "n="),
        ("openrouter", {"n": 4}, "n=4"),
        ("gemini", {"generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount=2"),
        ("gemini", {"generation_config": {"candidate_count": 2}}, "generationConfig.candidateCount=2"),
    ],
)
def test_further_choices_are_refused(provider: Any, reply: Any, kind: str, extras: Any, field: str) -> None:
    """Several answers to one request are all billed and only one is read, so nothing is sent; the error says what to do."""
    made = provider(kind, reply(ANSWER))
    with pytest.raises(errors.InvalidRequestError, match=field) as caught:
        made.generate_response(ModelRequest("x", "m", provider_specific=extras))
    assert "as many times as you need answers" in str(caught.value)
    assert made.web.sent == []


@pytest.mark.parametrize("extras", [{"n": 1}, {"n": None}, {"n": 1.0}, {"n": True}, {"n": "many"}, {"n": [2]}, {}])
def test_one_choice_is_sent_as_given(provider: Any, reply: Any, extras: Any) -> None:
    """A count of one is no further choice, and values that are no counts are the provider's to judge."""
    made = provider("openai", reply(ANSWER))
    assert made.generate_response(ModelRequest("x", "m", provider_specific=extras)).text == "Hi"
    assert {key: made.web.sent[0].body[key] for key in extras} == extras
