"""anthropic's client over llm-sync: what is sent, what comes back, what is refused."""

from __future__ import annotations

import base64
import pickle
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.compat import anthropic
from llm_sync.compat.anthropic.types import Message, TextBlock, ToolUseBlock  # type: ignore[attr-defined]

HELLO = [{"role": "user", "content": "Say hello"}]
MODEL = "claude-haiku-4-5"
ADD = {"name": "add", "description": "Add", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}


def test_a_message_is_what_the_provider_sent(claude: Any, upstream: Any) -> None:
    """Blocks by their classes, usage as on the wire."""
    message = claude.messages.create(model=MODEL, max_tokens=500, messages=HELLO, system="Be brief", temperature=0.5, top_k=3)
    assert isinstance(message, Message)
    assert isinstance(message.content[0], TextBlock)
    assert "Say hello" in message.content[0].text
    assert (message.stop_reason, message.role, message.type) == ("end_turn", "assistant", "message")
    assert message.usage.input_tokens > 0
    assert message._request_id.startswith("req_")
    (body,) = upstream.bodies
    assert (body["system"], body["temperature"], body["top_k"], body["max_tokens"]) == ("Be brief", 0.5, 3, 500)
    assert body["messages"] == HELLO


def test_a_tools_loop_goes_round(claude: Any, upstream: Any) -> None:
    """The model's own blocks are handed back, with the result and more text."""
    first = claude.messages.create(model=MODEL, max_tokens=500, messages=HELLO, tools=[ADD], tool_choice={"type": "any"})
    (call,) = first.content
    assert isinstance(call, ToolUseBlock)
    assert first.stop_reason == "tool_use"
    assert type(call.input) is dict
    messages = [
        *HELLO,
        {"role": "assistant", "content": first.content},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "5"}, {"type": "text", "text": "Well?"}],
        },
    ]
    assert claude.messages.create(model=MODEL, max_tokens=500, messages=messages, tools=[ADD]).content[0].text
    sent = upstream.bodies[1]["messages"]
    assert sent[1]["content"] == [{"type": "tool_use", "id": call.id, "name": "add", "input": call.input}]
    assert sent[2]["content"][0] == {"type": "tool_result", "tool_use_id": call.id, "content": "5"}


def test_images_and_texts_of_a_turn(claude: Any, upstream: Any) -> None:
    """They go in the order in which they came."""
    text = {"type": "text", "text": "What is this?"}
    message = claude.messages.create(model=MODEL, max_tokens=500, messages=[{"role": "user", "content": [IMAGE, text]}])
    assert upstream.bodies[0]["messages"] == [{"role": "user", "content": [IMAGE, text]}]
    assert message.adjustments == ()
    message = claude.messages.create(model=MODEL, max_tokens=500, messages=[{"role": "user", "content": [text, IMAGE]}])
    assert upstream.bodies[1]["messages"] == [{"role": "user", "content": [text, IMAGE]}]
    assert message.adjustments == ()


def test_documents_go_as_they_are(claude: Any, upstream: Any) -> None:
    """A PDF and a text, with their titles."""
    pdf = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(b"%PDF-1.7 x").decode()}
    text = {"type": "text", "media_type": "text/plain", "data": "Grüße"}
    blocks = [
        {"type": "document", "source": pdf, "title": "report.pdf", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "document", "source": text, "title": "notes"},
        {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
        {"type": "text", "text": "Compare"},
    ]
    claude.messages.create(model=MODEL, max_tokens=500, messages=[{"role": "user", "content": blocks}])
    assert upstream.bodies[0]["messages"][0]["content"] == blocks


def test_cache_control_goes_where_it_stood(claude: Any, upstream: Any) -> None:
    """On texts, the system prompt, calls and their results; the simulator refuses it where it may not be."""
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    tools = [{"name": "add", "input_schema": {"type": "object", "properties": {}}, **mark}]
    use = {"type": "tool_use", "id": "c", "name": "add", "input": {}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "a", **mark}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "So"}, {**use, **mark}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "5", **mark}]},
    ]
    message = claude.messages.create(model=MODEL, max_tokens=500, messages=messages, tools=tools)
    assert upstream.bodies[0]["messages"] == messages
    assert upstream.bodies[0]["tools"] == tools
    assert message.adjustments == ()


def test_what_turns_do_not_carry_is_told(claude: Any, upstream: Any) -> None:
    """Citations: left out, with an entry. A marked system prompt stays a list."""
    messages = [*HELLO, {"role": "assistant", "content": "a"}]
    messages.append({"role": "user", "content": [{"type": "text", "text": "b", "citations": [{"type": "x"}]}]})
    system = [{"type": "text", "text": "one", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "two"}]
    message = claude.messages.create(model=MODEL, max_tokens=500, messages=messages, system=system)
    assert [each.parameter for each in message.adjustments] == ["messages[2].content[0].citations"]
    assert upstream.bodies[0]["system"] == system


def test_thinking_goes_back_as_it_came(claude: Any, upstream: Any) -> None:
    """Thinking blocks of a turn go back whole, in their places, and the model goes on thinking."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    tools = [{"name": "add", "input_schema": {"type": "object", "properties": {}}}]
    given = {"model": "claude-sonnet-4-5", "max_tokens": 3000, "tools": tools, "thinking": thinking}
    blocks = [
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "Let me add."},
        {"type": "tool_use", "id": "c", "name": "add", "input": {}},
    ]
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "5"}]}
    answer = claude.messages.create(messages=[*HELLO, {"role": "assistant", "content": blocks}, result], **given)
    assert upstream.bodies[0]["messages"][1] == {"role": "assistant", "content": blocks}
    assert upstream.bodies[0]["thinking"] == thinking
    assert answer.adjustments == ()


def test_calls_without_their_thinking_are_answered_without_thinking(claude: Any, upstream: Any) -> None:
    """Anthropic refuses to think on where the turn that called the tools has no thinking blocks: it is told."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    tools = [{"name": "add", "input_schema": {"type": "object", "properties": {}}}]
    turns: list[Any] = [{"role": "user", "content": "Add"}]
    given = {"model": "claude-sonnet-4-5", "max_tokens": 3000, "tools": tools}
    first = claude.messages.create(messages=turns, thinking=thinking, **given)
    assert upstream.bodies[0]["thinking"] == thinking
    assert "thinking" not in [each.parameter for each in first.adjustments]
    turns.append({"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "add", "input": {}}]})
    turns.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "5"}]})
    second = claude.messages.create(messages=turns, thinking=thinking, **given)
    assert "thinking" not in upstream.bodies[1]
    assert "thinking" in [each.parameter for each in second.llm_sync[0].adjustments]
    claude.messages.create(messages=turns, thinking={"type": "adaptive"}, **{**given, "model": "claude-sonnet-4-6"})
    assert upstream.bodies[2]["thinking"] == {"type": "adaptive"}


def test_one_tool_at_a_time_can_be_asked_for(claude: Any, upstream: Any) -> None:
    """disable_parallel_tool_use stands beside the choice."""
    choice = {"type": "tool", "name": "add", "disable_parallel_tool_use": True}
    claude.messages.create(model=MODEL, max_tokens=500, messages=HELLO, tools=[ADD], tool_choice=choice)
    assert upstream.bodies[0]["tool_choice"] == choice


def test_models_are_listed_on_one_page(claude: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A limit is told to have no effect."""
    page = claude.models.list(limit=2)
    assert len(page.data) == len([model.id for model in page]) > 2
    assert not page.has_more
    assert page.data[0].type == "model"
    assert [each.parameter for each in page.adjustments] == ["limit"]
    assert capsys.readouterr().err.count("models.list: limit is not sent") == 1
    assert claude.models.retrieve("claude-opus-5").id == "claude-opus-5"
    with pytest.raises(anthropic.NotFoundError):
        claude.models.retrieve("claude-none")


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (402, "PaymentRequiredError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
        (413, "ContentTooLargeError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (503, "ServiceUnavailableError"),
        (529, "OverloadedError"),
    ],
)
def test_statuses_are_anthropics_exceptions(claude: Any, upstream: Any, status: int, name: str) -> None:
    """With the provider's whole body, its type and request id."""
    body = {"type": "error", "error": {"type": "some_error", "message": "no"}, "request_id": "req_2"}
    upstream.fail(status, body)
    with pytest.raises(anthropic.APIStatusError) as caught:
        claude.messages.create(model=MODEL, max_tokens=5, messages=HELLO)
    error = caught.value
    assert type(error) is getattr(anthropic, name)
    assert (error.status_code, error.request_id, error.body, error.type) == (status, "req_1", body, "some_error")
    assert error.message == f"Error code: {status} - {body}" == str(error)
    assert error.response.json() == body
    assert isinstance(error, errors.LLMConnectorError)
    assert isinstance(error.__cause__, errors.ProviderError)


def test_no_answer_in_time_is_a_timeout(claude: Any, upstream: Any) -> None:
    """And no connection an APIConnectionError, which a timeout is too."""
    with upstream.simulator.hold(), pytest.raises(anthropic.APITimeoutError):
        claude.with_options(timeout=anthropic.Timeout(0.2, connect=5)).messages.create(model=MODEL, max_tokens=5, messages=HELLO)
    with pytest.raises(anthropic.APIConnectionError):
        claude.with_options(base_url="http://127.0.0.1:9").messages.create(model=MODEL, max_tokens=5, messages=HELLO)
    assert issubclass(anthropic.APITimeoutError, anthropic.APIConnectionError)


def test_a_token_goes_into_authorization(upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """auth_token, given or in the environment; without any key, a TypeError as in the original."""
    bare = anthropic.Anthropic(base_url=upstream.url("anthropic"))
    with pytest.raises(TypeError, match="authentication"):
        bare.messages.create(model=MODEL, max_tokens=5, messages=HELLO)
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-0123456789")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", upstream.url("anthropic"))
    settings = anthropic.Anthropic().context().settings
    assert settings.headers == (("Authorization", "Bearer token-0123456789"),)
    assert settings.api_key is None
    assert "token" not in repr(settings)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda client: client.messages.create(model=MODEL, max_tokens=5, messages=HELLO, stream=True), "stream=True"),
        (lambda client: client.messages.stream(model=MODEL), "messages.stream"),
        (lambda client: client.messages.batches.create(), "messages.batches.create"),
        (lambda client: client.messages.count_tokens(), "messages.count_tokens"),
        (lambda client: client.beta.messages.create(), "beta.messages.create"),
        (lambda client: client.completions.create(), "completions.create"),
        (lambda client: client.files.upload(), "files.upload"),
        (lambda _: anthropic.AsyncAnthropic(), "AsyncAnthropic"),
        (lambda _: anthropic.AnthropicVertex(region="x"), "AnthropicVertex"),
        (lambda _: anthropic.Anthropic(http_client=object()), "http_client"),
    ],
)
def test_what_is_not_carried_is_refused_by_name_with_the_way_out(claude: Any, upstream: Any, call: Any, named: str) -> None:
    """The root exception, with ours as its cause; nothing is sent."""
    with pytest.raises(anthropic.AnthropicError) as caught:
        call(claude)
    assert named in str(caught.value)
    assert "Instead: " in str(caught.value)
    assert not isinstance(caught.value, anthropic.APIError)
    assert isinstance(caught.value.__cause__, errors.LLMConnectorError)
    assert upstream.bodies == []


@pytest.mark.parametrize(
    ("messages", "word"),
    [
        ([], "messages"),
        ([{"role": "user", "content": [{"type": "document", "source": {}}]}], "no base64 and no url"),
        (
            [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}],
            "messages[0].content[0]",
        ),
        ([{"role": "user", "content": 7}], "messages[0].content"),
        ([{"role": "user", "content": [7]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "text", "text": None}]}], "messages[0]"),
        ([{"role": "robot", "content": "x"}], "robot"),
        (["x"], "messages[0]"),
        ([{"role": "assistant", "content": [{"type": "tool_use", "id": "x", "name": "y", "input": "z"}]}], "input"),
        ([{"role": "assistant", "content": [{"type": "tool_use", "id": "x", "name": "y", "input": {"a": object()}}]}], "input"),
    ],
)
def test_messages_that_cannot_be_carried_are_bad_requests(claude: Any, upstream: Any, messages: Any, word: str) -> None:
    """Status 400, in the API's error shape; nothing is sent."""
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.messages.create(model=MODEL, max_tokens=5, messages=messages)
    assert word in str(caught.value)
    assert caught.value.status_code == 400
    assert caught.value.body["error"]["type"] == "invalid_request_error"
    assert upstream.bodies == []


def test_what_the_original_does_not_know_is_a_type_error(claude: Any) -> None:
    """So is a call without max_tokens."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_token'"):
        claude.messages.create(model=MODEL, max_tokens=5, messages=HELLO, max_token=5)
    with pytest.raises(TypeError, match="got no 'max_tokens'"):
        claude.messages.create(model=MODEL, messages=HELLO)


def test_messages_pickle(claude: Any) -> None:
    """With their blocks' classes."""
    message = claude.messages.create(model=MODEL, max_tokens=500, messages=HELLO)
    made = pickle.loads(pickle.dumps(message))  # noqa: S301
    assert made == message
    assert isinstance(made.content[0], TextBlock)
