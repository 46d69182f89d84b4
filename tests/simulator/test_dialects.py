"""What every dialect does alike: deterministic answers, limits, schemas, tools, keys, unknown models, refused streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_sync.simulator import Simulator

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "mood": {"type": "string", "enum": ["dry", "wet"]}},
    "required": ["city", "days", "mood"],
    "additionalProperties": False,
}
OPEN_SCHEMA = {key: value for key, value in SCHEMA.items() if key != "additionalProperties"}


def finish_of(dialect: str, body: Any) -> str:
    """The dialect's own word for how the answer ended."""
    if dialect == "anthropic":
        return str(body["stop_reason"])
    if dialect == "gemini":
        return str(body["candidates"][0]["finishReason"])
    if dialect == "openai-responses":
        return str(body["status"])
    return str(body["choices"][0]["finish_reason"])


def tool_payload(dialect: str, names: list[str], forced: str) -> dict[str, Any]:
    """Tools and a choice that forces one: any of them, or the one named."""
    named = forced != "any"
    if dialect == "anthropic":
        choice = {"type": "tool", "name": forced} if named else {"type": "any"}
        return {"tools": [{"name": name, "input_schema": SCHEMA} for name in names], "tool_choice": choice}
    if dialect == "gemini":
        calling = {"mode": "ANY", **({"allowedFunctionNames": [forced]} if named else {})}
        declarations = [{"name": name, "parameters": OPEN_SCHEMA} for name in names]
        return {"tools": [{"functionDeclarations": declarations}], "toolConfig": {"functionCallingConfig": calling}}
    if dialect == "openai-responses":
        tools = [{"type": "function", "name": name, "parameters": SCHEMA} for name in names]
        return {"tools": tools, "tool_choice": {"type": "function", "name": forced} if named else "required"}
    tools = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in names]
    return {"tools": tools, "tool_choice": {"type": "function", "function": {"name": forced}} if named else "required"}


def call_of(dialect: str, body: Any) -> tuple[str, Any]:
    """The one tool call: name and arguments."""
    if dialect == "anthropic":
        block = next(block for block in body["content"] if block["type"] == "tool_use")
        return block["name"], block["input"]
    if dialect == "gemini":
        call = body["candidates"][0]["content"]["parts"][0]["functionCall"]
        return call["name"], call["args"]
    if dialect == "openai-responses":
        item = next(item for item in body["output"] if item["type"] == "function_call")
        return item["name"], json.loads(item["arguments"])
    call = body["choices"][0]["message"]["tool_calls"][0]["function"]
    return call["name"], json.loads(call["arguments"])


def assert_follows_schema(document: Any) -> None:
    """The document is an instance of SCHEMA."""
    assert set(document) == {"city", "days", "mood"}
    assert isinstance(document["city"], str)
    assert isinstance(document["days"], int)
    assert document["mood"] in ("dry", "wet")


def test_answer_mentions_the_prompt(wire, dialect, shapes):
    """A demo reads sensibly: the prompt and the model's name stand in the answer."""
    got = wire.prompt(dialect, "Say hello")
    assert got.status == 200
    text = shapes.text_of(dialect, got.body)
    assert "hello" in text.lower()
    assert "Say hello" in text
    assert shapes.models[dialect] in text


def test_same_question_same_answer_on_another_server(wire, connect, dialect, shapes):
    """Nothing but dialect, model, messages and seed decides the answer: not the server, the time or the key."""
    first = wire.prompt(dialect, "What is a queue?")
    with Simulator(keys=["other-key"]) as other:
        headers = {name: value.replace("good-key", "other-key") for name, value in shapes.headers[dialect].items()}
        second = connect(other).ask(dialect, shapes.question(dialect, "What is a queue?", limit=900), headers=headers)
    assert shapes.text_of(dialect, first.body) == shapes.text_of(dialect, second.body)


def test_seed_model_and_messages_vary_the_answer(connect, wire, dialect, shapes):
    """Each of the three changes something in a handful of questions."""

    def texts(connection: Any, suffix: str = "", model: str | None = None) -> list[str]:
        return [shapes.text_of(dialect, connection.prompt(dialect, f"Question {n}{suffix}", model=model).body) for n in range(6)]

    base = texts(wire)
    assert len(set(base)) == 6
    assert texts(wire, "!") != base
    assert texts(wire, model="unlisted-model") != base
    with Simulator(seed=1) as seeded:
        assert texts(connect(seeded)) != base


def test_token_limit_cuts_with_the_dialects_word(wire, dialect, shapes):
    """The cut answer is a beginning of the whole one, and says so."""
    whole = shapes.text_of(dialect, wire.prompt(dialect).body)
    got = wire.prompt(dialect, limit=16)
    cut = shapes.text_of(dialect, got.body)
    words = {"anthropic": "max_tokens", "gemini": "MAX_TOKENS", "openai-responses": "incomplete"}
    assert finish_of(dialect, got.body) == words.get(dialect, "length")
    assert 0 < len(cut) < len(whole)
    assert whole.startswith(cut)


def test_uncut_answer_ends_with_the_dialects_word(wire, dialect):
    """An answer that was not cut says so."""
    words = {"anthropic": "end_turn", "gemini": "STOP", "openai-responses": "completed"}
    assert finish_of(dialect, wire.prompt(dialect).body) == words.get(dialect, "stop")


def test_schema_gets_an_instance(wire, dialect, shapes):
    """Structured output is JSON that follows the schema asked for."""
    payload = shapes.question(dialect)
    payload |= {
        "openai": {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": SCHEMA}}},
        "openai-responses": {"text": {"format": {"type": "json_schema", "name": "s", "strict": True, "schema": SCHEMA}}},
        "anthropic": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        "gemini": {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}},
        "openrouter": {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}},
    }[dialect]
    got = wire.ask(dialect, payload)
    assert got.status == 200, got
    assert_follows_schema(json.loads(shapes.text_of(dialect, got.body)))


def test_forced_tool_is_called(wire, dialect, shapes):
    """ "Required" calls one of the tools with arguments of its schema."""
    got = wire.ask(dialect, shapes.question(dialect) | tool_payload(dialect, ["weather", "climate"], "any"))
    assert got.status == 200, got
    name, arguments = call_of(dialect, got.body)
    assert name in ("weather", "climate")
    assert_follows_schema(arguments)
    words = {"anthropic": "tool_use", "gemini": "STOP", "openai-responses": "completed"}
    assert finish_of(dialect, got.body) == words.get(dialect, "tool_calls")


@pytest.mark.parametrize("name", ["weather", "climate"])
def test_named_tool_is_called(wire, dialect, shapes, name):
    """A tool chosen by name is the one called; OpenAI then ends with "stop", as recorded."""
    got = wire.ask(dialect, shapes.question(dialect) | tool_payload(dialect, ["weather", "climate"], name))
    assert call_of(dialect, got.body)[0] == name
    words = {"anthropic": "tool_use", "gemini": "STOP", "openai-responses": "completed", "openrouter": "tool_calls"}
    assert finish_of(dialect, got.body) == words.get(dialect, "stop")


def test_unforced_tools_leave_a_text(wire, dialect, shapes):
    """Tools that need not be called are not."""
    payload = shapes.question(dialect) | tool_payload(dialect, ["weather"], "any")
    payload.pop("tool_choice", None)
    payload.pop("toolConfig", None)
    got = wire.ask(dialect, payload)
    assert got.status == 200
    assert "Say hello" in shapes.text_of(dialect, got.body)


@pytest.mark.parametrize("key", ["a-wrong-key", "invalid"])
def test_telling_keys_are_always_refused(wire, dialect, shapes, key):
    """A key that says it is wrong is: 401, at Gemini 400."""
    headers = {name: value.replace("good-key", key) for name, value in shapes.headers[dialect].items()}
    got = wire.ask(dialect, shapes.question(dialect), headers=headers)
    assert got.status == (400 if dialect == "gemini" else 401)


def test_key_list_accepts_its_own_only(connect, dialect, shapes):
    """With a list, the keys on it pass and all others do not."""
    with Simulator(keys=["good-key"]) as simulator:
        wire = connect(simulator)
        assert wire.prompt(dialect).status == 200
        headers = {name: value.replace("good-key", "good-key2") for name, value in shapes.headers[dialect].items()}
        assert wire.ask(dialect, shapes.question(dialect), headers=headers).status in (400, 401)


def test_missing_key_is_refused(wire, dialect, shapes):
    """No key at all: 401, at Gemini 403."""
    headers = {name: value for name, value in shapes.headers[dialect].items() if "good-key" not in value}
    got = wire.ask(dialect, shapes.question(dialect), headers=headers)
    assert got.status == (403 if dialect == "gemini" else 401)


@pytest.mark.parametrize("name", ["no-such-model", "this-does-not-exist", "gpt-nope", "unknown"])
def test_telling_models_are_unknown(wire, dialect, name):
    """A name that says it is unknown is: 404, at OpenAI's Responses 400 with the same code."""
    got = wire.prompt(dialect, model=name)
    assert got.status == (400 if dialect == "openai-responses" else 404)
    if dialect.startswith("openai"):
        assert got.body["error"]["code"] == "model_not_found"


def test_unlisted_models_are_served(wire, dialect):
    """Any other name is answered, so that any configuration can be rehearsed."""
    assert wire.prompt(dialect, model="my-own-finetune").status == 200


@pytest.mark.parametrize(
    "switch",
    [
        {"stream": True},
        {"stream": "true"},
        {"stream": 1},
        {"stream": 0},
        {"stream_options": {"include_usage": True}},
        {"background": True},
        {"deferred": True},
        {"partial_images": 2},
        {"stream_format": "sse"},
    ],
    ids=str,
)
def test_streaming_in_the_body_is_refused_and_counted(simulator, wire, dialect, shapes, switch):
    """Anything but a literal false in the body is an attempt to stream."""
    got = wire.ask(dialect, shapes.question(dialect) | switch)
    assert got.status == 400
    assert "never streams" in got.raw.decode()
    assert simulator.stream_attempts == 1
    assert simulator.requests[0].stream == next(iter(switch))


@pytest.mark.parametrize(
    ("switch", "named"),
    [
        ({"tools": [{"type": "image_generation", "partial_images": 1}]}, "tools[0].partial_images"),
        ({"toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": True}}}, "streamFunctionCallArguments"),
        ({"debug": {"echo_upstream_body": True}}, "debug.echo_upstream_body"),
    ],
    ids=str,
)
def test_streaming_deeper_in_the_body_is_refused_and_counted(simulator, wire, dialect, shapes, switch, named):
    """Switches that stand within other settings."""
    got = wire.ask(dialect, shapes.question(dialect) | switch)
    assert got.status == 400
    assert simulator.stream_attempts == 1
    assert simulator.requests[0].stream == named


def test_streaming_asked_for_in_accept_is_refused_and_counted(simulator, wire, dialect, shapes):
    """A client that wants events wants a stream, whatever the body says."""
    got = wire.ask(dialect, shapes.question(dialect), headers={**shapes.headers[dialect], "Accept": "text/event-stream"})
    assert got.status == 400
    assert simulator.stream_attempts == 1


def test_stream_false_is_no_attempt(simulator, wire, dialect, shapes):
    """A literal false streams nothing (Gemini knows no such field and refuses it for that)."""
    got = wire.ask(dialect, shapes.question(dialect) | {"stream": False})
    assert got.status == (400 if dialect == "gemini" else 200)
    assert simulator.stream_attempts == 0


@pytest.mark.parametrize("query", ["alt=sse", "$alt=sse", "stream=true", "starting_after=3", "include_obfuscation=true"])
def test_streaming_in_the_query_is_refused_and_counted(simulator, wire, shapes, query):
    """Also where the URL asks for it."""
    got = wire.send(
        "POST",
        f"/gemini/v1beta/models/gemini-2.0-flash:generateContent?{query}",
        shapes.question("gemini"),
        shapes.headers["gemini"],
    )
    assert got.status == 400
    assert simulator.stream_attempts == 1


@pytest.mark.parametrize(
    "path",
    [
        "/gemini/v1beta/models/gemini-2.0-flash:streamGenerateContent",
        "/gemini/v1beta/models/gemini-2.0-flash%3AstreamGenerateContent",
        "/anthropic/v1/models/claude:streamRawPredict",
        "/anthropic/model/claude/invoke-with-response-stream",
        "/anthropic/model/claude/converse-stream",
        "/gemini/v1beta/dynamic/x:streamGenerateContent",
        "/gemini/v1beta/tunedModels/x:streamGenerateContent",
        "/openai/v1/responses/resp_1?stream=true",
    ],
)
def test_streaming_in_the_path_is_refused_and_counted(simulator, wire, shapes, path):
    """Also where the path is that of a stream."""
    got = wire.send("POST", path, shapes.question("gemini"), shapes.headers["gemini"])
    assert got.status == 400
    assert simulator.stream_attempts == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"text"', b"{'a': 1}", b"\xff\xfe{}"])
def test_malformed_bodies_are_refused(wire, dialect, body):
    """What is no JSON object is a 400 in the dialect's shape."""
    got = wire.ask(dialect, body)
    assert got.status == 400
    assert got.body["error"]["message"]


@pytest.mark.parametrize(("number", "said"), [("NaN", "NaN is not JSON"), ("-Infinity", "is not JSON"), ("1e999", "too large")])
def test_numbers_json_does_not_have_are_refused(wire, dialect, shapes, number, said):
    """Python's own parser would let them pass, a provider's does not: the rest of this body is fine."""
    body = json.dumps({"model": shapes.models[dialect], **shapes.question(dialect)})[:-1] + f', "metadata": {{"a": {number}}}}}'
    got = wire.ask(dialect, body.encode())
    assert got.status == 400
    assert said in got.body["error"]["message"]


def test_system_prompt_and_earlier_turns_count(wire, dialect, shapes):
    """Every message is part of what decides the answer and of what is billed."""
    payload = shapes.question(dialect)
    system = {
        "openai-responses": {"instructions": "Be brief."},
        "anthropic": {"system": "Be brief."},
        "gemini": {"systemInstruction": {"parts": [{"text": "Be brief."}]}},
    }.get(dialect, {"messages": [{"role": "system", "content": "Be brief."}, *payload.get("messages", [])]})
    plain, with_system = wire.ask(dialect, payload), wire.ask(dialect, payload | system)
    assert with_system.status == 200, with_system

    def billed(body: Any) -> int:
        usage = body.get("usage") or body["usageMetadata"]
        return int(next(usage[key] for key in ("prompt_tokens", "input_tokens", "promptTokenCount") if key in usage))

    assert billed(with_system.body) > billed(plain.body)
