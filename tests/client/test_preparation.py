"""What a request becomes before it is queued, and what is refused there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from llm_sync import (
    AuthenticationError,
    InvalidRequestError,
    LLMClient,
    Message,
    ModelNotFoundError,
    ModelRequest,
    ProviderStatus,
    ToolCall,
)
from llm_sync.simulator import Simulator

OpenClient = Callable[..., LLMClient]

OPENAI = "openai/gpt-4o-mini"
ANTHROPIC = "anthropic/claude-haiku-4-5"
PATIENCE_S = 10.0


# What is refused

WRONG: dict[str, tuple[ModelRequest, dict[str, Any], type[Exception], str]] = {
    "no such model": (ModelRequest("x", "gpt-9"), {}, ModelNotFoundError, "gpt-9"),
    "no model": (ModelRequest("x"), {}, InvalidRequestError, "no model"),
    "timeout of 0": (ModelRequest("x", OPENAI), {"timeout": 0}, InvalidRequestError, "timeout=0"),
    "timeout that is not a number": (ModelRequest("x", OPENAI), {"timeout": math.nan}, InvalidRequestError, "timeout=nan"),
    "deadline for ever": (ModelRequest("x", OPENAI), {"deadline": math.inf}, InvalidRequestError, "deadline=inf"),
    "deadline beyond floats": (ModelRequest("x", OPENAI), {"deadline": 10**400}, InvalidRequestError, "deadline="),
    "timeout yes": (ModelRequest("x", OPENAI), {"timeout": True}, InvalidRequestError, "timeout=True"),
    "timeout in words": (ModelRequest("x", OPENAI), {"timeout": "2 s"}, InvalidRequestError, "timeout=a str"),
    "wait_timeout below 0": (ModelRequest("x", OPENAI), {"wait_timeout": -1}, InvalidRequestError, "wait_timeout=-1"),
    "max_retries below 0": (ModelRequest("x", OPENAI), {"max_retries": -1}, InvalidRequestError, "max_retries=-1"),
    "half a retry": (ModelRequest("x", OPENAI), {"max_retries": 0.5}, InvalidRequestError, "max_retries=0.5"),
    "max_retries yes": (ModelRequest("x", OPENAI), {"max_retries": True}, InvalidRequestError, "max_retries=True"),
    "no such image": (ModelRequest("x", OPENAI, images=["/no/such.png"]), {}, InvalidRequestError, "/no/such.png"),
    "a set": (ModelRequest("x", OPENAI, provider_specific={"a": [{1}]}), {}, InvalidRequestError, "holds a set"),
    "bytes": (ModelRequest("x", OPENAI, provider_specific={"a": b"x"}), {}, InvalidRequestError, "holds a bytes"),
    "a generator": (ModelRequest("x", OPENAI, provider_specific={"a": iter(())}), {}, InvalidRequestError, "iterator"),
    "NaN within": (ModelRequest("x", OPENAI, provider_specific={"a": math.nan}), {}, InvalidRequestError, "holds nan"),
    "a surrogate within": (ModelRequest("x", OPENAI, tools=[{"name": "\ud800"}]), {}, InvalidRequestError, "U\\+D800"),
    "a tool without a name": (ModelRequest("x", OPENAI, tools=[{"parameters": {}}]), {}, InvalidRequestError, "no name"),
    "no such tool": (ModelRequest("x", ANTHROPIC, tool_choice="look"), {}, InvalidRequestError, "tool_choice 'look' is unknown"),
    "a field of the request's own": (
        ModelRequest("x", OPENAI, provider_specific={"messages": []}),
        {},
        InvalidRequestError,
        "which the request itself carries",
    ),
    "no JSON Schema": (ModelRequest("x", OPENAI, response_schema={"type": 5}), {}, InvalidRequestError, "not a JSON Schema"),
}


@pytest.mark.parametrize("ask", ["generate_response", "submit"])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_is_refused_before_anything_is_queued(
    client: LLMClient, upstream: Simulator, name: str, ask: str
) -> None:
    """What can be told in the caller's thread is raised there; the queues and the providers never hear of it."""
    request, options, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        getattr(client, ask)(request, **options)
    assert all(status == ProviderStatus() for status in client.status().values())
    assert upstream.requests == []


UNUSABLE: dict[str, tuple[str, type[Exception], str]] = {
    "a header's variable is unset": ("headers: {X-Team: '${NOBODY_SETS_THIS}'}", AuthenticationError, "NOBODY_SETS_THIS"),
    "the URL's variable is unset": ("base_url: 'https://${NOBODY_SETS_THIS}/v1'", AuthenticationError, "NOBODY_SETS_THIS"),
    "the key's variable is unset": ("api_key: '${NOBODY_SETS_THIS}'", AuthenticationError, "NOBODY_SETS_THIS"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_provider_that_lacks_something_is_told_before_anything_is_queued(
    open_client: OpenClient, upstream: Simulator, name: str
) -> None:
    """Neither the good requests before it nor those behind it are sent."""
    setting, error, message = UNUSABLE[name]
    key = "" if setting.startswith("api_key") else "api_key: k-0123456789, "
    url = "" if setting.startswith("base_url") else ', base_url: "<openai>"'
    client = open_client(
        "providers:\n"
        '  good: {type: openai, api_key: k-0123456789, base_url: "<openai>"}\n'
        f"  bad: {{type: openai, {key}{setting}{url}}}"
    )
    with pytest.raises(error, match=message):
        client.generate_responses_concurrent(
            [ModelRequest("x", "good/m"), ModelRequest("x", "bad/m"), ModelRequest("x", "good/m")]
        )
    with pytest.raises(error, match=message):
        client.submit(ModelRequest("x", "bad/m"))
    assert upstream.requests == []
    assert all(status == ProviderStatus() for status in client.status().values())


@pytest.mark.parametrize("source", ["api_key_file: no-such-file", 'api_key_command: ["false"]'])
def test_key_files_and_commands_are_read_by_the_worker(open_client: OpenClient, source: str) -> None:
    """They take time, so the caller does not wait for them: submit takes the request, and the future carries the error."""
    client = open_client(f'providers: {{p: {{type: openai, {source}, base_url: "<openai>"}}}}')
    future = client.submit(ModelRequest("x", "p/m"))
    assert isinstance(future.exception(PATIENCE_S), AuthenticationError)


def test_a_mistake_in_a_payload_stops_a_list_before_its_first_request(client: LLMClient, upstream: Simulator) -> None:
    """What only the dialect can see is seen before anything is queued, too."""
    wrong = ModelRequest("x", ANTHROPIC, tools=[{"name": "look", "parameters": ["x"]}])
    with pytest.raises(InvalidRequestError, match="not a mapping"):
        client.generate_responses_concurrent([ModelRequest("x", OPENAI), wrong])
    assert upstream.requests == []


def test_a_mistake_in_a_payload_is_raised_at_its_place_in_a_map(client: LLMClient) -> None:
    """The answers to what came before it are given first."""
    wrong = ModelRequest("x", ANTHROPIC, tools=[{"name": "look", "parameters": ["x"]}])
    answers = client.map([ModelRequest("first", OPENAI), wrong, ModelRequest("never", OPENAI)])
    assert "first" in next(answers).text
    with pytest.raises(InvalidRequestError, match="not a mapping"):
        next(answers)


def test_what_strict_refuses_is_refused_before_anything_is_queued(open_client: OpenClient, upstream: Simulator) -> None:
    """A setting that the model does not take."""
    client = open_client(strict=True)
    with pytest.raises(InvalidRequestError, match="temperature=0.5 cannot be sent"):
        client.submit(ModelRequest("x", "openai/o3", temperature=0.5))
    assert upstream.requests == []


def test_something_that_holds_itself_is_refused(client: LLMClient) -> None:
    """A circle cannot be sent; it neither hangs the call nor shows a RecursionError."""
    circle: dict[str, Any] = {}
    circle["self"] = circle
    with pytest.raises(InvalidRequestError, match="provider_specific is nested too deeply, or holds itself"):
        client.submit(ModelRequest("x", OPENAI, provider_specific=circle))


HOSTILE = {
    "NUL": "a\0b",
    "emoji": "👩‍👩‍👧‍👦 🇪🇺",
    "right to left": "\u202eabc\u202c",
    "all line ends": "a\r\nb\u2028c\x85d",
    "5 MB": "x" * 5_000_000,
    "quotes": "\"'\\`${HOME}`",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("model", [OPENAI, ANTHROPIC])
def test_hostile_prompts_arrive_as_they_are(client: LLMClient, upstream: Simulator, name: str, model: str) -> None:
    """Whatever text can be encoded reaches the provider unchanged, and comes back as an answer or as the provider's error."""
    try:
        client.generate(HOSTILE[name], model, max_tokens=50)
    except InvalidRequestError as error:
        assert name == "5 MB", error  # longer than the simulated context windows  # noqa: PT017
    content = upstream.requests[0].payload["messages"][0]["content"]
    assert content == HOSTILE[name]


def test_mutable_parts_are_copied_at_submit(client: LLMClient, upstream: Simulator) -> None:
    """What the caller changes after submit, while the request waits, changes nothing of what is sent and told."""
    extra: dict[str, Any] = {"metadata": {"run": "1"}, "stream_options": {"include_usage": True}}
    parameters: dict[str, Any] = {"type": "object", "properties": {}}
    tools = [{"name": "look", "parameters": parameters}]
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
    arguments: dict[str, Any] = {"where": "here"}
    messages = [
        Message("user", "look"),
        Message("assistant", None, tool_calls=[ToolCall("c1", "look", arguments, '{"where": "here"}')]),
        Message("tool", "nothing", tool_call_id="c1"),
    ]
    request = ModelRequest(messages=messages, model=OPENAI, tools=tools, response_schema=schema, provider_specific=extra)
    untouched = ModelRequest("empty", ANTHROPIC, provider_specific=(later := {}))
    with upstream.hold() as hold:
        blocking = [client.submit(ModelRequest("first", model)) for model in (OPENAI, ANTHROPIC)]
        hold.wait(2)
        futures = [client.submit(request), client.submit(untouched)]
        extra["metadata"]["run"] = "2"
        extra["stream_options"]["include_usage"] = False
        extra["model"] = "another"
        parameters["properties"]["x"] = {}
        tools.append({"name": "run"})
        schema["properties"].clear()
        arguments["where"] = "there"
        messages.clear()
        later["top_k"] = 1
    answers = [future.result(PATIENCE_S) for future in [*blocking, *futures]]
    sent = next(record.payload for record in upstream.requests if "tools" in record.payload)
    assert sent["metadata"] == {"run": "1"}
    assert sent["model"] == "gpt-4o-mini"
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["look"]
    assert sent["tools"][0]["function"]["parameters"]["properties"] == {}
    assert sent["response_format"]["json_schema"]["schema"]["properties"] == {"a": {"type": "string"}}
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "tool"]
    assert "there" not in str(sent)
    assert [a.asked for a in answers[2].adjustments if a.parameter == "stream_options"] == [{"include_usage": True}]
    assert not [record for record in upstream.requests if "top_k" in record.payload]


# What is sent

LEVELS = """
defaults: {temperature: 0.1, top_p: 0.2, max_tokens: 11, seed: 1, system_prompt: from defaults,
  provider_specific: {user: defaults, metadata: {level: defaults}}}
providers:
  openai:
    api_key: test-key
    base_url: "<openai>"
    temperature: 0.3
    top_p: 0.4
    default_params: {max_tokens: 22}
    provider_specific: {user: provider}
    models:
      - {name: gpt-4o-mini, temperature: 0.5, provider_specific: {user: model}}
      - gpt-4o
"""


def test_a_value_comes_from_the_nearest_level(open_client: OpenClient, upstream: Simulator) -> None:
    """The call before the model entry, before the provider, before the file's defaults."""
    client = open_client(LEVELS)
    client.generate("x", "gpt-4o-mini")
    client.generate("x", "gpt-4o-mini", temperature=0.9, system_prompt="from the call", provider_specific={"user": "call"})
    client.generate("x", "gpt-4o")
    client.generate("x", "openai/gpt-4.1")
    names = ("temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "user")
    sent = [
        (*(record.payload[name] for name in names if name in record.payload), record.payload["messages"][0]["content"])
        for record in upstream.requests
    ]
    assert sent == [
        (0.5, 0.4, 22, 1, "model", "from defaults"),
        (0.9, 0.4, 22, 1, "call", "from the call"),
        (0.3, 0.4, 22, 1, "provider", "from defaults"),
        (0.3, 0.4, 22, 1, "provider", "from defaults"),
    ]
    assert {str(record.payload["metadata"]) for record in upstream.requests} == {"{'level': 'defaults'}"}


def test_a_value_of_zero_or_nothing_counts_as_given(open_client: OpenClient, upstream: Simulator) -> None:
    """temperature=0 and an empty system prompt are values of the call; the configuration's do not replace them."""
    client = open_client(LEVELS)
    client.generate("x", "gpt-4o-mini", temperature=0, seed=0)
    assert (upstream.requests[0].payload["temperature"], upstream.requests[0].payload["seed"]) == (0, 0)


def test_none_is_not_sent(client: LLMClient, upstream: Simulator) -> None:
    """Without defaults a request carries the model, the messages and that it is no stream, nothing else."""
    client.generate("x", OPENAI, temperature=None, stop_sequences=None, tools=None, images=None, provider_specific=None)
    assert upstream.requests[0].payload == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "x"}],
        "stream": False,
    }


def test_no_stop_sequences_in_a_call_undo_the_configured_ones(open_client: OpenClient, upstream: Simulator) -> None:
    """An empty list is a value: the default does not come back, and no empty list is sent."""
    client = open_client('defaults: {stop_sequences: [END]}\nproviders: {openai: {api_key: test-key, base_url: "<openai>"}}')
    client.generate("x", "gpt-4o-mini")
    client.generate("x", "gpt-4o-mini", stop_sequences=[])
    assert [record.payload.get("stop") for record in upstream.requests] == [["END"], None]


def test_the_model_need_not_be_named_where_one_is_obvious(open_client: OpenClient) -> None:
    """The file's default model answers requests that name none."""
    client = open_client('defaults: {model: openai/gpt-4o}\nproviders: {openai: {api_key: test-key, base_url: "<openai>"}}')
    assert client.generate("x").model.startswith("gpt-4o-2024")
