"""Broken and hostile clients get an error or a closed connection, and the server goes on serving."""

from __future__ import annotations

import json
import random
import socket
import string
import threading

import pytest

from llm_sync.simulator import Simulator

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"


def talk(simulator, *pieces, half_close=False):
    """Sends raw bytes and reads until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=10) as sock:
        for piece in pieces:
            sock.sendall(piece)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while chunk := sock.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
        return received


def status_of(received):
    """The number in the status line."""
    return int(received.split(b" ", 2)[1])


@pytest.fixture(autouse=True)
def still_serving(simulator, wire):
    """Asserts that the next request is answered."""
    yield
    assert wire.prompt("openai").status == 200


@pytest.mark.parametrize(
    ("name", "sent", "status"),
    [
        ("binary junk", bytes(range(256)), 400),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        ("no version", b"GET /\r\n\r\n", 400),
        ("words too many", b"GET / x HTTP/1.1\r\n\r\n", 400),
        ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("NUL in the path", b"GET /\0 HTTP/1.1\r\n\r\n", 400),
        ("NUL in a header", b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", 400),
        ("header without colon", b"GET / HTTP/1.1\r\nnonsense\r\n\r\n", 400),
        ("folded header", b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
        ("blank before colon", b"GET / HTTP/1.1\r\nA : b\r\n\r\n", 400),
        ("header flood", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        ("endless header", b"GET / HTTP/1.1\r\nA: " + b"b" * 200_000, 431),
        ("length no number", HEAD + b"Content-Length: ten\r\n\r\n", 400),
        ("length negative", HEAD + b"Content-Length: -1\r\n\r\n", 400),
        ("length in other digits", HEAD + "Content-Length: \u00b2\r\n\r\n".encode("latin-1"), 400),
        ("length without end", HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        ("two lengths", HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
        ("length and chunks", HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", 400),
        ("unknown coding", HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        ("bad chunk size", HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        ("chunk of the wrong size", HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n", 400),
        ("huge chunk", HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffff\r\n", 413),
        ("lines that end in LF", b"GET / HTTP/1.1\nHost: x\n\n", 400),
        ("huge declared body", HEAD + b"Content-Length: 99999999999\r\n\r\n", 413),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_broken_http_is_answered_and_closed(simulator, name, sent, status):
    """A malformed request gets a matching status, and the connection is closed."""
    assert status_of(talk(simulator, sent, half_close=True)) == status


@pytest.mark.parametrize("lines", [1, 2, 5])
def test_empty_lines_before_a_request_are_skipped(simulator, lines):
    """Empty lines before a request are skipped."""
    sent = b"\r\n" * lines + b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nConnection: close\r\n\r\n"
    assert status_of(talk(simulator, sent)) == 200


@pytest.mark.parametrize("origin", [b"http://x", b"HTTPS://x:1"])
def test_the_absolute_form_is_taken(simulator, origin):
    """A request target in absolute form, as for proxies, is accepted."""
    sent = b"GET " + origin + b"/v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nConnection: close\r\n\r\n"
    assert status_of(talk(simulator, sent)) == 200


def test_too_large_a_body_is_not_invited(simulator):
    """With Expect: 100-continue, too large a body is refused before it is sent."""
    received = talk(simulator, HEAD + b"Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n", half_close=True)
    assert status_of(received) == 413
    assert b"100 Continue" not in received


def test_too_large_a_body_is_refused_in_the_dialects_form(connect, dialect, shapes):
    """Too large a body is refused in the dialect's form, and logged."""
    with Simulator(max_body=100) as simulator:
        got = connect(simulator).prompt(dialect, "x" * 200)
        assert got.status == (400 if dialect.startswith("gemini") else 413)
        error = shapes.error_of(dialect, got.body)
        words = {"anthropic": error.get("type") == "request_too_large", "gemini": error.get("status") == "INVALID_ARGUMENT"}
        words["gemini-interactions"] = error.get("code") == "invalid_request"
        words["bedrock"] = "RequestEntityTooLargeException" in got.headers.get("x-amzn-errortype", "")
        assert words.get(dialect, "too large" in error["message"].lower())
        assert [(record.outcome, record.status) for record in simulator.requests] == [("refused", got.status)]


def test_huge_body_gets_its_answer_while_still_sending(connect):
    """The client gets the 413 although it is still sending."""
    with Simulator(max_body=10_000) as simulator:
        head = HEAD + b"Content-Length: 20000000\r\n\r\n"
        assert status_of(talk(simulator, head, b"x" * 20_000_000)) == 413


def test_large_body_within_the_limit_is_read(wire, shapes):
    """A body of 5 MiB is accepted."""
    got = wire.ask("openai", shapes.question("openai", "word " * 1_000_000), model="unlisted")
    assert got.status == 200
    assert got.body["usage"]["prompt_tokens"] > 1_000_000


def test_no_body_is_malformed_json(simulator):
    """A POST without a length has an empty body, which is invalid JSON."""
    assert status_of(talk(simulator, HEAD + b"Connection: close\r\n\r\n")) == 400


def test_slow_client_is_cut_off(connect):
    """A slow client cannot occupy a thread for longer than read_timeout."""
    with Simulator(read_timeout=0.2) as simulator:
        received = talk(simulator, b"G")
        assert status_of(received) == 408
        assert status_of(talk(simulator, HEAD + b"Content-Length: 100\r\n\r\n{")) == 408


def test_dripping_does_not_extend_the_time(connect):
    """read_timeout counts from the first byte, however many follow."""
    with Simulator(read_timeout=0.3) as simulator, socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as sock:
        sock.sendall(b"GET /")
        dripped = 0
        sock.settimeout(0.05)
        while True:
            try:
                received = sock.recv(1000)
                break
            except TimeoutError:
                dripped += 1
                sock.sendall(b"x")
                assert dripped < 50
        assert status_of(received) == 408


def test_idle_connection_is_closed_quietly():
    """An idle connection is closed without a response."""
    with Simulator(idle_timeout=0.05) as simulator:
        assert talk(simulator) == b""


def test_half_closed_client_gets_its_answer(simulator, shapes):
    """A client that has closed its sending side gets its answer."""
    body = json.dumps({"model": "gpt-4o", **shapes.question("openai")}).encode()
    received = talk(simulator, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body, half_close=True)
    assert status_of(received) == 200


def test_client_gone_before_its_answer(simulator):
    """If the client has disconnected, the request still ends in the log."""
    hold = simulator.hold()
    with socket.create_connection(("127.0.0.1", simulator.port)) as sock:
        sock.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")
        hold.wait()
    hold.close()
    simulator.wait_for_requests(1, ended=True)
    assert simulator.requests[0].status == 400


def test_half_a_request_is_answered_400(simulator):
    """An incomplete request gets a 400."""
    assert status_of(talk(simulator, HEAD + b"Content-Length: 100\r\n\r\n{", half_close=True)) == 400
    assert simulator.requests == []


@pytest.mark.parametrize("depth", [500, 900, 990, 5_000, 200_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_nesting_is_400_or_served(simulator, wire, dialect, shapes, depth, opening):
    """Deeply nested JSON gets a response, and the log can still be read."""
    closing = "]" if opening == "[" else "}"
    deep = (opening * depth + "1" + closing * depth).encode()
    plain = json.dumps({"model": shapes.models[dialect], **shapes.question(dialect)}).encode()
    got = wire.ask(dialect, plain[:-1] + b', "metadata": ' + deep + b"}")
    assert got.status in (200, 400)
    assert wire.send("GET", "/_simulator/log").status == 200


@pytest.mark.parametrize("prompt", ["a\0b", "\ud800", "\U0001f600 \u202e \x1b[31m", "x" * 100_000, "{prompt} %s {0}", '"\\'])
def test_odd_prompts_are_answered(wire, dialect, shapes, prompt):
    """Prompts with NUL, lone surrogates, control sequences or braces get a printable answer."""
    got = wire.prompt(dialect, prompt)
    assert got.status == 200
    text = shapes.text_of(dialect, got.body)
    assert text.isprintable()


def test_many_connections_at_once(simulator, connect):
    """A hundred clients get a hundred answers."""
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(connect(simulator).prompt("openai").status)) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert statuses == [200] * 100


def full_payload(dialect, shapes):
    """A payload with most of the fields that a dialect supports."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
    payload = shapes.question(dialect)
    if dialect == "anthropic":
        payload |= {
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a"}]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
                {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://e.com/a"}}]},
            ],
            "temperature": 0.5,
            "top_k": 5,
            "stop_sequences": ["x"],
            "tools": [{"name": "f", "input_schema": schema}],
            "tool_choice": {"type": "auto"},
            "output_config": {"format": {"type": "json_schema", "schema": schema}},
            "thinking": {"type": "disabled"},
            "metadata": {"user_id": "u"},
        }
    elif dialect == "gemini-interactions":
        payload = {
            "system_instruction": "Be brief.",
            "input": [
                {"type": "user_input", "content": [{"type": "text", "text": "a"}]},
                {"type": "function_call", "id": "c", "name": "f", "arguments": {}},
                {"type": "function_result", "call_id": "c", "name": "f", "result": {"a": 1}},
            ],
            "generation_config": {
                "max_output_tokens": 100,
                "temperature": 0.5,
                "seed": 1,
                "stop_sequences": ["x"],
                "tool_choice": "auto",
            },
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": schema}],
            "response_format": {"type": "text", "mime_type": "application/json", "schema": schema},
            "service_tier": "standard",
            "labels": {"a": "b"},
            "store": False,
        }
    elif dialect == "bedrock":
        payload = {
            "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
            "messages": [
                {"role": "user", "content": [{"text": "a"}]},
                {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}]},
                {
                    "role": "user",
                    "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "x"}], "status": "success"}}],
                },
            ],
            "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "topP": 0.5, "stopSequences": ["x"]},
            "toolConfig": {
                "tools": [{"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": schema}}}],
                "toolChoice": {"auto": {}},
            },
            "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1", "trace": "enabled"},
            "additionalModelRequestFields": {"reasoningConfig": {"type": "disabled"}},
            "requestMetadata": {"a": "b"},
            "serviceTier": {"type": "default"},
        }
    elif dialect == "gemini":
        payload = {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}]}
            ],
            "generationConfig": {
                "temperature": 1.0,
                "maxOutputTokens": 50,
                "stopSequences": ["x"],
                "seed": 1,
                "responseMimeType": "application/json",
                "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
                "thinkingConfig": {"includeThoughts": True},
            },
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        }
    elif dialect == "openai-responses":
        payload = {
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "x"},
            ],
            "max_output_tokens": 100,
            "temperature": 0.5,
            "reasoning": {"effort": None},
            "text": {"format": {"type": "json_schema", "name": "s", "schema": schema, "strict": True}},
            "tools": [{"type": "function", "name": "f", "parameters": schema}],
            "tool_choice": {"type": "function", "name": "f"},
            "metadata": {},
        }
    else:
        payload |= {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "a"}]},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                {"role": "tool", "tool_call_id": "c", "content": "x"},
            ],
            "max_completion_tokens": 100,
            "temperature": 0.5,
            "n": 2,
            "seed": 1,
            "stop": ["x"],
            "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema, "strict": True}},
            "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "service_tier": "auto",
            "reasoning": {"effort": "low"} if dialect == "openrouter" else None,
        }
        payload = {key: value for key, value in payload.items() if value is not None}
        if dialect == "openai":
            payload.pop("reasoning", None)
    return payload


def places(document, path=()):
    """The path of every value in a document."""
    if path:
        yield path
    if isinstance(document, dict):
        for key, value in document.items():
            yield from places(value, (*path, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from places(value, (*path, index))


def replaced(document, path, value):
    """A copy with one value replaced."""
    copy = json.loads(json.dumps(document))
    at = copy
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return copy


ODD = (None, True, 0, -1, 1.5, 10**30, "", "x", [], ["x"], [None], [[]], {}, {"x": {}}, {"type": []}, {"type": "object"})


def test_no_wrong_type_anywhere_breaks_the_simulator(wire, dialect, shapes):
    """No value of a wrong type, anywhere in a payload, causes an internal error."""
    full = full_payload(dialect, shapes)
    assert wire.ask(dialect, full).status == 200, wire.ask(dialect, full)
    seen = {}
    for path in list(places(full)):
        for odd in ODD:
            got = wire.ask(dialect, replaced(full, path, odd))
            assert got.status in (200, 400, 404), (path, odd, got)
            assert json.loads(got.raw)
            seen[got.status] = seen.get(got.status, 0) + 1
    assert seen[200] > 5
    assert seen[400] > 50


@pytest.mark.parametrize("dialect", ["openai", "openrouter"])
@pytest.mark.parametrize("name", ["tool_calls", "tool_call_id", "function_call"])
def test_no_wrong_type_of_a_call_breaks_the_simulator(wire, dialect, shapes, name):
    """In the turns of the model and of a tool, which few requests have."""
    for role in ("assistant", "tool", "user"):
        for odd in (*ODD, [{"id": 5}], [{"function": {}}], {"id": "x"}):
            messages = [{"role": "user", "content": "x"}, {"role": role, "content": "y", name: odd}]
            got = wire.ask(dialect, {"model": shapes.models[dialect], "messages": messages})
            assert got.status in (200, 400, 404), (role, odd, got)


def test_random_paths_are_refused_quietly(wire):
    """No path causes an internal error."""
    draw = random.Random(7)  # noqa: S311  (the same paths in every run)
    for _ in range(300):
        tail = "".join(draw.choice(string.ascii_letters + "/:%?=&.-") for _ in range(draw.randrange(12)))
        base = draw.choice(
            [
                "/openai/v1/",
                "/v1/models/",
                "/anthropic/v1/models/",
                "/gemini/v1beta/models/",
                "/openrouter/api/v1/",
                "/bedrock/",
                "/",
            ]
        )
        assert wire.send(draw.choice(["GET", "POST", "PUT", "DELETE"]), base + tail).status in (200, 400, 401, 403, 404, 405)
