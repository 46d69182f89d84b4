"""OpenAI's chat completions, Responses API and model listing, and the requests that they refuse."""

from __future__ import annotations

import json

import pytest

USER = {"role": "user", "content": "hi"}
STRICT = {"name": "s", "strict": True}
FUNCTION = {"type": "function", "function": {"name": "f"}}
MP3 = {"type": "input_file", "file_url": "https://example.com/a.mp3?x=1"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
PNG = (  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}


def chat(wire, model="gpt-4o-mini", **payload):
    """A chat completion request with the given fields changed."""
    return wire.ask("openai", {"messages": [USER], **payload}, model=model)


def respond(wire, model="gpt-4o-mini", **payload):
    """A Responses API request with the given fields changed."""
    return wire.ask("openai-responses", {"input": "hi", **payload}, model=model)


def test_completion_has_the_recorded_shape(wire):
    """A completion has every key that all recorded ones have, with its type, and correct sums."""
    body = chat(wire).body
    assert body["object"] == "chat.completion"
    assert body["id"].startswith("chatcmpl-")
    assert isinstance(body["created"], int)
    assert body["model"] == "gpt-4o-mini-2024-07-18"
    choice = body["choices"][0]
    assert choice["index"] == 0
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["refusal"] is None
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 2
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0


def test_good_answers_carry_request_id_and_rate_limits(wire):
    """Successful answers have a request id and rate limits, with resets as Go durations."""
    headers = chat(wire).headers
    assert headers["x-request-id"].startswith("req_")
    assert headers["openai-version"] == "2020-10-01"
    assert headers["x-ratelimit-reset-requests"].endswith("ms")
    assert int(headers["x-ratelimit-remaining-requests"]) < int(headers["x-ratelimit-limit-requests"])


def test_reasoning_is_billed_inside_the_completion(wire):
    """completion_tokens includes reasoning tokens."""
    usage = chat(wire, model="o4-mini").body["usage"]
    hidden = usage["completion_tokens_details"]["reasoning_tokens"]
    assert 0 < hidden < usage["completion_tokens"]


def test_reasoning_can_eat_the_whole_limit(wire):
    """If reasoning uses the whole limit, the text is empty and the finish reason is "length"."""
    body = chat(wire, model="gpt-5-mini", max_completion_tokens=20).body
    assert body["choices"][0]["message"]["content"] == ""
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == body["usage"]["completion_tokens_details"]["reasoning_tokens"] == 20


def test_effort_none_switches_reasoning_off_where_it_may(wire):
    """gpt-5.1 accepts the effort "none" and then a temperature; gpt-5 refuses it."""
    body = chat(wire, model="gpt-5.1", reasoning_effort="none", temperature=0.2).body
    assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0
    assert chat(wire, model="gpt-5", reasoning_effort="none").body["error"]["code"] == "unsupported_value"


def test_several_choices(wire):
    """``n`` gives as many different answers."""
    choices = chat(wire, n=5).body["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2, 3, 4]
    assert len({choice["message"]["content"] for choice in choices}) > 1


def test_stop_sequence_ends_the_text(wire):
    """The text ends before the stop sequence, and the finish reason is "stop"."""
    whole = chat(wire).body["choices"][0]["message"]["content"]
    stop = whole[10:14]
    cut = chat(wire, stop=[stop]).body["choices"][0]
    assert cut["message"]["content"] == whole[: whole.index(stop)]
    assert cut["finish_reason"] == "stop"


def test_json_object_mode(wire):
    """JSON mode returns an object if the messages mention JSON; otherwise it is refused."""
    asked = {"messages": [{"role": "user", "content": "Answer in JSON"}], "response_format": {"type": "json_object"}}
    assert json.loads(wire.ask("openai", asked).body["choices"][0]["message"]["content"])["answer"]
    assert chat(wire, response_format={"type": "json_object"}).status == 400


def test_long_prompts_may_be_partly_cached(wire):
    """Cached tokens are part of the prompt's, in steps of 128."""
    prompts = [wire.prompt("openai", f"{n} " + "word " * 2000).body["usage"] for n in range(6)]
    cached = [usage["prompt_tokens_details"]["cached_tokens"] for usage in prompts]
    assert any(cached)
    assert all(count % 128 == 0 and count < usage["prompt_tokens"] for count, usage in zip(cached, prompts, strict=True))


def with_parameters(properties):
    """A function with these properties."""
    return {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": properties}}}


BAD_PARAMETERS = "invalid_function_parameters"
PART = "messages[0].content[0]"
URL_ALONE = {"type": "image_url", "image_url": "https://example.com/a.png"}
HUGE_IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "huge"}}


@pytest.mark.parametrize(
    ("model", "change", "status", "code", "param"),
    [
        ("gpt-4o", {"max_tokens": 5, "max_completion_tokens": 5}, 400, "invalid_parameter_combination", "max_tokens"),
        ("o3", {"max_tokens": 5}, 400, "unsupported_parameter", "max_tokens"),
        ("gpt-5-mini", {"max_tokens": 5}, 400, "unsupported_parameter", "max_tokens"),
        ("gpt-4o", {"max_tokens": 0}, 400, "integer_below_min_value", "max_tokens"),
        ("gpt-4o", {"max_tokens": "5"}, 400, "invalid_type", "max_tokens"),
        ("gpt-4o", {"max_completion_tokens": 10**6}, 400, "invalid_value", "max_completion_tokens"),
        ("gpt-4o", {"temperature": 2.5}, 400, "decimal_above_max_value", "temperature"),
        ("gpt-4o", {"temperature": -1}, 400, "decimal_below_min_value", "temperature"),
        ("gpt-4o", {"temperature": "hot"}, 400, "invalid_type", "temperature"),
        ("gpt-4o", {"top_p": 1.5}, 400, "decimal_above_max_value", "top_p"),
        ("gpt-5", {"temperature": 0.5}, 400, "unsupported_value", "temperature"),
        ("o3", {"temperature": 1}, 400, "unsupported_parameter", "temperature"),
        ("gpt-5", {"top_p": 0.5}, 400, "unsupported_parameter", "top_p"),
        ("gpt-5-mini", {"stop": "x"}, 400, "unsupported_parameter", "stop"),
        ("gpt-4o", {"stop": list("abcde")}, 400, "array_above_max_length", "stop"),
        ("gpt-4o", {"reasoning_effort": "low"}, 400, "unsupported_parameter", "reasoning_effort"),
        ("gpt-4o", {"n": 0}, 400, "integer_below_min_value", "n"),
        ("gpt-4o", {"seed": 1.5}, 400, "invalid_type", "seed"),
        ("gpt-4o", {"service_tier": ["x"]}, 400, "invalid_value", "service_tier"),
        ("gpt-4o", {"top_k": 5}, 400, "unknown_parameter", "top_k"),
        ("gpt-4o", {"messages": []}, 400, "empty_array", "messages"),
        ("gpt-4o", {"messages": "hi"}, 400, "invalid_type", "messages"),
        ("gpt-4o", {"messages": [{"role": "robot", "content": "x"}]}, 400, "invalid_value", "messages[0].role"),
        ("gpt-4o", {"messages": [{"role": "user", "content": None}]}, 400, "invalid_type", "messages[0].content"),
        ("gpt-4o", {"messages": [{"role": "tool", "tool_call_id": "x", "content": "1"}]}, 400, None, "messages[0]"),
        ("o1-mini", {"messages": [{"role": "system", "content": "x"}, USER]}, 400, "unsupported_value", "messages[0].role"),
        ("gpt-4o", {"tool_choice": "required"}, 400, None, "tool_choice"),
        ("gpt-4o", {"messages": [{"role": "user", "content": "x " * 300_000}]}, 400, "context_length_exceeded", "messages"),
        ("gpt-5-pro", {}, 404, None, "model"),
        ("gpt-4o-mimi", {}, 404, "model_not_found", None),
        ("gpt-5-chat-latest", {"tools": [FUNCTION]}, 404, None, None),
        ("gpt-5.1", {"reasoning_effort": "minimal"}, 400, "unsupported_value", "reasoning_effort"),
        ("gpt-5.6", {"reasoning_effort": "minimal"}, 400, "unsupported_value", "reasoning_effort"),
        ("o3", {"reasoning_effort": "xhigh"}, 400, "unsupported_value", "reasoning_effort"),
        ("gpt-5", {"reasoning_effort": "huge"}, 400, "invalid_value", "reasoning_effort"),
        ("gpt-4o", {"verbosity": "low"}, 400, "unsupported_value", "verbosity"),
        ("gpt-5", {"verbosity": "chatty"}, 400, "invalid_value", "verbosity"),
        ("gpt-4o", {"seed": 2**63}, 400, "integer_above_max_value", "seed"),
        ("gpt-4o", {"metadata": {"a": 1}}, 400, "invalid_type", "metadata.a"),
        ("gpt-4o", {"metadata": {str(n): "x" for n in range(17)}}, 400, "object_above_max_properties", "metadata"),
        ("gpt-4o", {"logit_bias": {"50256": 101}}, 400, "invalid_value", "logit_bias"),
        ("gpt-4o", {"logit_bias": [1]}, 400, "invalid_type", "logit_bias"),
        ("gpt-4o", {"logprobs": "yes"}, 400, "invalid_type", "logprobs"),
        ("gpt-4o", {"top_logprobs": 3}, 400, "invalid_value", "top_logprobs"),
        ("gpt-4o", {"top_logprobs": 21, "logprobs": True}, 400, "integer_above_max_value", "top_logprobs"),
        ("gpt-4o", {"user": 5}, 400, "invalid_type", "user"),
        ("gpt-4o", {"store": "yes"}, 400, "invalid_type", "store"),
        ("gpt-4o", {"modalities": ["text", "audio"]}, 400, "invalid_value", "modalities"),
        ("gpt-4o", {"parallel_tool_calls": False}, 400, None, "parallel_tool_calls"),
        ("gpt-4o", {"tools": [FUNCTION] * 129}, 400, "array_above_max_length", "tools"),
        ("gpt-4o", {"tools": [FUNCTION], "functions": [FUNCTION["function"]]}, 400, None, "functions"),
        ("gpt-4o", {"functions": [FUNCTION["function"]], "function_call": {"name": "g"}}, 400, None, "function_call"),
        ("gpt-4", {"response_format": JSON_SCHEMA}, 400, None, "response_format"),
        ("gpt-3.5-turbo", {"response_format": JSON_SCHEMA}, 400, None, "response_format"),
        ("gpt-4", {"response_format": {"type": "json_object"}}, 400, None, "response_format"),
        ("gpt-3.5-turbo", {"messages": [{"role": "user", "content": [IMAGE]}]}, 400, None, "messages[0].content[0].type"),
        ("gpt-4o", {"messages": [{"role": "user", "content": [AUDIO]}]}, 400, "invalid_value", "messages[0]"),
        ("gpt-4o", {"messages": [{"role": "user", "content": "x", "name": "a b"}]}, 400, "invalid_value", "messages[0].name"),
        ("gpt-4o", {"messages": [{"role": "user", "content": [URL_ALONE]}]}, 400, "invalid_type", f"{PART}.image_url"),
        ("gpt-4o", {"messages": [{"role": "user", "content": [HUGE_IMAGE]}]}, 400, "invalid_value", f"{PART}.image_url.detail"),
        ("gpt-4o", {"tools": [with_parameters({"a": {"type": "int"}})]}, 400, BAD_PARAMETERS, "tools[0].function.parameters"),
        ("gpt-4o", {"tools": [with_parameters({"a": {"type": "array"}})]}, 400, BAD_PARAMETERS, "tools[0].function.parameters"),
        ("gpt-4o", {"tools": [with_parameters([])]}, 400, BAD_PARAMETERS, "tools[0].function.parameters"),
        ("text-embedding-3-small", {}, 403, None, None),
    ],
)
def test_chat_refuses_what_openai_refuses(wire, model, change, status, code, param):
    """An invalid request is refused with the status, code and param of OpenAI."""
    got = chat(wire, model=model, **change)
    assert (got.status, got.body["error"]["code"], got.body["error"]["param"]) == (status, code, param), got
    assert set(got.body["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://example.com/a.png", "invalid_image_url"),
        ("data:image/bmp;base64,AAAA", "invalid_image_format"),
        ("https://nowhere.invalid/a.png", "invalid_image_url"),
        ("https://example.com/a.png", None),
        (f"data:image/png;base64,{PNG}", None),
        ("data:image/png;base64,AAAA", "invalid_image_format"),
        ("data:image/png;base64,A", "invalid_base64"),
    ],
)
def test_images_are_checked(wire, url, code):
    """Valid image URLs are accepted and cost tokens; others are refused with their code."""
    parts = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": url}}]
    got = wire.ask("openai", {"messages": [{"role": "user", "content": parts}]})
    if code:
        assert got.body["error"]["code"] == code
    else:
        assert got.body["usage"]["prompt_tokens"] > 85


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_what_is_not_called_json_is_refused(wire, shapes, kind):
    """Another Content-Type than JSON is refused; a charset is accepted."""
    headers = {**shapes.headers["openai"], "Content-Type": kind}
    got = wire.ask("openai", {"messages": [USER]}, headers=headers)
    assert (got.status, got.body["error"]["code"]) == (400, "unsupported_content_type")
    headers["Content-Type"] = "application/json; charset=utf-8"
    assert wire.ask("openai", {"messages": [USER]}, headers=headers).status == 200


def closed(schema):
    """A closed object with one property of this schema."""
    return {"type": "object", "properties": {"a": schema}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "object", "properties": {}}, "additionalProperties"),
        ({"type": "object", "properties": {"a": {}}, "required": [], "additionalProperties": False}, "Missing 'a'"),
        ({"type": "array", "items": {}}, "root"),
        (closed({"type": "integer"}) | {"required": ["a", "b"]}, "Extra required key 'b'"),
        (closed({"oneOf": [{"type": "integer"}]}), "'oneOf' is not permitted"),
        (closed({"allOf": [{"type": "integer"}]}), "'allOf' is not permitted"),
        (closed({"title": "A"}), "must have a 'type' key"),
        (closed({"type": "int"}), "'int' is not valid"),
        (closed({"type": "array"}), "array schema missing items"),
    ],
)
def test_strict_schemas_are_closed_and_complete(wire, schema, said):
    """Strict mode requires closed objects with all properties required."""
    got = chat(wire, response_format={"type": "json_schema", "json_schema": {**STRICT, "schema": schema}})
    assert got.body["error"]["code"] == "invalid_json_schema"
    assert said in got.body["error"]["message"]


def test_strict_functions_too(wire):
    """A strict function with an open schema is refused with its own code."""
    function = {"name": "f", "strict": True, "parameters": {"type": "object", "properties": {"a": {"type": "object"}}}}
    got = chat(wire, tools=[{"type": "function", "function": function}])
    assert got.body["error"]["code"] == "invalid_function_parameters"


def test_tool_answers_complete_the_conversation(wire):
    """A call followed by its result is accepted; a call without a result is refused."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked = [USER, {"role": "assistant", "content": None, "tool_calls": [call]}]
    done = wire.ask("openai", {"messages": [*asked, {"role": "tool", "tool_call_id": "c1", "content": "sunny"}]})
    assert "sunny" in done.body["choices"][0]["message"]["content"]
    assert wire.ask("openai", {"messages": asked}).status == 400
    assert wire.ask("openai", {"messages": [*asked, USER]}).status == 400
    assert wire.ask("openai", {"messages": [*asked, {"role": "assistant", "content": "x"}, USER]}).status == 400


def test_cut_tool_call_leaves_broken_arguments(wire):
    """A limit within the arguments leaves invalid JSON and the finish reason "length"."""
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in "abcdefgh"}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    choice = chat(wire, tools=tools, tool_choice="required", max_tokens=20).body["choices"][0]
    assert choice["finish_reason"] == "length"
    with pytest.raises(ValueError, match=r"."):
        json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"])


def test_refused_key_is_partly_echoed(wire, shapes):
    """The error for a wrong key contains part of it, as the real one does."""
    key = "sk-wrong-0123456789abcdef"
    got = wire.ask("openai", shapes.question("openai"), headers={"Authorization": f"Bearer {key}"})
    assert got.body["error"]["code"] == "invalid_api_key"
    assert got.body["error"]["type"] == "invalid_request_error"
    assert key[:8] in got.body["error"]["message"]
    assert key not in got.body["error"]["message"]


def test_listing_has_every_kind_of_model(wire, shapes):
    """The listing is one page and includes models that do not support chat."""
    body = wire.send("GET", "/openai/v1/models", headers=shapes.headers["openai"]).body
    ids = {item["id"] for item in body["data"]}
    assert body["object"] == "list"
    assert {"gpt-4o-mini", "text-embedding-3-small"} <= ids
    assert wire.send("GET", "/openai/v1/models").status == 401
    assert wire.send("GET", "/openai/v1/models/gpt-4o", headers=shapes.headers["openai"]).body["id"] == "gpt-4o"
    assert wire.send("GET", "/openai/v1/models/nope", headers=shapes.headers["openai"]).status == 404


def test_plain_v1_is_openai_too(wire, shapes):
    """OpenAI is also served under /v1, for clients that only let the host be set."""
    got = wire.send("POST", "/v1/chat/completions", {"model": "gpt-4o", "messages": [USER]}, shapes.headers["openai"])
    assert got.status == 200


@pytest.mark.parametrize("path", ["/openai/chat/completions", "/openai/v1/nothing", "/v1/completions", "/openai"])
def test_wrong_paths_are_404_in_shape(wire, shapes, path):
    """A base URL without /v1 gets the same 404 as from OpenAI."""
    got = wire.send("POST", path, {}, shapes.headers["openai"])
    assert got.status == 404
    assert got.body["error"]["type"] == "invalid_request_error"


def test_wrong_method_is_405(wire, shapes):
    """GET on a POST endpoint is a 405."""
    assert wire.send("GET", "/openai/v1/chat/completions", headers=shapes.headers["openai"]).status == 405


def test_response_has_the_recorded_shape(wire):
    """A response has output items, echoed settings and correct sums, as recorded."""
    body = respond(wire, instructions="Be brief.", max_output_tokens=500, metadata={"a": "b"}).body
    assert body["object"] == "response"
    assert body["status"] == "completed"
    assert body["error"] is None
    assert "output_text" not in body
    assert body["instructions"] == "Be brief."
    assert body["metadata"] == {"a": "b"}
    assert [item["type"] for item in body["output"]] == ["message"]
    assert body["output"][0]["content"][0]["type"] == "output_text"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_reasoning_models_put_a_reasoning_item_first(wire):
    """A reasoning item with an empty summary comes first; if the text is cut completely, there is no message."""
    body = respond(wire, model="o4-mini").body
    assert [item["type"] for item in body["output"]] == ["reasoning", "message"]
    assert body["output"][0]["summary"] == []
    cut = respond(wire, model="o4-mini", max_output_tokens=16).body
    assert [item["type"] for item in cut["output"]] == ["reasoning"]
    assert cut["incomplete_details"] == {"reason": "max_output_tokens"}


@pytest.mark.parametrize(
    ("model", "change", "code", "param"),
    [
        ("gpt-4o", {"max_output_tokens": 15}, "integer_below_min_value", "max_output_tokens"),
        ("gpt-4o", {"stop": ["x"]}, "unknown_parameter", "stop"),
        ("gpt-4o", {"seed": 1}, "unknown_parameter", "seed"),
        ("gpt-4o", {"messages": []}, "unsupported_parameter", "messages"),
        ("gpt-4o", {"max_tokens": 50}, "unsupported_parameter", "max_tokens"),
        ("gpt-4o", {"input": None}, "missing_required_parameter", "input"),
        ("gpt-4o", {"input": [{"role": "robot", "content": "x"}]}, "invalid_value", "input[0].role"),
        (
            "gpt-4o",
            {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
            "invalid_value",
            "input[0].content[0]",
        ),
        ("gpt-4o", {"input": [USER | {"name": "x"}]}, "unknown_parameter", "input[0].name"),
        (
            "gpt-4o",
            {"input": [USER, {"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
            "invalid_value",
            "input[1].content[0]",
        ),
        ("gpt-4o", {"text": {"schema": {}}}, "unknown_parameter", "text.schema"),
        ("gpt-4o", {"input": "x " * 300_000}, "context_length_exceeded", "input"),
        ("gpt-5", {"temperature": 0.3}, "unsupported_value", "temperature"),
        ("gpt-4o", {"max_output_tokens": 20_000}, "integer_above_max_value", "max_output_tokens"),
        ("gpt-4o", {"max_tool_calls": 0}, "integer_below_min_value", "max_tool_calls"),
        ("gpt-4o", {"truncation": "some"}, "invalid_value", "truncation"),
        ("gpt-4o", {"include": ["everything"]}, "invalid_value", "include[0]"),
        ("gpt-4o", {"metadata": {"a": []}}, "invalid_type", "metadata.a"),
        ("gpt-4o", {"text": {"verbosity": "high"}}, "unsupported_value", "text.verbosity"),
        ("gpt-4o", {"instructions": ["x"]}, "invalid_type", "instructions"),
        ("gpt-5", {"reasoning": "low"}, "invalid_type", "reasoning"),
        ("gpt-5", {"reasoning": {"level": "low"}}, "unknown_parameter", "reasoning.level"),
        ("gpt-5", {"reasoning": {"summary": "long"}}, "invalid_value", "reasoning.summary"),
        ("gpt-4o", {"input": [{"role": "user", "content": [MP3]}]}, "unsupported_file", "input"),
        ("text-embedding-3-small", {}, "model_not_found", "model"),
        ("gpt-5-mimi", {}, "model_not_found", "model"),
        ("gpt-4o", {"reasoning": {"effort": "low"}}, "unsupported_parameter", "reasoning.effort"),
        ("gpt-4o", {"previous_response_id": "resp_1"}, "previous_response_not_found", "previous_response_id"),
        ("o1-mini", {}, "model_not_found", "model"),
    ],
)
def test_responses_refuses_what_openai_refuses(wire, model, change, code, param):
    """An invalid request is refused with 400 and the code and param of OpenAI."""
    got = respond(wire, model=model, **change)
    assert (got.status, got.body["error"]["code"], got.body["error"]["param"]) == (400, code, param), got


def test_function_outputs_need_their_calls(wire):
    """A function call and its output are accepted; either one alone is refused."""
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
    user = {"role": "user", "content": "hi"}
    assert respond(wire, input=[user, call, output]).status == 200
    assert respond(wire, input=[user, call]).status == 400
    assert respond(wire, input=[user, output]).status == 400


def test_log_probabilities_on_request(wire):
    """Log probabilities cover every token, with alternatives."""
    choice = chat(wire, logprobs=True, top_logprobs=2).body["choices"][0]
    entries = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == choice["message"]["content"]
    assert all(len(entry["top_logprobs"]) == 2 and entry["logprob"] <= 0 for entry in entries)


def test_the_former_functions_api(wire):
    """The former functions API gives one call without an id, with its own finish reason."""
    function = {"name": "f", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    choice = chat(wire, functions=[function], function_call={"name": "f"}).body["choices"][0]
    assert choice["message"]["function_call"]["name"] == "f"
    assert isinstance(json.loads(choice["message"]["function_call"]["arguments"])["n"], int)
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "stop")
    assert "function_call" not in chat(wire, functions=[function]).body["choices"][0]["message"]


def test_settings_are_echoed_as_they_were_sent(wire):
    """Settings are echoed as sent, zeros too."""
    body = respond(wire, temperature=0, top_p=0.5, max_tool_calls=3).body
    assert (body["temperature"], body["top_p"], body["max_tool_calls"]) == (0.0, 0.5, 3)
    assert isinstance(body["temperature"], float)


def test_newer_models_say_which_message_is_the_last(wire):
    """Newer models set ``phase``; reasoning summaries and encrypted content are sent on request."""
    asked = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    reasoning, message = respond(wire, model="gpt-5.5", **asked).body["output"]
    assert message["phase"] == "final_answer"
    assert reasoning["summary"][0]["type"] == "summary_text"
    assert reasoning["encrypted_content"]
    assert "phase" not in respond(wire).body["output"][0]


def test_what_tools_of_its_own_leave_behind_is_taken(wire):
    """Items of hosted tools are accepted in the input; a hosted tool may be chosen."""
    items = [{"role": "user", "content": "hi"}, {"type": "web_search_call", "id": "ws_1"}, {"type": "reasoning", "summary": []}]
    assert respond(wire, input=items).status == 200
    assert respond(wire, tools=[{"type": "web_search"}], tool_choice={"type": "web_search"}).status == 200


def test_stored_responses_are_not_kept(wire, shapes):
    """A stored response is a 404; a request for its stream is counted."""
    got = wire.send("GET", "/openai/v1/responses/resp_1", headers=shapes.headers["openai"])
    assert (got.status, got.body["error"]["message"]) == (404, "Response with id 'resp_1' not found.")


@pytest.mark.parametrize(("model", "shown"), [("grok-4", False), ("grok-3-mini", True), ("deepseek-reasoner", True)])
def test_compatible_servers_bill_reasoning_differently(wire, model, shown):
    """xAI bills reasoning outside completion_tokens, DeepSeek inside; llm-sync counts both alike."""
    body = chat(wire, model=model, temperature=0.5).body
    usage, message = body["usage"], body["choices"][0]["message"]
    thought = usage["completion_tokens_details"]["reasoning_tokens"]
    beside = usage["total_tokens"] - usage["prompt_tokens"] - usage["completion_tokens"]
    assert thought > 0
    assert beside == (thought if model.startswith("grok") else 0)
    assert bool(message.get("reasoning_content")) is shown


def test_efforts_of_models_that_are_not_openais_pass(wire):
    """Efforts for models of other servers are not checked."""
    assert chat(wire, model="qwen3-32b", reasoning_effort="low", verbosity="low").status == 200
