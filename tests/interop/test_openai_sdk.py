"""OpenAI's own client: chat completions, responses, listings, and its errors; against OpenRouter's door too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import openai
import pytest
from openai.types import Model
from openai.types.chat import ChatCompletion
from openai.types.responses import Response as ResponsesAnswer
from pydantic import BaseModel

from llm_sync.simulator import Simulator

USER = {"role": "user", "content": "Say hello"}
TALK = [{"role": "system", "content": "Be brief."}, USER]
ADD = {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}


class City(BaseModel):
    """What is asked for."""

    name: str
    population: int
    tags: list[str]


@pytest.fixture
def client() -> Iterator[Callable[..., openai.OpenAI]]:
    """Makes clients that do not retry."""
    with ExitStack() as opened:
        yield lambda simulator, door="openai", key="good-key": opened.enter_context(
            openai.OpenAI(api_key=key, base_url=simulator.url(door), max_retries=0)
        )


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-5-mini", "o3"])
def test_chat(simulator: Simulator, client: Any, model: str) -> None:
    """A completion that is all its types say, strictly read."""
    raw = client(simulator).chat.completions.with_raw_response.create(model=model, messages=TALK)
    answer = ChatCompletion.model_validate_json(raw.text)
    assert "Say hello" in answer.choices[0].message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert raw.request_id.startswith("req_")


def test_chat_through_openrouter(simulator: Simulator, client: Any) -> None:
    """Blanks before the body and further keys are no trouble."""
    answer = client(simulator, "openrouter").chat.completions.create(model="openai/gpt-4o-mini", messages=TALK)
    assert "Say hello" in answer.choices[0].message.content


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-5.5", "o4-mini"])
def test_responses(simulator: Simulator, client: Any, model: str) -> None:
    """A response that is all its types say, and its text."""
    asked = {"model": model, "input": "Say hello", "instructions": "Be brief."}
    raw = client(simulator).responses.with_raw_response.create(**asked)
    answer = ResponsesAnswer.model_validate_json(raw.text)
    assert "Say hello" in answer.output_text
    assert answer.status == "completed"


def test_structured_output(simulator: Simulator, client: Any) -> None:
    """Parsed into the model by both APIs."""
    opened = client(simulator)
    parsed = opened.chat.completions.parse(model="gpt-4o", messages=TALK, response_format=City).choices[0].message.parsed
    assert isinstance(parsed, City)
    assert isinstance(opened.responses.parse(model="gpt-4o", input="Say hello", text_format=City).output_parsed, City)


def test_tools(simulator: Simulator, client: Any) -> None:
    """A call, its result, and the answer after it."""
    opened, tools = client(simulator), [{"type": "function", "function": ADD}]
    called = opened.chat.completions.create(model="gpt-4o", messages=TALK, tools=tools, tool_choice="required").choices[0]
    assert called.finish_reason == "tool_calls"
    call = called.message.tool_calls[0]
    assert isinstance(json.loads(call.function.arguments)["a"], int)
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    done = opened.chat.completions.create(model="gpt-4o", messages=[*TALK, called.message, result], tools=tools)
    assert "sunny" in done.choices[0].message.content


def test_tools_of_responses(simulator: Simulator, client: Any) -> None:
    """The same with items."""
    opened, tools = client(simulator), [{"type": "function", "strict": False, **ADD}]
    first = opened.responses.create(model="gpt-4o", input=[USER], tools=tools, tool_choice="required")
    call = first.output[0]
    assert call.type == "function_call"
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    done = opened.responses.create(model="gpt-4o", input=[USER, *first.output, output], tools=tools)
    assert "sunny" in done.output_text


def test_a_refusal(client: Any) -> None:
    """Where the client looks for it."""
    with Simulator(answers={"Say hello": {"refusal": "No."}}) as simulator:
        answer = client(simulator).chat.completions.create(model="gpt-4o", messages=TALK)
    assert (answer.choices[0].message.refusal, answer.choices[0].message.content) == ("No.", None)


def test_models(simulator: Simulator, client: Any) -> None:
    """The listing, and one of them."""
    opened = client(simulator)
    names = {model.id for model in opened.models.list()}
    assert "gpt-4o-mini" in names
    assert Model.model_validate_json(opened.models.with_raw_response.retrieve("gpt-4o").text).id == "gpt-4o"


def test_refused_keys_and_models(simulator: Simulator, client: Any) -> None:
    """401 and 404 are raised as what they are."""
    with pytest.raises(openai.AuthenticationError) as caught:
        client(simulator, key="wrong-key").chat.completions.create(model="gpt-4o", messages=TALK)
    assert caught.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError) as missing:
        client(simulator).chat.completions.create(model="no-such-model", messages=TALK)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError):
        client(simulator).chat.completions.create(model="o3", messages=TALK, max_tokens=5)


TROUBLE = [
    ("auth", 401, openai.AuthenticationError),
    ("permission", 403, openai.PermissionDeniedError),
    ("not_found", 404, openai.NotFoundError),
    ("rate_limit", 429, openai.RateLimitError),
    ("quota", 429, openai.RateLimitError),
    ("server", 500, openai.InternalServerError),
    ("overloaded", 503, openai.InternalServerError),
]


@pytest.mark.parametrize(("word", "status", "error"), TROUBLE)
def test_trouble(failing: Any, client: Any, word: str, status: int, error: type[openai.APIStatusError]) -> None:
    """Every trouble is raised as what it is, for questions and listings."""
    simulator = failing(word)
    for ask in (
        lambda: client(simulator).chat.completions.create(model="gpt-4o", messages=TALK),
        lambda: list(client(simulator).models.list()),
    ):
        with pytest.raises(error) as caught:
            ask()
        assert caught.value.status_code == status
        assert caught.value.body["message"]


def test_streams_are_refused(client: Any) -> None:
    """The one thing it is not given."""
    with Simulator() as simulator:
        with pytest.raises(openai.BadRequestError, match="never streams"):
            client(simulator).chat.completions.create(model="gpt-4o", messages=TALK, stream=True)
        assert simulator.stream_attempts == 1
