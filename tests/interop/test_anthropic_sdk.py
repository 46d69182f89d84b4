"""Anthropic's own client: messages, listings, and its errors."""

from __future__ import annotations

import asyncio  # noqa: TID251  (the SDK's own asynchronous client is met, too)
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import anthropic
import pytest
from anthropic.types import Message, ModelInfo
from pydantic import BaseModel

from llm_sync.simulator import Simulator

MODEL = "claude-opus-4-8"
ASKED: dict[str, Any] = {"model": MODEL, "max_tokens": 2000, "messages": [{"role": "user", "content": "Say hello"}]}
ADD = {"name": "add", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}


class City(BaseModel):
    """What is asked for."""

    name: str
    population: int
    tags: list[str]


@pytest.fixture
def client() -> Iterator[Callable[..., anthropic.Anthropic]]:
    """Makes clients that do not retry."""
    with ExitStack() as opened:
        yield lambda simulator, key="good-key": opened.enter_context(
            anthropic.Anthropic(api_key=key, base_url=simulator.url("anthropic"), max_retries=0)
        )


@pytest.mark.parametrize("more", [{}, {"thinking": {"type": "adaptive"}}, {"stop_sequences": ["simulat"]}], ids=str)
def test_a_message(simulator: Simulator, client: Any, more: dict[str, Any]) -> None:
    """One that is all its types say, strictly read."""
    raw = client(simulator).messages.with_raw_response.create(**ASKED, system="Be brief.", **more)
    answer = Message.model_validate_json(raw.http_response.text)
    assert "Say hello" in "".join(block.text for block in answer.content if block.type == "text") or more.get("stop_sequences")
    assert answer.usage.input_tokens > 0
    assert raw.request_id.startswith("req_")


def test_structured_output(simulator: Simulator, client: Any) -> None:
    """Parsed into the model."""
    assert isinstance(client(simulator).messages.parse(**ASKED, output_format=City).parsed_output, City)


def test_tools(simulator: Simulator, client: Any) -> None:
    """A call, its result, and the answer after it."""
    opened = client(simulator)
    called = opened.messages.create(**ASKED, tools=[ADD], tool_choice={"type": "any"})
    assert called.stop_reason == "tool_use"
    use = called.content[-1]
    assert isinstance(use.input["a"], int)
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}
    talk = [*ASKED["messages"], {"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
    done = opened.messages.create(**{**ASKED, "messages": talk}, tools=[ADD])
    assert "sunny" in done.content[0].text


def test_pictures(simulator: Simulator, client: Any, pixel: str) -> None:
    """Seen, and paid for; what says another kind than it is, is refused."""

    def look(media_type: str) -> Message:
        source = {"type": "base64", "media_type": media_type, "data": pixel}
        parts = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
        return client(simulator).messages.create(**{**ASKED, "messages": [{"role": "user", "content": parts}]})

    assert look("image/png").usage.input_tokens > 1000
    with pytest.raises(anthropic.BadRequestError, match="does not match the provided media type"):
        look("image/jpeg")


def test_stop_sequences(simulator: Simulator, client: Any) -> None:
    """The text ends before the first of them, and the answer says which it was."""
    whole = client(simulator).messages.create(**ASKED).content[0].text
    word = whole.split()[2]
    cut = client(simulator).messages.create(**ASKED, stop_sequences=["nowhere", word])
    assert (cut.content[0].text, cut.stop_reason, cut.stop_sequence) == (whole.partition(word)[0], "stop_sequence", word)


def test_where_the_system_prompt_may_stand(simulator: Simulator, client: Any) -> None:
    """Beside the messages, as a text or in blocks; not among them."""
    blocks = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    assert client(simulator).messages.create(**ASKED, system=blocks).content[0].text
    among = [{"role": "system", "content": "Be brief."}, *ASKED["messages"]]
    with pytest.raises(anthropic.BadRequestError, match="top-level"):
        client(simulator).messages.create(**{**ASKED, "messages": among})


def test_by_google_cloud(simulator: Simulator) -> None:
    """The SDK's own client for it."""
    base = simulator.root + "/v1"
    made = {"project_id": "p", "region": "us-east5", "base_url": base, "max_retries": 0}
    asked = {**ASKED, "model": "claude-sonnet-4-5@20250929"}
    with anthropic.AnthropicVertex(access_token="good-token", **made) as opened:
        assert "Say hello" in opened.messages.create(**asked).content[0].text
    with anthropic.AnthropicVertex(access_token="wrong-token", **made) as refused, pytest.raises(anthropic.AuthenticationError):
        refused.messages.create(**asked)


def test_a_refusal(client: Any) -> None:
    """A stop reason of its own, with what is told of it."""
    with Simulator(answers={"Say hello": {"refusal": "No."}}) as simulator:
        raw = client(simulator).messages.with_raw_response.create(**ASKED)
    answer = Message.model_validate_json(raw.http_response.text)
    assert (answer.stop_reason, answer.content, answer.stop_details.explanation) == ("refusal", [], "No.")


def test_models(simulator: Simulator, client: Any) -> None:
    """All pages of the listing, and one of them."""
    opened = client(simulator)
    names = [model.id for model in opened.models.list(limit=7)]
    assert len(set(names)) == len(names) > 14
    assert MODEL in names
    assert ModelInfo.model_validate_json(opened.models.with_raw_response.retrieve(MODEL).http_response.text).id == MODEL


def test_refused_keys_and_models(simulator: Simulator, client: Any) -> None:
    """401, 404 and 400 are raised as what they are."""
    with pytest.raises(anthropic.AuthenticationError):
        client(simulator, key="wrong-key").messages.create(**ASKED)
    with pytest.raises(anthropic.NotFoundError):
        client(simulator).messages.create(**{**ASKED, "model": "no-such-model"})
    with pytest.raises(anthropic.BadRequestError, match="Extra inputs are not permitted"):
        client(simulator).messages.create(**ASKED, extra_body={"seed": 1})


TROUBLE = [
    ("auth", 401, anthropic.AuthenticationError),
    ("permission", 403, anthropic.PermissionDeniedError),
    ("not_found", 404, anthropic.NotFoundError),
    ("rate_limit", 429, anthropic.RateLimitError),
    ("server", 500, anthropic.InternalServerError),
    ("overloaded", 529, anthropic.InternalServerError),
]


@pytest.mark.parametrize(("word", "status", "error"), TROUBLE)
def test_trouble(failing: Any, client: Any, word: str, status: int, error: type[anthropic.APIStatusError]) -> None:
    """Every trouble is raised as what it is, for questions and listings."""
    simulator = failing(word)
    for ask in (lambda: client(simulator).messages.create(**ASKED), lambda: list(client(simulator).models.list())):
        with pytest.raises(error) as caught:
            ask()
        assert caught.value.status_code == status
        assert caught.value.body["error"]["type"]


def test_streams_are_refused(client: Any) -> None:
    """The one thing it is not given."""
    with Simulator() as simulator:
        with pytest.raises(anthropic.BadRequestError, match="never streams"), client(simulator).messages.stream(**ASKED):
            pass
        assert simulator.stream_attempts == 1


def test_asynchronous_streams_are_refused_too(client: Any) -> None:
    """Refused and counted; a question that is not streamed is answered."""

    async def ask(base_url: str) -> Message:
        async with anthropic.AsyncAnthropic(api_key="good-key", base_url=base_url, max_retries=0) as opened:
            with pytest.raises(anthropic.BadRequestError, match="never streams"):
                await opened.messages.create(**ASKED, stream=True)
            return await opened.messages.create(**ASKED)

    with Simulator() as simulator:
        assert "Say hello" in asyncio.run(ask(simulator.url("anthropic"))).content[0].text
        assert simulator.stream_attempts == 1
