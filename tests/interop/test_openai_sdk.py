"""OpenAI's own client: chat completions, responses, listings, and its errors; against OpenRouter's door too."""

from __future__ import annotations

import asyncio  # noqa: TID251  (the SDK's own asynchronous clients are met, too)
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


def test_pictures(simulator: Simulator, client: Any, pixel: str) -> None:
    """Seen by both APIs, and paid for; what is none is refused."""
    opened, url = client(simulator), f"data:image/png;base64,{pixel}"

    def look(found: str) -> ChatCompletion:
        parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": found, "detail": "low"}}]
        return opened.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": parts}])

    assert look(url).usage.prompt_tokens > 85
    with pytest.raises(openai.BadRequestError) as caught:
        look("data:image/png;base64,A")
    assert caught.value.code == "invalid_base64"
    parts = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": url, "detail": "auto"}]
    assert opened.responses.create(model="gpt-4o", input=[{"role": "user", "content": parts}]).output_text


def test_stop_sequences(simulator: Simulator, client: Any) -> None:
    """The text ends before the first of them."""
    whole = client(simulator).chat.completions.create(model="gpt-4o", messages=TALK).choices[0].message.content
    word = whole.split()[2]
    cut = client(simulator).chat.completions.create(model="gpt-4o", messages=TALK, stop=["\n\n\n", word]).choices[0]
    assert (cut.message.content, cut.finish_reason) == (whole.partition(word)[0], "stop")


def test_log_probabilities_and_several_choices(simulator: Simulator, client: Any) -> None:
    """As many as were asked for, each with all its tokens."""
    answer = client(simulator).chat.completions.create(model="gpt-4o", messages=TALK, n=2, logprobs=True, top_logprobs=3)
    assert len(answer.choices) == 2
    for choice in answer.choices:
        assert "".join(entry.token for entry in choice.logprobs.content) == choice.message.content
        assert {len(entry.top_logprobs) for entry in choice.logprobs.content} == {3}


def test_where_the_system_prompt_may_stand(simulator: Simulator, client: Any) -> None:
    """As developer for models that reason, in the middle, and not at all for those that take none."""
    create = client(simulator).chat.completions.create
    assert create(model="o3", messages=[{"role": "developer", "content": "Be brief."}, USER]).choices[0].message.content
    assert create(model="gpt-4o", messages=[USER, TALK[0], USER]).choices[0].message.content
    with pytest.raises(openai.BadRequestError) as caught:
        create(model="o1-mini", messages=TALK)
    assert caught.value.code == "unsupported_value"


@pytest.mark.parametrize("key", ["good-key", "wrong-key"])
@pytest.mark.parametrize(
    ("door", "model"), [("azure", "gpt-4o"), ("gemini-openai", "gemini-2.5-flash"), ("anthropic-openai", "claude-haiku-4-5")]
)
def test_other_doors_with_openais_client(simulator: Simulator, client: Any, door: str, model: str, key: str) -> None:
    """Whoever speaks OpenAI's chat completions is reached by base URL."""
    opened = client(simulator, door, key)
    if key == "wrong-key":
        with pytest.raises(openai.AuthenticationError):
            opened.chat.completions.create(model=model, messages=TALK)
    else:
        assert "Say hello" in opened.chat.completions.create(model=model, messages=TALK).choices[0].message.content


def test_azures_own_client(simulator: Simulator) -> None:
    """It builds the classic path from the deployment, and asks for a version."""
    made = {"azure_endpoint": f"{simulator.root}/azure", "api_version": "2024-10-21", "max_retries": 0}
    with openai.AzureOpenAI(api_key="good-key", **made) as opened:
        answer = opened.chat.completions.create(model="my-deployment", messages=TALK)
        assert "Say hello" in answer.choices[0].message.content
        with pytest.raises(openai.NotFoundError) as caught:
            opened.chat.completions.create(model="no-such", messages=TALK)
        assert caught.value.code == "DeploymentNotFound"
    with openai.AzureOpenAI(api_key="wrong-key", **made) as refused, pytest.raises(openai.AuthenticationError):
        refused.chat.completions.create(model="my-deployment", messages=TALK)


def test_openrouters_listing_and_errors(simulator: Simulator, client: Any) -> None:
    """A list whose items have more, and errors that say less."""
    assert "openai/gpt-4o-mini" in {model.id for model in client(simulator, "openrouter").models.list()}
    with pytest.raises(openai.NotFoundError):
        client(simulator, "openrouter").chat.completions.create(model="openai/no-such", messages=TALK)
    with pytest.raises(openai.AuthenticationError):
        client(simulator, "openrouter", "wrong-key").chat.completions.create(model="openai/gpt-4o", messages=TALK)


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


def test_asynchronous_streams_are_refused_too(client: Any) -> None:
    """By both APIs, each counted; a question that is not streamed is answered."""

    async def ask(base_url: str) -> ChatCompletion:
        async with openai.AsyncOpenAI(api_key="good-key", base_url=base_url, max_retries=0) as opened:
            with pytest.raises(openai.BadRequestError, match="never streams"):
                await opened.chat.completions.create(model="gpt-4o", messages=TALK, stream=True)
            with pytest.raises(openai.BadRequestError, match="never streams"):
                await opened.responses.create(model="gpt-4o", input="Say hello", stream=True)
            return await opened.chat.completions.create(model="gpt-4o", messages=TALK)

    with Simulator() as simulator:
        assert "Say hello" in asyncio.run(ask(simulator.url("openai"))).choices[0].message.content
        assert simulator.stream_attempts == 2
