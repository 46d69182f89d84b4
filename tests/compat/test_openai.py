"""openai's client of today over llm-sync: what is sent, what comes back, what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from llm_sync import errors, simulator
from llm_sync.compat import openai
from llm_sync.compat.openai.types import ChatCompletion, Response  # type: ignore[attr-defined]

HELLO = [{"role": "user", "content": "Say hello"}]
MODEL = "gpt-4o-mini"
ADD = {"name": "add", "description": "Add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="


def test_a_chat_completion_is_what_the_provider_sent(client: Any, upstream: Any) -> None:
    """The provider's own body, with its id and every field."""
    completion = client.chat.completions.create(model=MODEL, messages=HELLO, temperature=0.5, max_tokens=500)
    assert isinstance(completion, ChatCompletion)
    assert "Say hello" in completion.choices[0].message.content
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == "gpt-4o-mini-2024-07-18"
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion._request_id.startswith("req_")
    assert completion.llm_sync[0].provider == "openai"
    (body,) = upstream.bodies
    assert body["messages"] == HELLO
    assert (body["model"], body["temperature"], body["max_tokens"], body["stream"]) == (MODEL, 0.5, 500, False)


def test_parameters_without_a_field_of_ours_reach_the_provider(client: Any, upstream: Any) -> None:
    """So does extra_body; arguments that are not given, or None, are not sent."""
    client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        frequency_penalty=0.5,
        logit_bias={"50256": -100},
        user="ada",
        extra_body={"service_tier": "flex"},
        seed=openai.NOT_GIVEN,
        top_p=None,
        stop=["END"],
        stream=False,
    )
    (body,) = upstream.bodies
    assert (body["frequency_penalty"], body["logit_bias"], body["user"], body["service_tier"], body["stop"]) == (
        *(0.5, {"50256": -100}, "ada", "flex"),
        ["END"],
    )
    assert not {"seed", "top_p", "extra_body"} & body.keys()


def test_a_conversation_goes_as_it_is(client: Any, upstream: Any) -> None:
    """System text, turns, the model's own answer handed back, a tool's call and its result, an image."""
    asked = client.chat.completions.create(
        model=MODEL, messages=HELLO, tools=[{"type": "function", "function": ADD}], tool_choice="required"
    )
    call = asked.choices[0].message.tool_calls[0]
    assert asked.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "add"
    messages = [
        {"role": "system", "content": "Be brief"},
        *HELLO,
        asked.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "5"},
        {"role": "user", "content": [{"type": "text", "text": "And this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]},
    ]
    assert client.chat.completions.create(model=MODEL, messages=messages).choices[0].message.content
    sent = upstream.bodies[-1]["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool", "user"]
    assert sent[2]["tool_calls"][0]["function"] == {"name": "add", "arguments": call.function.arguments}
    assert sent[4] == messages[4]


def test_a_json_schema_is_sent_in_the_scripts_own_words(client: Any, upstream: Any) -> None:
    """Name and strictness too, and nothing but the provider judges the answer."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "mine", "strict": True, "schema": schema}}
    upstream.say("not JSON at all")
    completion = client.chat.completions.create(model=MODEL, messages=HELLO, response_format=form)
    assert completion.choices[0].message.content == "not JSON at all"
    assert upstream.bodies[0]["response_format"] == form


def test_three_choices_are_three_requests_in_order(client: Any, upstream: Any) -> None:
    """Their tokens are added up, as they are billed; an adjustment tells."""
    for text in ("one", "two", "three"):
        upstream.say(text)
    completion = client.chat.completions.create(model=MODEL, messages=HELLO, n=3)
    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    assert [choice.message.content for choice in completion.choices] == [answer.text for answer in completion.llm_sync]
    assert {answer.text for answer in completion.llm_sync} == {"one", "two", "three"}
    assert completion.usage.total_tokens == 21
    assert len(upstream.bodies) == 3
    assert ["n" in body for body in upstream.bodies] == [False] * 3
    assert [each.parameter for each in completion.adjustments] == ["n"]
    assert len(completion.llm_sync) == 3


def test_what_the_provider_wrote_of_each_choice_is_kept(client: Any, old: Any, upstream: Any) -> None:
    """logprobs, fields of its own and its fingerprint, of several choices and in the old shape of functions too."""
    odd = {"logprobs": {"content": [{"token": "a", "logprob": -1.0}]}, "index": 0, "finish_reason": "stop", "own": 1}
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "system_fingerprint": "fp"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "prompt_tokens_details": {"cached_tokens": 0}}

    def answer(message: dict[str, Any], **fields: Any) -> Response:
        return simulator.Response(
            200, {**body, "choices": [{**odd, **fields, "message": {"role": "assistant", **message}}], "usage": usage}
        )

    upstream.answers += [answer({"content": "one"}), answer({"content": "two"})]
    completion = client.chat.completions.create(model=MODEL, messages=HELLO, n=2, logprobs=True)
    assert [choice.logprobs.content[0]["token"] for choice in completion.choices] == ["a", "a"]
    assert [(choice.index, choice.own) for choice in completion.choices] == [(0, 1), (1, 1)]
    assert (completion.system_fingerprint, completion.usage.total_tokens) == ("fp", 4)
    for finish, told in (("tool_calls", "function_call"), ("stop", "stop")):
        upstream.answers.append(answer({"content": None, "tool_calls": [call]}, finish_reason=finish))
        found = old.ChatCompletion.create(model=MODEL, messages=HELLO, functions=[ADD])
        assert (found.choices[0].finish_reason, found.choices[0].own, found.usage) == (told, 1, usage)
        assert found.choices[0].message == {"role": "assistant", "content": None, "function_call": call["function"]}


def test_a_system_message_alone_is_answered(client: Any, upstream: Any) -> None:
    """As OpenAI answers it."""
    completion = client.chat.completions.create(model=MODEL, messages=[{"role": "system", "content": "Say hello"}])
    assert upstream.bodies[0]["messages"] == [{"role": "user", "content": "Say hello"}]
    assert [each.parameter for each in completion.adjustments] == ["messages[0].role"]


def test_what_fails_of_three_is_raised_and_the_rest_is_not_sent(client: Any, upstream: Any) -> None:
    """As the one request of the original would have failed."""
    upstream.fail(400, times=3)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=MODEL, messages=HELLO, n=3)


def test_functions_come_back_as_functions(client: Any, upstream: Any) -> None:
    """They are sent as tools, an adjustment says so, and the answer is in the old shape again, history included."""
    completion = client.chat.completions.create(model=MODEL, messages=HELLO, functions=[ADD], function_call={"name": "add"})
    message = completion.choices[0].message
    assert completion.choices[0].finish_reason == "stop"  # what the provider says of a call that was demanded by name
    assert "service_tier" in completion
    assert message.function_call.name == "add"
    assert message.tool_calls is None
    assert "functions" in [each.parameter for each in completion.adjustments]
    history = [*HELLO, message, {"role": "function", "name": "add", "content": "5"}]
    assert client.chat.completions.create(model=MODEL, messages=history, functions=[ADD]).choices[0].message.content
    assert upstream.bodies[1]["messages"][1]["tool_calls"][0]["function"]["name"] == "add"


def test_a_response_is_what_the_provider_sent(client: Any, upstream: Any) -> None:
    """The Responses API has its own door, and its own ways with input."""
    response = client.responses.create(
        model="gpt-5-mini",
        instructions="Be brief",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "Say hello"}]},
            {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "5"},
            {"type": "message", "role": "user", "content": "Well?"},
        ],
        max_output_tokens=5000,
        text={"format": {"type": "text"}, "verbosity": "low"},
        metadata={"a": "b"},
    )
    assert isinstance(response, Response)
    assert response.output_text
    assert response.output[-1].content[0].text == response.output_text
    assert response.status == "completed"
    (record,) = upstream.simulator.requests
    assert record.path.endswith("/responses")
    assert record.payload["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert (record.payload["instructions"], record.payload["metadata"]) == ("Be brief", {"a": "b"})
    assert [item.get("type") or item["role"] for item in record.payload["input"]] == [
        *("message", "function_call", "function_call_output", "message")
    ]


def test_a_responses_output_goes_back_as_input(client: Any) -> None:
    """A tool's loop, as the documentation of the original writes it."""
    tools = [{"type": "function", "name": "add", "parameters": ADD["parameters"]}]
    first = client.responses.create(model=MODEL, input="Add", tools=tools, tool_choice="required")
    (call,) = [item for item in first.output if item.type == "function_call"]
    again = [{"role": "user", "content": "Add"}, *first.output]
    again.append({"type": "function_call_output", "call_id": call.call_id, "output": "5"})
    assert client.responses.create(model=MODEL, input=again, tools=tools).output_text


def test_a_prompt_is_asked_as_a_chat(client: Any, upstream: Any) -> None:
    """Each text of a list is a request of its own, and a choice."""
    for text in ("one", "two"):
        upstream.say(text)
    completion = client.completions.create(model=MODEL, prompt=["a", "b"], max_tokens=5)
    assert [(choice.index, choice.text) for choice in completion.choices] == [(0, "one"), (1, "two")]
    assert completion.object == "text_completion"
    assert completion.usage.total_tokens == 14
    assert [body["messages"][0]["content"] for body in upstream.bodies] == ["a", "b"]
    assert "prompt" in [each.parameter for each in completion.adjustments]


def test_models_are_listed_and_found(client: Any) -> None:
    """Iterating gives models; one that nobody lists is not found."""
    page = client.models.list()
    assert "gpt-4o" in [model.id for model in page]
    assert page.data[0].object == "model"
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-none")


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda client: client.chat.completions.create(model=MODEL, messages=HELLO, stream=True), "stream=True"),
        (lambda client: client.responses.create(model=MODEL, input="x", background=True), "background=True"),
        (lambda client: client.responses.create(model=MODEL, input="x", previous_response_id="r"), "previous_response_id"),
        (lambda client: client.chat.completions.create(model=MODEL, messages=HELLO, extra_body={"stream": 1}), "stream"),
        (lambda client: client.chat.completions.create(model=MODEL, messages=HELLO, modalities=["audio"]), "modalities"),
        (lambda client: openai.DefaultHttpxClient(), "DefaultHttpxClient"),
        (lambda client: client.chat.completions.with_raw_response.create(), "with_raw_response.create"),
        (lambda client: client.beta.threads.create(), "beta.threads.create"),
        (lambda client: client.moderations.create(input="y"), "moderations.create"),
        (lambda client: client.audio.transcriptions.create(file=b""), "audio.transcriptions.create"),
        (lambda client: client.files.create(file=b""), "files.create"),
        (lambda client: client.images.generate(prompt="x"), "images.generate"),
        (lambda _: openai.AsyncOpenAI(api_key="x"), "AsyncOpenAI"),
        (lambda _: openai.OpenAI(api_key="x", http_client=object()), "http_client"),
        (lambda _: openai.OpenAI(api_key=lambda: "x"), "api_key"),
        (lambda _: openai.Moderation.create(input="x"), "Moderation.create"),
        (lambda _: openai.ChatCompletion.acreate(model="x"), "acreate"),
    ],
)
def test_what_is_not_carried_is_refused_by_name_with_the_way_out(client: Any, upstream: Any, call: Any, named: str) -> None:
    """The root exception, with ours as its cause; nothing is sent."""
    with pytest.raises(openai.OpenAIError) as caught:
        call(client)
    assert named in str(caught.value)
    assert "Instead: " in str(caught.value)
    assert not isinstance(caught.value, openai.APIError)
    assert isinstance(caught.value.__cause__, errors.LLMConnectorError)
    assert isinstance(caught.value.__cause__, errors.StreamingNotSupportedError) == ("stream" in named)
    assert upstream.bodies == []


def test_what_the_original_does_not_know_is_a_type_error(client: Any) -> None:
    """So is a call without what it needs, and a name that no client has."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'temprature'"):
        client.chat.completions.create(model=MODEL, messages=HELLO, temprature=1)
    with pytest.raises(TypeError, match="'messages' and 'model', got no 'model'"):
        client.chat.completions.create(messages=HELLO)
    with pytest.raises(TypeError, match="unexpected keyword argument 'api_keys'"):
        openai.OpenAI(api_keys="x")
    assert not hasattr(client, "nothing")
    assert not hasattr(client.chat.completions, "nothing")


def test_other_options_make_another_client(client: Any, upstream: Any) -> None:
    """Headers of both are sent; the first client stays as it was."""
    other = client.with_options(timeout=7, default_headers={"X-One": "1"}).copy(default_headers={"X-Two": "2"})
    assert (other.timeout, client.timeout) == (7, None)
    assert other.api_key == client.api_key
    assert dict(other.context().settings.headers) == {"X-One": "1", "X-Two": "2"}
    assert other.with_options(set_default_headers={"X-Three": "3"}).context().settings.headers == (("X-Three", "3"),)
    assert other.chat.completions.create(model=MODEL, messages=HELLO).choices


def test_a_closed_client_asks_nothing_more(client: Any, upstream: Any) -> None:
    """Others of the same settings go on."""
    with openai.OpenAI(api_key=client.api_key, base_url=upstream.url()) as inner:
        assert inner.chat.completions.create(model=MODEL, messages=HELLO)
        assert not inner.is_closed()
    assert inner.is_closed()
    with pytest.raises(RuntimeError, match="closed"):
        inner.chat.completions.create(model=MODEL, messages=HELLO)
    assert client.chat.completions.create(model=MODEL, messages=HELLO)


def test_a_client_does_not_pickle_with_its_key(client: Any) -> None:
    """The error does not show it either; nor does repr."""
    with pytest.raises(TypeError, match="holds a key") as caught:
        pickle.dumps(client)
    assert client.api_key not in f"{caught.value}{client!r}{client.context()!r}"


def test_the_module_is_a_client_too(upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """``openai.chat.completions.create``, by what is set on the module at that moment."""
    with pytest.raises(openai.OpenAIError, match="Missing credentials"):
        openai.chat.completions.create(model=MODEL, messages=HELLO)
    monkeypatch.setattr(openai, "api_key", "sk-module-0123456789")
    monkeypatch.setattr(openai, "base_url", upstream.url())
    assert openai.chat.completions.create(model=MODEL, messages=HELLO).choices
    assert "gpt-4o" in [model.id for model in openai.models.list()]


def test_azure_puts_the_deployment_into_the_url(upstream: Any) -> None:
    """The key goes into api-key, the version into the query."""
    azure = openai.AzureOpenAI(api_key="k" * 20, azure_endpoint=f"{upstream.simulator.root}/", api_version="2024-10-21")
    settings = azure.context().settings
    assert settings.base_url == f"{upstream.simulator.root}/openai/deployments/{{model}}"
    assert (settings.query, settings.key_header) == ((("api-version", "2024-10-21"),), "api-key")
    assert azure.chat.completions.create(model="deployed", messages=HELLO).choices[0].message.content
    assert upstream.simulator.requests[0].path == "/openai/deployments/deployed/chat/completions"
    with pytest.raises(ValueError, match="azure_endpoint"):
        openai.AzureOpenAI(api_key="x" * 20, api_version="2024-10-21")
    with pytest.raises(ValueError, match="api_version"):
        openai.AzureOpenAI(api_key="x" * 20, azure_endpoint="https://a.example")


def test_azures_own_options_may_be_changed() -> None:
    """The version and the deployment, as in the original."""
    azure = openai.AzureOpenAI(api_key="k" * 20, azure_endpoint="https://a.example", api_version="1", timeout=5)
    other = azure.with_options(api_version="2", azure_deployment="mine")
    assert (other.context().settings.query, azure.context().settings.query) == ((("api-version", "2"),), (("api-version", "1"),))
    assert other.context().settings.base_url == "https://a.example/openai/deployments/mine"
    assert other.timeout == 5


def test_what_is_left_out_of_a_look_up_is_told(client: Any, claude: Any, old: Any) -> None:
    """As of every other call; what the original does not know is a TypeError."""
    assert [each.parameter for each in client.models.retrieve("gpt-4o", extra_body={"a": 1}).adjustments] == ["extra_body"]
    model = claude.models.retrieve(claude.models.list().data[0].id, extra_body={"a": 1})
    assert [each.parameter for each in model.adjustments] == ["extra_body"]
    with pytest.raises(TypeError, match="nothing"):
        old.Model.retrieve("gpt-4o", nothing=1)


def test_types_of_requests_are_there_for_annotations() -> None:
    """Scripts import them; they are dicts."""
    from llm_sync.compat.openai import types

    assert types.ChatCompletionMessageParam is dict
    assert types.FunctionDefinition is dict
    assert openai.NOT_SUPPORTED["Stream"][types.ChatCompletionChunk] is openai.NOT_SUPPORTED["Stream"]
    with pytest.raises(openai.OpenAIError, match="ChatCompletionChunk"):
        types.ChatCompletionChunk()
    assert types.ChatCompletion is ChatCompletion
    with pytest.raises(AttributeError):
        _ = types.Nothing


def test_answers_pickle_and_copy_with_what_is_behind_them(client: Any) -> None:
    """Adjustments and the ModelResponse go along."""
    completion = client.chat.completions.create(model="gpt-5-mini", messages=HELLO, max_tokens=2000)
    for made in (pickle.loads(pickle.dumps(completion)), copy.deepcopy(completion)):  # noqa: S301
        assert made == completion
        assert made.adjustments == completion.adjustments != ()
        assert made.llm_sync[0].text == completion.choices[0].message.content


@pytest.mark.parametrize(
    ("messages", "word"),
    [
        ([], "messages"),
        ("hello", "messages"),
        ([7], "messages[0]"),
        ([{"role": "user"}], "empty"),
        ([{"role": "robot", "content": "x"}], "robot"),
        ([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}], "input_audio"),
        ([{"role": "user", "content": [{"type": "file", "file": {}}]}], "file"),
        ([{"role": "user", "content": "\ud800"}], "surrogate"),
        ([{"role": "tool", "content": "x"}], "tool_call_id"),
    ],
)
def test_messages_that_cannot_be_carried_are_bad_requests(client: Any, upstream: Any, messages: Any, word: str) -> None:
    """Status 400, as the provider would say; nothing is sent, and the message names the place."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=messages)
    assert word in str(caught.value)
    assert caught.value.status_code == 400
    assert upstream.bodies == []


@pytest.mark.parametrize("value", [object(), b"x", float("nan"), {1: {2}}])
def test_what_json_cannot_hold_is_a_bad_request(client: Any, upstream: Any, value: Any) -> None:
    """Wherever it stands."""
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=MODEL, messages=HELLO, metadata={"a": value})
    assert upstream.bodies == []


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "3", 10**6])
def test_an_impossible_n_is_a_bad_request(client: Any, upstream: Any, n: Any) -> None:
    """It names the value."""
    with pytest.raises(openai.BadRequestError, match="n="):
        client.chat.completions.create(model=MODEL, messages=HELLO, n=n)
    assert upstream.bodies == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"model": 7},
        {"model": ["a"]},
        {"model": ""},
        {"temperature": 3},
        {"max_tokens": 0},
        {"max_tokens": 5, "max_completion_tokens": 5},
        {"extra_headers": "X: 1"},
        {"extra_headers": {"X": "a\r\nB: c"}},
        {"extra_query": [1]},
        {"extra_body": [1]},
        {"extra_body": {"messages": []}},
        {"tools": [1]},
        {"response_format": dict},
        {"timeout": "soon"},
    ],
)
def test_impossible_arguments_are_the_shims_errors(client: Any, upstream: Any, arguments: dict[str, Any]) -> None:
    """Never one of Python's own, and nothing is sent."""
    with pytest.raises(openai.OpenAIError):
        client.chat.completions.create(**{"model": MODEL, "messages": HELLO, **arguments})
    assert upstream.bodies == []


def test_messages_may_come_from_a_generator_and_models_from_an_enum(client: Any, upstream: Any) -> None:
    """As with the original."""
    import enum

    class Models(str, enum.Enum):
        MINI = MODEL

    client.chat.completions.create(model=Models.MINI, messages=(turn for turn in HELLO))
    assert (upstream.bodies[0]["model"], upstream.bodies[0]["messages"]) == (MODEL, HELLO)
