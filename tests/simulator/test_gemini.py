"""Gemini's generateContent and model listing, and the requests that they refuse."""

from __future__ import annotations

import pytest

from llm_sync.simulator import Simulator

HARM = {"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_NONE"}
CONTENTS = [{"role": "user", "parts": [{"text": "hi"}]}]


def ask(wire, model="gemini-2.0-flash", config=None, **payload):
    """A request with the given fields changed."""
    settings = {} if config is None else {"generationConfig": config}
    return wire.ask("gemini", {"contents": CONTENTS, **settings, **payload}, model=model)


def test_answer_has_the_recorded_shape(wire):
    """An answer has candidates, usage and ids as recorded; no request-id header, and a charset in Content-Type."""
    got = ask(wire)
    body = got.body
    candidate = body["candidates"][0]
    assert candidate["content"]["role"] == "model"
    assert candidate["finishReason"] == "STOP"
    assert body["modelVersion"] == "gemini-2.0-flash"
    assert body["responseId"]
    assert got.headers["content-type"] == "application/json; charset=UTF-8"
    assert "request-id" not in got.headers
    assert "thoughtsTokenCount" not in body["usageMetadata"]


@pytest.mark.parametrize("limit", [None, 5, 90])
def test_total_is_prompt_candidates_and_thoughts(wire, limit):
    """totalTokenCount is the sum of the other counts, where absent counts are 0."""
    usage = ask(wire, "gemini-2.5-flash", None if limit is None else {"maxOutputTokens": limit}).body["usageMetadata"]
    parts = [usage.get(key, 0) for key in ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")]
    assert usage["totalTokenCount"] == sum(parts)
    assert parts[2] > 0


def test_thoughts_can_eat_the_limit(wire):
    """If thinking uses the whole limit, there are no parts and no candidatesTokenCount."""
    body = ask(wire, "gemini-2.5-flash", {"maxOutputTokens": 5}).body
    assert body["candidates"][0] == {"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}
    assert "candidatesTokenCount" not in body["usageMetadata"]


def test_thoughts_can_be_shown_and_switched_off(wire):
    """includeThoughts adds a part marked as thought; a budget of 0 turns thinking off with Flash, not with Pro."""
    shown = ask(wire, "gemini-2.5-flash", {"thinkingConfig": {"includeThoughts": True}}).body
    assert [part.get("thought", False) for part in shown["candidates"][0]["content"]["parts"]] == [True, False]
    off = ask(wire, "gemini-2.5-flash", {"thinkingConfig": {"thinkingBudget": 0}}).body
    assert "thoughtsTokenCount" not in off["usageMetadata"]
    assert ask(wire, "gemini-2.5-pro", {"thinkingConfig": {"thinkingBudget": 0}}).status == 400


def test_snake_case_is_the_same_field(wire, shapes):
    """Either spelling of a field is accepted; both at once are refused."""
    snake = wire.ask("gemini", {"contents": CONTENTS, "generation_config": {"max_output_tokens": 3}})
    assert snake.body["candidates"][0]["finishReason"] == "MAX_TOKENS"
    both = wire.ask("gemini", {"contents": CONTENTS, "generationConfig": {"maxOutputTokens": 3, "max_output_tokens": 3}})
    assert both.status == 400


def test_response_schema_in_the_openapi_subset(wire, shapes):
    """Types in capitals and propertyOrdering are accepted."""
    schema = {
        "type": "OBJECT",
        "properties": {"n": {"type": "INTEGER", "minimum": 3, "maximum": 3}, "t": {"type": "STRING", "nullable": True}},
        "required": ["n"],
        "propertyOrdering": ["n", "t"],
    }
    got = ask(wire, config={"responseMimeType": "application/json", "responseSchema": schema})
    assert '"n": 3' in shapes.text_of("gemini", got.body)


def test_gemini_3_signs_its_calls(wire):
    """Gemini 3 signs the part of a function call."""
    tools = [{"functionDeclarations": [{"name": "f"}]}]
    calling = {"functionCallingConfig": {"mode": "ANY"}}
    part = ask(wire, "gemini-3-flash-preview", tools=tools, toolConfig=calling).body["candidates"][0]["content"]["parts"][0]
    assert part["functionCall"]["name"] == "f"
    assert part["thoughtSignature"]


def says(part):
    """A request with one part."""
    return {"contents": [{"role": "user", "parts": [part]}]}


def data(mime_type, content):
    """A part with inline data."""
    return {"inlineData": {"mimeType": mime_type, "data": content}}


def functions(schema):
    """One function with one parameter."""
    return [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": schema}}}]}]


USER = {"role": "user", "parts": [{"text": "x"}]}
CALL = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}
RESULT = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"a": 1}}}]}
TEXT_RESULT = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": "1"}}]}


@pytest.mark.parametrize("contents", [[USER, CALL, RESULT], [USER, CALL, CALL, {"role": "user", "parts": RESULT["parts"] * 2}]])
def test_calls_and_their_results_are_taken(wire, contents):
    """Function calls may be in one turn or in several."""
    assert ask(wire, contents=contents).status == 200


@pytest.mark.parametrize("config", [{"temperature": "1"}, {"maxOutputTokens": "50"}, {"maxOutputTokens": 50.0}])
def test_numbers_may_be_texts(wire, config):
    """Numbers may be strings, as in proto JSON."""
    assert ask(wire, "gemini-2.0-flash", config).status == 200


@pytest.mark.parametrize(("query", "status"), [("?foo=1", 400), ("?pageSize=5", 400), ("?prettyPrint=false&alt=json", 200)])
def test_the_query_is_read_too(wire, shapes, query, status):
    """An unknown query parameter is refused."""
    path = f"/gemini/v1beta/models/gemini-2.0-flash:generateContent{query}"
    got = wire.send("POST", path, shapes.question("gemini"), shapes.headers["gemini"])
    assert got.status == status
    assert status == 200 or "Cannot bind query parameter" in got.body["error"]["message"]


@pytest.mark.parametrize(
    ("model", "payload", "said"),
    [
        ("gemini-2.0-flash", {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "valid role: user, model"),
        ("gemini-2.0-flash", {"contents": [{"role": "system", "parts": [{"text": "x"}]}]}, "valid role: user, model"),
        ("gemini-2.0-flash", {"contents": []}, "contents is not specified"),
        ("gemini-2.0-flash", {"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
        ("gemini-2.0-flash", {"messages": []}, 'Unknown name "messages"'),
        ("gemini-2.0-flash", {"generationConfig": {"max_tokens": 5}}, "Unknown name \"max_tokens\" at 'generation_config'"),
        ("gemini-2.0-flash", {"generationConfig": {"temperature": 2.5}}, "temperature must be in the range"),
        ("gemini-2.0-flash", {"generationConfig": {"temperature": "x"}}, "TYPE_FLOAT"),
        ("gemini-2.0-flash", {"generationConfig": {"maxOutputTokens": 0}}, "maxOutputTokens value of 0"),
        ("gemini-2.0-flash", {"generationConfig": {"maxOutputTokens": 10**6}}, "8193 (exclusive)"),
        ("gemini-2.0-flash", {"generationConfig": {"seed": 2**40}}, "TYPE_INT32"),
        ("gemini-2.0-flash", {"generationConfig": {"stopSequences": list("abcdef")}}, "at most 5"),
        ("gemini-2.0-flash", {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}, "not enabled"),
        ("gemini-2.5-flash", {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}, "level is not supported"),
        ("gemini-3-pro-preview", {"generationConfig": {"thinkingConfig": {"thinkingLevel": "MINIMAL"}}}, "MINIMAL"),
        ("gemini-2.5-pro", {"generationConfig": {"thinkingConfig": {"thinkingBudget": 50_000}}}, "between 128 and 32768"),
        ("gemini-2.5-flash-lite", {"generationConfig": {"thinkingConfig": {"thinkingBudget": 100}}}, "between 512 and 24576"),
        ("gemini-2.5-flash", {"generationConfig": {"thinkingConfig": {"thinkingBudget": -2}}}, "The thinking budget -2"),
        ("gemini-2.5-flash-image", {"generationConfig": {"responseMimeType": "application/json"}}, "JSON mode is not enabled"),
        ("gemini-2.0-flash", {"generationConfig": {"presencePenalty": 3}}, "presence_penalty"),
        ("gemini-2.0-flash", {"safetySettings": [{"category": "RUDENESS", "threshold": "OFF"}]}, "(HarmCategory)"),
        ("gemini-2.0-flash", {"safetySettings": [HARM | {"threshold": "SOME"}]}, "(HarmBlockThreshold)"),
        ("gemini-2.0-flash", {"safetySettings": [HARM, HARM]}, "is repeated"),
        ("gemini-2.0-flash", {"safetySettings": [HARM | {"level": 1}]}, 'Unknown name "level"'),
        ("gemini-2.0-flash", {"generationConfig": {"responseJsonSchema": {}}}, "response mime type"),
        (
            "gemini-2.0-flash",
            {
                "tools": [
                    {"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "additionalProperties": False}}]}
                ]
            },
            'Unknown name "additionalProperties"',
        ),
        ("gemini-2.0-flash", {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "no function_declarations"),
        ("gemini-2.0-flash", {"tools": functions({"type": "ARRAY"})}, "items: missing field"),
        ("gemini-2.0-flash", {"tools": [{"functionDeclarations": [{"name": "f"}, {"name": "f"}]}]}, "Duplicate function"),
        ("gemini-2.0-flash", {"generationConfig": {"topK": -1}}, "top_k must be positive"),
        ("gemini-2.0-flash", {"generationConfig": {"maxOutputTokens": "5.5"}}, "TYPE_INT32"),
        ("gemini-2.0-flash", says(data("image/png", "!!!")), "inline_data.data' (TYPE_BYTES), Base64 decoding failed"),
        ("gemini-2.0-flash", says(data("image/xyz", "aGVs")), "Unsupported MIME type: image/xyz"),
        ("gemini-2.0-flash", says(data("image/png", "aGVs")), "image is not valid"),
        ("gemini-2.0-flash", says({"text": "x"} | data("image/png", "aGVs")), "oneof field 'data' is already set"),
        ("gemini-2.0-flash", {"contents": [CALL]}, "function call turn comes immediately after a user turn"),
        ("gemini-2.0-flash", {"contents": [USER, RESULT]}, "function response turn comes immediately after a function call"),
        ("gemini-2.0-flash", {"contents": [USER, CALL, USER]}, "number of function response parts"),
        ("gemini-2.0-flash", {"contents": [USER, CALL, TEXT_RESULT]}, "function_response.response' (type.googleapis.com"),
        ("gemini-2.0-flash", {"contents": [{"parts": [{"text": "x " * 3_000_000}]}]}, "The input token count ("),
    ],
)
def test_generate_refuses_what_gemini_refuses(wire, model, payload, said):
    """An invalid request gets a 400 INVALID_ARGUMENT that names the field."""
    got = ask(wire, model, **payload)
    assert got.status == 400
    assert got.body["error"]["status"] == "INVALID_ARGUMENT"
    assert said in got.body["error"]["message"]


def test_bad_key_is_400_with_a_reason(wire):
    """A wrong key is a 400; only its details distinguish it from an invalid request."""
    got = wire.ask("gemini", {"contents": CONTENTS}, headers={"x-goog-api-key": "wrong"})
    assert got.status == 400
    assert got.body["error"]["details"][0]["reason"] == "API_KEY_INVALID"


def test_other_credentials(wire, shapes):
    """No key is a 403, a bearer token 401, both at once 400; a key in the query is accepted."""
    path = "/gemini/v1beta/models/gemini-2.0-flash:generateContent"
    assert wire.send("POST", path, {"contents": CONTENTS}).body["error"]["status"] == "PERMISSION_DENIED"
    assert wire.send("POST", path, {"contents": CONTENTS}, {"Authorization": "Bearer x"}).status == 401
    both = shapes.headers["gemini"] | {"Authorization": "Bearer x"}
    assert "Multiple authentication" in wire.send("POST", path, {"contents": CONTENTS}, both).body["error"]["message"]
    assert wire.send("POST", f"{path}?key=k", {"contents": CONTENTS}).status == 200


def test_models_that_do_not_generate_are_404(wire):
    """An embedding model is listed, but a 404 for generateContent."""
    got = ask(wire, "gemini-embedding-001")
    assert (got.status, got.body["error"]["status"]) == (404, "NOT_FOUND")


def test_unknown_routes_get_a_page(wire, shapes):
    """An unknown route gets an HTML page."""
    got = wire.send("POST", "/gemini/models/gemini-2.0-flash:generateContent", {}, shapes.headers["gemini"])
    assert got.status == 404
    assert got.headers["content-type"].startswith("text/html")


def test_listing_is_paged(wire, shapes):
    """Pages have 50 models; the last one has no token; names begin with models/, and methods are listed."""
    headers = shapes.headers["gemini"]
    first = wire.send("GET", "/gemini/v1beta/models", headers=headers).body
    assert len(first["models"]) == 50
    last = wire.send("GET", f"/gemini/v1beta/models?pageToken={first['nextPageToken']}", headers=headers).body
    assert 0 < len(last["models"]) < 50
    assert "nextPageToken" not in last
    items = first["models"] + last["models"]
    assert len({item["name"] for item in items}) == len(items)
    assert all(item["name"].startswith("models/") for item in items)
    generating = {item["name"] for item in items if "generateContent" in item["supportedGenerationMethods"]}
    assert "models/gemini-2.5-flash" in generating
    assert "models/veo-3.0-generate-001" not in generating


def test_listing_refuses_bad_pages(wire, shapes, connect):
    """Invalid sizes and unknown tokens are refused; a size over 1000 counts as 1000."""
    headers = shapes.headers["gemini"]
    assert wire.send("GET", "/gemini/v1beta/models?pageSize=x", headers=headers).status == 400
    assert wire.send("GET", "/gemini/v1beta/models?pageToken=x", headers=headers).status == 400
    with Simulator(models={"gemini": [f"gemini-{n}" for n in range(1200)]}) as simulator:
        big = connect(simulator).send("GET", "/gemini/v1beta/models?pageSize=5000", headers=headers).body
        assert len(big["models"]) == 1000


def test_unknown_names_are_in_the_details(wire):
    """Unknown names are reported as google.rpc.BadRequest, with their location."""
    details = ask(wire, config={"max_tokens": 5}).body["error"]["details"]
    assert details[0]["@type"].endswith("BadRequest")
    assert details[0]["fieldViolations"][0]["field"] == "generation_config"


def test_enums_as_integers_on_request(wire, shapes):
    """Enums are integers on request."""
    path = "/gemini/v1beta/models/gemini-2.0-flash:generateContent?$alt=json;enum-encoding=int"
    got = wire.send("POST", path, shapes.question("gemini"), shapes.headers["gemini"])
    assert got.body["candidates"][0]["finishReason"] == 1


def test_safety_settings_and_budgets_pass(wire):
    """Valid safety settings and budgets are accepted."""
    assert ask(wire, "gemini-2.5-pro", {"thinkingConfig": {"thinkingBudget": -1}}, safetySettings=[HARM]).status == 200


def test_a_name_misspelt_is_no_model(wire):
    """A listed model name with one misspelt word is unknown."""
    assert ask(wire, "gemini-3.6-flahs").status == 404
    assert ask(wire, "gemini-9-flash").status == 200
