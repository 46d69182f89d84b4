"""What all dialects have in common: deterministic answers, limits, schemas, tools, keys, unknown models, refused streams."""

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
    """The finish reason as the dialect names it."""
    if dialect == "anthropic":
        return str(body["stop_reason"])
    if dialect == "gemini":
        return str(body["candidates"][0]["finishReason"])
    if dialect in ("openai-responses", "gemini-interactions"):
        return str(body["status"])
    if dialect == "bedrock":
        return str(body["stopReason"])
    return str(body["choices"][0]["finish_reason"])


def tool_payload(dialect: str, names: list[str], forced: str) -> dict[str, Any]:
    """Tools, and a choice that requires a call: of any tool, or of the named one."""
    named = forced != "any"
    if dialect == "anthropic":
        choice = {"type": "tool", "name": forced} if named else {"type": "any"}
        return {"tools": [{"name": name, "input_schema": SCHEMA} for name in names], "tool_choice": choice}
    if dialect == "gemini":
        calling = {"mode": "ANY", **({"allowedFunctionNames": [forced]} if named else {})}
        declarations = [{"name": name, "parameters": OPEN_SCHEMA} for name in names]
        return {"tools": [{"functionDeclarations": declarations}], "toolConfig": {"functionCallingConfig": calling}}
    if dialect == "bedrock":
        specs = [{"toolSpec": {"name": name, "inputSchema": {"json": SCHEMA}}} for name in names]
        return {"toolConfig": {"tools": specs, "toolChoice": {"tool": {"name": forced}} if named else {"any": {}}}}
    if dialect == "gemini-interactions":
        tools = [{"type": "function", "name": name, "parameters": SCHEMA} for name in names]
        choice = {"allowed_tools": {"mode": "any", "tools": [forced]}} if named else "any"
        return {"tools": tools, "generation_config": {"tool_choice": choice}}
    if dialect == "openai-responses":
        tools = [{"type": "function", "name": name, "parameters": SCHEMA} for name in names]
        return {"tools": tools, "tool_choice": {"type": "function", "name": forced} if named else "required"}
    tools = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in names]
    return {"tools": tools, "tool_choice": {"type": "function", "function": {"name": forced}} if named else "required"}


def call_of(dialect: str, body: Any) -> tuple[str, Any]:
    """Name and arguments of the one tool call."""
    if dialect == "anthropic":
        block = next(block for block in body["content"] if block["type"] == "tool_use")
        return block["name"], block["input"]
    if dialect == "gemini":
        call = body["candidates"][0]["content"]["parts"][0]["functionCall"]
        return call["name"], call["args"]
    if dialect == "gemini-interactions":
        step = next(step for step in body["steps"] if step["type"] == "function_call")
        return step["name"], step["arguments"]
    if dialect == "bedrock":
        use = next(block["toolUse"] for block in body["output"]["message"]["content"] if "toolUse" in block)
        return use["name"], use["input"]
    if dialect == "openai-responses":
        item = next(item for item in body["output"] if item["type"] == "function_call")
        return item["name"], json.loads(item["arguments"])
    call = body["choices"][0]["message"]["tool_calls"][0]["function"]
    return call["name"], json.loads(call["arguments"])


def assert_follows_schema(document: Any) -> None:
    """Asserts that the document matches SCHEMA."""
    assert set(document) == {"city", "days", "mood"}
    assert isinstance(document["city"], str)
    assert isinstance(document["days"], int)
    assert document["mood"] in ("dry", "wet")


def test_answer_mentions_the_prompt(wire, dialect, shapes):
    """An answer contains the prompt and the model's name."""
    got = wire.prompt(dialect, "Say hello")
    assert got.status == 200
    text = shapes.text_of(dialect, got.body)
    assert "hello" in text.lower()
    assert "Say hello" in text
    assert shapes.models[dialect] in text


def test_same_question_same_answer_on_another_server(wire, connect, dialect, shapes):
    """The answer depends only on dialect, model, messages and seed, not on server, time or key."""
    first = wire.prompt(dialect, "What is a queue?")
    with Simulator(keys=["other-key"]) as other:
        headers = {name: value.replace("good-key", "other-key") for name, value in shapes.headers[dialect].items()}
        second = connect(other).ask(dialect, shapes.question(dialect, "What is a queue?", limit=900), headers=headers)
    assert shapes.text_of(dialect, first.body) == shapes.text_of(dialect, second.body)


def test_seed_model_and_messages_vary_the_answer(connect, wire, dialect, shapes):
    """Another seed, model or prompt gives another answer."""

    def texts(connection: Any, suffix: str = "", model: str | None = None) -> list[str]:
        return [shapes.text_of(dialect, connection.prompt(dialect, f"Question {n}{suffix}", model=model).body) for n in range(6)]

    base = texts(wire)
    assert len(set(base)) == 6
    assert texts(wire, "!") != base
    assert texts(wire, model="unlisted-model") != base
    with Simulator(seed=1) as seeded:
        assert texts(connect(seeded)) != base


def test_token_limit_cuts_with_the_dialects_finish_reason(wire, dialect, shapes):
    """An answer that the token limit cuts is the beginning of the whole one, with the dialect's finish reason."""
    whole = shapes.text_of(dialect, wire.prompt(dialect).body)
    got = wire.prompt(dialect, limit=16)
    cut = shapes.text_of(dialect, got.body)
    words = {"anthropic": "max_tokens", "gemini": "MAX_TOKENS", "openai-responses": "incomplete", "bedrock": "max_tokens"}
    words["gemini-interactions"] = "incomplete"
    assert finish_of(dialect, got.body) == words.get(dialect, "length")
    assert 0 < len(cut) < len(whole)
    assert whole.startswith(cut)


def test_uncut_answer_has_the_dialects_finish_reason(wire, dialect):
    """An answer that is not cut has the dialect's finish reason for it."""
    words = {"anthropic": "end_turn", "gemini": "STOP", "openai-responses": "completed", "bedrock": "end_turn"}
    words["gemini-interactions"] = "completed"
    assert finish_of(dialect, wire.prompt(dialect).body) == words.get(dialect, "stop")


def test_schema_gets_an_instance(wire, dialect, shapes):
    """With a schema, the answer is JSON that matches it."""
    payload = shapes.question(dialect)
    payload |= {
        "openai": {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": SCHEMA}}},
        "openai-responses": {"text": {"format": {"type": "json_schema", "name": "s", "strict": True, "schema": SCHEMA}}},
        "anthropic": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        "gemini": {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}},
        "openrouter": {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}},
        "gemini-interactions": {"response_format": {"type": "text", "mime_type": "application/json", "schema": SCHEMA}},
        "bedrock": {
            "outputConfig": {
                "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": json.dumps(SCHEMA), "name": "s"}}}
            }
        },
    }[dialect]
    got = wire.ask(dialect, payload, model="qwen.qwen3-32b-v1:0" if dialect == "bedrock" else None)  # Nova takes none
    assert got.status == 200, got
    assert_follows_schema(json.loads(shapes.text_of(dialect, got.body)))


@pytest.mark.parametrize(
    "words", ["It must fit this JSON Schema:\n{}", "Answer as JSON. JSON schema: {} Thanks!", "JSON Schema:\n```json\n{}\n```"]
)
def test_a_schema_in_the_prompt_gets_an_instance(wire, dialect, shapes, words):
    """As models without structured output do."""
    got = wire.prompt(dialect, words.format(json.dumps(SCHEMA)))
    assert_follows_schema(json.loads(shapes.text_of(dialect, got.body)))


@pytest.mark.parametrize("words", ["What is a JSON Schema? {}", "JSON Schema: {nothing", "a schema: {}", "JSON Schema: []"])
def test_a_prompt_about_schemas_gets_a_text(wire, dialect, shapes, words):
    """Only an object that follows the words is one."""
    got = wire.prompt(dialect, words)
    assert got.status == 200
    assert not shapes.text_of(dialect, got.body).startswith("{")


def test_forced_tool_is_called(wire, dialect, shapes):
    """With a required tool call, one of the tools is called with arguments of its schema."""
    got = wire.ask(dialect, shapes.question(dialect) | tool_payload(dialect, ["weather", "climate"], "any"))
    assert got.status == 200, got
    name, arguments = call_of(dialect, got.body)
    assert name in ("weather", "climate")
    assert_follows_schema(arguments)
    words = {"anthropic": "tool_use", "gemini": "STOP", "openai-responses": "completed", "bedrock": "tool_use"}
    words["gemini-interactions"] = "requires_action"
    assert finish_of(dialect, got.body) == words.get(dialect, "tool_calls")


@pytest.mark.parametrize("name", ["weather", "climate"])
def test_named_tool_is_called(wire, dialect, shapes, name):
    """A tool chosen by name is called; OpenAI's finish reason is then "stop", as recorded."""
    got = wire.ask(dialect, shapes.question(dialect) | tool_payload(dialect, ["weather", "climate"], name))
    assert call_of(dialect, got.body)[0] == name
    words = {"gemini": "STOP", "openai-responses": "completed", "openrouter": "tool_calls"}
    words |= {"anthropic": "tool_use", "bedrock": "tool_use", "gemini-interactions": "requires_action"}
    assert finish_of(dialect, got.body) == words.get(dialect, "stop")


def test_unforced_tools_leave_a_text(wire, dialect, shapes):
    """Tools that need not be called are not called."""
    payload = shapes.question(dialect) | tool_payload(dialect, ["weather"], "any")
    payload.pop("tool_choice", None)
    payload.get("toolConfig", {}).pop("functionCallingConfig", None)
    payload.get("toolConfig", {}).pop("toolChoice", None)
    payload.get("generation_config", {}).pop("tool_choice", None)
    got = wire.ask(dialect, payload)
    assert got.status == 200
    assert "Say hello" in shapes.text_of(dialect, got.body)


@pytest.mark.parametrize("key", ["a-wrong-key", "invalid"])
def test_wrong_keys_are_always_refused(wire, dialect, shapes, key):
    """A key that contains "wrong" or "invalid" is refused: 401, with Gemini 400, with Bedrock 403."""
    headers = {name: value.replace("good-key", key) for name, value in shapes.headers[dialect].items()}
    got = wire.ask(dialect, shapes.question(dialect), headers=headers)
    assert got.status == {"gemini": 400, "gemini-interactions": 400, "bedrock": 403}.get(dialect, 401)


def test_key_list_accepts_its_own_only(connect, dialect, shapes):
    """With a list of keys, only these are accepted."""
    with Simulator(keys=["good-key"]) as simulator:
        wire = connect(simulator)
        assert wire.prompt(dialect).status == 200
        headers = {name: value.replace("good-key", "good-key2") for name, value in shapes.headers[dialect].items()}
        assert wire.ask(dialect, shapes.question(dialect), headers=headers).status in (400, 401, 403)


def test_missing_key_is_refused(wire, dialect, shapes):
    """A request without a key is refused: 401, with Gemini and Bedrock 403."""
    headers = {name: value for name, value in shapes.headers[dialect].items() if "good-key" not in value}
    got = wire.ask(dialect, shapes.question(dialect), headers=headers)
    assert got.status == (403 if dialect in ("gemini", "gemini-interactions", "bedrock") else 401)


@pytest.mark.parametrize("name", ["no-such-model", "this-does-not-exist", "gpt-nope", "unknown"])
def test_unknown_models_are_unknown(wire, dialect, name):
    """A model whose name says that it is unknown gets a 404, or a 400 from OpenAI's Responses API and Bedrock."""
    got = wire.prompt(dialect, model=name)
    assert got.status == (400 if dialect in ("openai-responses", "bedrock") else 404)
    if dialect.startswith("openai"):
        assert got.body["error"]["code"] == "model_not_found"


def test_unlisted_models_are_served(wire, dialect):
    """Any other model name is answered, so that any configuration can be simulated."""
    assert wire.prompt(dialect, model="my-own-finetune").status == 200


@pytest.mark.parametrize(
    "switch",
    [
        {"stream": True},
        {"stream": "true"},
        {"stream": 1},
        {"stream": 0},
        {"stream_options": {"include_usage": True}},
        {"deferred": True},
        {"partial_images": 2},
        {"stream_format": "sse"},
    ],
    ids=str,
)
def test_streaming_in_the_body_is_refused_and_counted(simulator, wire, dialect, shapes, switch):
    """Any value of a streaming switch but false is refused and counted."""
    got = wire.ask(dialect, shapes.question(dialect) | switch)
    assert got.status == 400
    assert "never streams" in got.raw.decode()
    assert simulator.stream_attempts == 1
    assert simulator.requests[0].stream == next(iter(switch))


def test_background_is_refused_where_there_is_none(simulator, wire, dialect, shapes):
    """Only Responses and Interactions make answers in the background; the others refuse the switch like a stream."""
    has_background = dialect in ("openai-responses", "gemini-interactions")
    model = "gemini-3.5-flash" if dialect == "gemini-interactions" else None
    got = wire.ask(dialect, shapes.question(dialect) | {"background": True}, model=model)
    assert got.status == (200 if has_background else 400)
    assert simulator.stream_attempts == (0 if has_background else 1)


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
    """Streaming switches within other settings are refused and counted."""
    got = wire.ask(dialect, shapes.question(dialect) | switch)
    assert got.status == 400
    assert simulator.stream_attempts == 1
    assert simulator.requests[0].stream == named


def test_streaming_asked_for_in_accept_is_refused_and_counted(simulator, wire, dialect, shapes):
    """Accept: text/event-stream is refused and counted."""
    got = wire.ask(dialect, shapes.question(dialect), headers={**shapes.headers[dialect], "Accept": "text/event-stream"})
    assert got.status == 400
    assert simulator.stream_attempts == 1


def test_stream_false_is_no_attempt(simulator, wire, dialect, shapes):
    """``stream: false`` is not counted (generateContent and Bedrock refuse the unknown field)."""
    got = wire.ask(dialect, shapes.question(dialect) | {"stream": False})
    assert got.status == (400 if dialect in ("gemini", "bedrock") else 200)
    assert simulator.stream_attempts == 0


@pytest.mark.parametrize("query", ["alt=sse", "$alt=sse", "stream=true", "starting_after=3", "include_obfuscation=true"])
def test_streaming_in_the_query_is_refused_and_counted(simulator, wire, shapes, query):
    """A streaming switch in the query is refused and counted."""
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
    """The path of a streaming method is refused and counted."""
    got = wire.send("POST", path, shapes.question("gemini"), shapes.headers["gemini"])
    assert got.status == 400
    assert simulator.stream_attempts == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"text"', b"{'a': 1}", b"\xff\xfe{}"])
def test_malformed_bodies_are_refused(wire, dialect, shapes, body):
    """A body that is no JSON object gets a 400 in the dialect's form."""
    got = wire.ask(dialect, body)
    assert got.status == 400
    assert shapes.error_of(dialect, got.body)["message"]


@pytest.mark.parametrize(("number", "said"), [("NaN", "NaN is not JSON"), ("-Infinity", "is not JSON"), ("1e999", "too large")])
def test_numbers_json_does_not_have_are_refused(wire, dialect, shapes, number, said):
    """NaN and infinity, which Python's parser accepts, are refused."""
    body = json.dumps({"model": shapes.models[dialect], **shapes.question(dialect)})[:-1] + f', "metadata": {{"a": {number}}}}}'
    got = wire.ask(dialect, body.encode())
    assert got.status == 400
    assert said in shapes.error_of(dialect, got.body)["message"]


def test_system_prompt_and_earlier_turns_count(wire, dialect, shapes):
    """All messages affect the answer and the billed tokens."""
    payload = shapes.question(dialect)
    system = {
        "openai-responses": {"instructions": "Be brief."},
        "anthropic": {"system": "Be brief."},
        "gemini": {"systemInstruction": {"parts": [{"text": "Be brief."}]}},
        "bedrock": {"system": [{"text": "Be brief."}]},
        "gemini-interactions": {"system_instruction": "Be brief."},
    }.get(dialect, {"messages": [{"role": "system", "content": "Be brief."}, *payload.get("messages", [])]})
    plain, with_system = wire.ask(dialect, payload), wire.ask(dialect, payload | system)
    assert with_system.status == 200, with_system

    def billed(body: Any) -> int:
        usage = body.get("usage") or body["usageMetadata"]
        return int(
            next(
                usage[key]
                for key in ("prompt_tokens", "input_tokens", "promptTokenCount", "inputTokens", "total_input_tokens")
                if key in usage
            )
        )

    assert billed(with_system.body) > billed(plain.body)
