"""Google's own client: generateContent, listings, and its errors."""

from __future__ import annotations

import asyncio  # noqa: TID251  (the SDK's own asynchronous client is met, too)
import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from pydantic import BaseModel

from llm_sync.simulator import Simulator

MODEL = "gemini-2.5-flash"


class City(BaseModel):
    """What is asked for."""

    name: str
    population: int
    tags: list[str]


@pytest.fixture
def client() -> Iterator[Callable[..., genai.Client]]:
    """Makes clients; the SDK puts the version behind the base URL itself."""
    opened: list[genai.Client] = []

    def make(simulator: Simulator, key: str = "good-key", version: str | None = None) -> genai.Client:
        base = simulator.url("gemini").removesuffix("/v1beta")
        opened.append(genai.Client(api_key=key, http_options=types.HttpOptions(base_url=base, api_version=version)))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.mark.parametrize("version", [None, "v1beta"])
def test_an_answer(simulator: Simulator, client: Any, version: str | None) -> None:
    """With a system instruction and settings, by the version of the SDK's choice and by the one llm-sync asks."""
    config = types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.5, max_output_tokens=500)
    answer = client(simulator, version=version).models.generate_content(model=MODEL, contents="Say hello", config=config)
    assert "Say hello" in answer.text
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata.total_token_count > answer.usage_metadata.prompt_token_count


def test_a_talk(simulator: Simulator, client: Any) -> None:
    """Several turns."""
    talk = client(simulator).chats.create(model=MODEL)
    assert "Say hello" in talk.send_message("Say hello").text
    assert "once more" in talk.send_message("once more").text


def test_thoughts(simulator: Simulator, client: Any) -> None:
    """Shown when asked for, and billed."""
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024))
    answer = client(simulator).models.generate_content(model=MODEL, contents="Say hello", config=config)
    assert [bool(part.thought) for part in answer.candidates[0].content.parts] == [True, False]
    assert answer.usage_metadata.thoughts_token_count > 0


@pytest.mark.parametrize("name", ["response_schema", "response_json_schema"])
def test_structured_output(simulator: Simulator, client: Any, name: str) -> None:
    """Parsed into the model, whichever way the schema is sent."""
    schema = City if name == "response_schema" else City.model_json_schema()
    config = types.GenerateContentConfig(response_mime_type="application/json", **{name: schema})
    answer = client(simulator).models.generate_content(model=MODEL, contents="Say hello", config=config)
    assert City.model_validate(answer.parsed if isinstance(answer.parsed, dict) else answer.parsed.model_dump())


@pytest.mark.parametrize("model", [MODEL, "gemini-3-pro-preview"])
def test_tools(simulator: Simulator, client: Any, model: str) -> None:
    """A call, its result, and the answer after it; signatures go back with their calls."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    tool = types.Tool(function_declarations=[types.FunctionDeclaration(name="add", parameters_json_schema=schema)])
    forced = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY"))
    opened = client(simulator)
    config = types.GenerateContentConfig(tools=[tool], tool_config=forced)
    called = opened.models.generate_content(model=model, contents="Say hello", config=config)
    assert isinstance(called.function_calls[0].args["a"], int)
    question = types.Content(role="user", parts=[types.Part(text="Say hello")])
    result = types.Part.from_function_response(name="add", response={"result": "sunny"})
    talk = [question, called.candidates[0].content, types.Content(role="user", parts=[result])]
    config = types.GenerateContentConfig(tools=[tool])
    assert opened.models.generate_content(model=model, contents=talk, config=config).text


def test_pictures(simulator: Simulator, client: Any, pixel: str) -> None:
    """Seen, and paid for; what is none is refused."""

    def look(content: bytes) -> types.GenerateContentResponse:
        parts = [types.Part.from_bytes(data=content, mime_type="image/png"), types.Part(text="What is it?")]
        return client(simulator).models.generate_content(model=MODEL, contents=parts)

    assert look(base64.b64decode(pixel)).usage_metadata.prompt_token_count > 258
    with pytest.raises(errors.ClientError, match="image is not valid"):
        look(b"hello")


def test_stop_sequences(simulator: Simulator, client: Any) -> None:
    """The text ends before the first of them; five at most."""
    opened = client(simulator)
    whole = opened.models.generate_content(model=MODEL, contents="Say hello").text
    word = whole.split()[2]
    config = types.GenerateContentConfig(stop_sequences=["nowhere", word])
    assert opened.models.generate_content(model=MODEL, contents="Say hello", config=config).text == whole.partition(word)[0]
    with pytest.raises(errors.ClientError, match="at most 5"):
        opened.models.generate_content(
            model=MODEL, contents="Say hello", config=types.GenerateContentConfig(stop_sequences=list("abcdef"))
        )


@pytest.mark.parametrize("token", ["good-token", "wrong-token"])
def test_by_google_cloud(simulator: Simulator, token: str) -> None:
    """The SDK builds the path from project and location, and sends a token."""
    options = types.HttpOptions(base_url=simulator.root)
    made = genai.Client(
        vertexai=True, project="p", location="us-central1", credentials=Credentials(token=token), http_options=options
    )
    with made as opened:
        if token == "wrong-token":
            with pytest.raises(errors.ClientError) as caught:
                opened.models.generate_content(model=MODEL, contents="Say hello")
            assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
        else:
            assert "Say hello" in opened.models.generate_content(model=MODEL, contents="Say hello").text


def test_a_block(client: Any) -> None:
    """Its finish reason, and no text."""
    with Simulator(answers={"Say hello": {"refusal": "No."}, "Bad": {"refusal": "prompt: PROHIBITED_CONTENT"}}) as simulator:
        opened = client(simulator)
        answer = opened.models.generate_content(model=MODEL, contents="Say hello")
        assert (answer.text, answer.candidates[0].finish_reason) == (None, types.FinishReason.SAFETY)
        blocked = opened.models.generate_content(model=MODEL, contents="Bad")
        assert blocked.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT


def test_models(simulator: Simulator, client: Any) -> None:
    """All pages of the listing, and one of them."""
    opened = client(simulator)
    names = [model.name for model in opened.models.list(config={"page_size": 7})]
    assert len(set(names)) == len(names) > 50
    assert opened.models.get(model=MODEL).name == f"models/{MODEL}"


def test_refused_keys_and_models(simulator: Simulator, client: Any) -> None:
    """A bad key is 400 here, no key 403; a model that is not there 404."""
    for key, model, code, status in (
        ("wrong-key", MODEL, 400, "INVALID_ARGUMENT"),
        ("good-key", "no-such-model", 404, "NOT_FOUND"),
    ):
        with pytest.raises(errors.ClientError) as caught:
            client(simulator, key).models.generate_content(model=model, contents="Say hello")
        assert (caught.value.code, caught.value.status) == (code, status)


TROUBLE = [
    ("auth", 400, errors.ClientError, "INVALID_ARGUMENT"),
    ("permission", 403, errors.ClientError, "PERMISSION_DENIED"),
    ("not_found", 404, errors.ClientError, "NOT_FOUND"),
    ("rate_limit", 429, errors.ClientError, "RESOURCE_EXHAUSTED"),
    ("server", 500, errors.ServerError, "INTERNAL"),
    ("overloaded", 503, errors.ServerError, "UNAVAILABLE"),
]


@pytest.mark.parametrize(("word", "code", "error", "status"), TROUBLE)
def test_trouble(failing: Any, client: Any, word: str, code: int, error: type[errors.APIError], status: str) -> None:
    """Every trouble is raised as what it is, for questions and listings."""
    simulator = failing(word)
    for ask in (
        lambda: client(simulator).models.generate_content(model=MODEL, contents="Say hello"),
        lambda: list(client(simulator).models.list()),
    ):
        with pytest.raises(error) as caught:
            ask()
        assert (caught.value.code, caught.value.status) == (code, status)


def test_a_refused_token(simulator: Simulator) -> None:
    """A token in place of a key is 401 on this API."""
    base = simulator.url("gemini").removesuffix("/v1beta")
    headers = {"Authorization": "Bearer expired", "x-goog-api-key": ""}
    client = genai.Client(api_key="unused", http_options=types.HttpOptions(base_url=base, headers=headers))
    with client as opened, pytest.raises(errors.ClientError) as caught:
        opened.models.generate_content(model=MODEL, contents="Say hello")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")


def test_streams_are_refused(client: Any) -> None:
    """The one thing it is not given."""
    with Simulator() as simulator:
        with pytest.raises(errors.ClientError, match="never streams"):
            list(client(simulator).models.generate_content_stream(model=MODEL, contents="Say hello"))
        assert simulator.stream_attempts == 1


def test_asynchronous_streams_are_refused_too(client: Any) -> None:
    """Refused and counted; a question that is not streamed is answered."""

    async def ask(opened: Any) -> types.GenerateContentResponse:
        with pytest.raises(errors.ClientError, match="never streams"):
            async for _ in await opened.models.generate_content_stream(model=MODEL, contents="Say hello"):
                pass
        answer = await opened.models.generate_content(model=MODEL, contents="Say hello")
        await opened.aclose()
        return answer

    with Simulator() as simulator:
        assert "Say hello" in asyncio.run(ask(client(simulator).aio)).text
        assert simulator.stream_attempts == 1


def test_interactions(simulator: Simulator, client: Any) -> None:
    """Steps, calls of tools, and one in the background; errors by their classes."""
    made = client(simulator).interactions
    answer = made.create(model="gemini-3.5-flash", input="Say hello", store=False)
    assert (answer.status, [step.type for step in answer.steps]) == ("completed", ["thought", "model_output"])
    assert answer.usage.total_tokens > answer.usage.total_input_tokens
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    called = made.create(model="gemini-3.5-flash", input="go", tools=[tool], generation_config={"tool_choice": "any"})
    assert (called.status, called.steps[-1].name) == ("requires_action", "f")
    waiting = made.create(model="gemini-3.5-flash", input="Say hello", background=True)
    assert waiting.status == "in_progress"
    simulator.advance(3600)
    assert made.get(waiting.id).status == "completed"
    with pytest.raises(Exception, match="not found") as caught:
        made.create(model="no-such-model", input="x")
    assert type(caught.value).__name__ == "NotFoundError"
