"""Two requests share a key exactly when what is sent is equal."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_sync import InvalidRequestError, LLMClient, Message, ModelRequest
from llm_sync.cache.key import digest_of, key_of
from llm_sync.config import ConfigLoader
from llm_sync.models import PreparedRequest

TYPES = ("openai", "openai-responses", "anthropic", "gemini", "openrouter", "bedrock", "gemini-interactions")
CONFIG = "providers:\n" + "".join(
    f"  {kind}-{port}: {{type: {kind}, api_key: test-key, base_url: 'http://127.0.0.1:{port}/v1'}}\n"
    for kind in TYPES
    for port in (1, 2)
)
TOOL = {"name": "t", "parameters": {"type": "object", "properties": {}}}
PNG, PDF = b"\x89PNG\r\n\x1a\n" + b"\0" * 8, b"%PDF-1.7\n"
TEXTS = st.sampled_from(["a", "b", "a b", "é", "{}", '"'])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "system_prompt": TEXTS,
    "temperature": st.sampled_from([0, 0.0, 0.5, 1]),
    "max_tokens": st.sampled_from([1, 100]),
    "top_p": st.sampled_from([0.5, 1.0]),
    "stop_sequences": st.sampled_from(["a", ["a"], ["a", "b"]]),
    "seed": st.sampled_from([0, 1]),
    "response_schema": st.just({"type": "object", "properties": {"a": {"type": "string"}}}),
    "tools": st.sampled_from([(), [TOOL]]),
    "tool_choice": st.sampled_from(["auto", "none", "required"]),
    "images": st.sampled_from([[], [PNG], [PNG + b"\0"]]),
    "documents": st.sampled_from([[], [PDF]]),
    "cache_system": st.booleans(),
    "cache_ttl": st.sampled_from(["5m", "1h"]),
    "service_tier": st.sampled_from(["flex", "priority", "default"]),
    "completion_window": st.sampled_from(["soonest", "2h"]),
    "provider_specific": st.sampled_from([{}, {"user": "x"}, {"top_k": 3}]),
    "id": st.sampled_from([None, "one", "two"]),
}
REQUESTS = st.fixed_dictionaries(
    {"provider": st.sampled_from([f"{kind}-{port}" for kind in TYPES for port in (1, 2)]), "model": st.sampled_from(["m", "n"])},
    optional=FIELDS,
).flatmap(
    lambda fields: st.one_of(
        TEXTS.map(lambda text: {**fields, "prompt": text}),
        TEXTS.map(lambda text: {**fields, "messages": [Message("user", text)]}),
        TEXTS.map(lambda text: {**fields, "messages": [Message("user", "x"), Message("assistant", "y"), Message("user", text)]}),
    )
)


@pytest.fixture(scope="module")
def client() -> Iterator[LLMClient]:
    """Two addresses of every dialect."""
    with LLMClient(ConfigLoader().load_text(CONFIG)) as opened:
        yield opened


def prepared(client: LLMClient, fields: dict[str, Any], sample: int) -> PreparedRequest | None:
    """What is sent; None for what cannot be sent, by this dialect or any."""
    given = {name: value for name, value in fields.items() if name not in ("provider", "model")}
    try:
        request = ModelRequest(model=f"{fields['provider']}/{fields['model']}", **given)
        return dataclasses.replace(client.dispatcher.prepare(request), sample=sample)
    except InvalidRequestError:
        return None


def on_the_wire(request: PreparedRequest) -> tuple[Any, ...]:
    """All that decides the answer."""
    return request.dialect, request.url, request.model, request.body, request.sample


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    one=REQUESTS,
    change=REQUESTS,
    names=st.sets(st.sampled_from([*FIELDS, "provider", "model", "prompt"])),
    samples=st.tuples(*[st.integers(0, 2)] * 2),
)
def test_keys_are_equal_exactly_where_everything_sent_is(
    client: LLMClient, one: dict[str, Any], change: dict[str, Any], names: set[str], samples: tuple[int, int]
) -> None:
    """Over all dialects, fields, addresses and samples; the two requests differ in a few fields, or in none that is sent."""
    other = {**one, **{name: change[name] for name in names if name in change and not (name == "prompt" and "messages" in one)}}
    first, second = prepared(client, one, samples[0]), prepared(client, other, samples[1])
    if first is None or second is None:
        return
    assert (key_of(first) == key_of(second)) == (on_the_wire(first) == on_the_wire(second))


def test_requests_that_differ_in_any_part_have_different_digests() -> None:
    """However the parts end and begin: the same text divided elsewhere is another request."""
    texts = ["", "a", "aa", "1:a", "a1:", "aa1:a"]
    requests = list(itertools.product(texts, texts, texts, [text.encode() for text in texts]))
    assert len({digest_of(*parts) for parts in requests}) == len(requests)


def test_the_property_is_of_every_field() -> None:
    """A new field of requests has to be among them."""
    assert {field.name for field in dataclasses.fields(ModelRequest)} == {*FIELDS, "prompt", "messages", "model"}


def test_the_examples_do_have_equal_and_different_ones(client: LLMClient) -> None:
    """The property is no empty one: spellings that are sent alike share a key, an id is not sent, a field is."""
    base: dict[str, Any] = {"provider": "openai-1", "model": "m", "prompt": "a"}
    key = key_of(prepared(client, base, 0))  # type: ignore[arg-type]
    alike = {**base, "id": "x"}
    messages = {"provider": "openai-1", "model": "m", "messages": [Message("user", "a")]}
    for each in (alike, messages):
        assert key_of(prepared(client, each, 0)) == key  # type: ignore[arg-type]
    for each, sample in (({**base, "seed": 1}, 0), ({**base, "provider": "openai-2"}, 0), (base, 1), ({**base, "model": "n"}, 0)):
        assert key_of(prepared(client, each, sample)) != key  # type: ignore[arg-type]


def test_a_key_has_no_credential(client: LLMClient) -> None:
    """Two users with different keys share an answer, and neither's key is in what is hashed."""
    text = "providers: {{a: {{type: openai, api_key: {key}, base_url: 'http://127.0.0.1:1/v1', query: {{api-key: {key}}}}}}}"
    keys = []
    for key in ("sk-one-0123456789", "sk-two-0123456789"):
        with LLMClient(ConfigLoader().load_text(text.format(key=key))) as opened:
            request = opened.dispatcher.prepare(ModelRequest("x", "a/m"))
        assert key not in request.url
        keys.append(key_of(request))
    assert keys[0] == keys[1]
