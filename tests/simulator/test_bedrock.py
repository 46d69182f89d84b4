"""Amazon Bedrock: which requests are refused, guardrails, signatures, cache points, profiles, and what goes back."""

from __future__ import annotations

import time

import pytest

from llm_sync import Message, ModelRequest

KIND = "bedrock"
CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
SPEC = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}}}
USE = {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}
RESULT = {"toolResult": {"toolUseId": "t", "content": [{"text": "x"}]}}
THINKING = {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}


def user(*blocks):
    """A message of the user's."""
    return {"role": "user", "content": list(blocks)}


def model(*blocks):
    """A message of the model's."""
    return {"role": "assistant", "content": list(blocks)}


HI = user({"text": "Hi"})


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"messages": []}, "at least one message"),
        ({"messages": [user()]}, "is empty"),
        ({"messages": [user({"text": "  "})]}, "is blank"),
        (
            {"messages": [user({"text": "a", "image": {"format": "png", "source": {"bytes": "eA=="}}})]},
            "exactly one of the members",
        ),
        ({"messages": [model({"text": "a"})]}, "must start with a user message"),
        ({"messages": [HI, HI]}, "must alternate"),
        ({"messages": [{"role": "system", "content": [{"text": "a"}]}]}, "enum value set: [user, assistant]"),
        ({"messages": [HI, model(USE), user(RESULT)]}, "toolConfig field must be defined"),
        ({"messages": [HI, model(USE), HI], "toolConfig": {"tools": [SPEC]}}, "Expected toolResult blocks at messages.2"),
        ({"messages": [user(RESULT)], "toolConfig": {"tools": [SPEC]}}, "exceeds the number of toolUse blocks"),
        ({"messages": [HI], "inferenceConfig": {"temperature": 1.5}}, "less than or equal to 1"),
        ({"messages": [HI], "inferenceConfig": {"max_tokens": 5}}, "extraneous key [max_tokens]"),
        ({"messages": [HI], "inferenceConfig": {"maxTokens": "5"}}, "can not be converted to Integer"),
        ({"messages": [HI], "system": "Be brief."}, "Expected list at system"),
        ({"messages": [HI], "toolConfig": {"tools": []}}, "greater than or equal to 1"),
        ({"messages": [HI], "outputConfig": {"textFormat": {"type": "json_object", "structure": {}}}}, "json_schema"),
        ({"messages": [HI], "system": [{"text": "a"}, *[{"cachePoint": {"type": "default"}}] * 5]}, "maximum of 4 cache points"),
        (
            {"messages": [user({"document": {"format": "txt", "name": "a.b", "source": {"bytes": "eA=="}}}, {"text": "x"})]},
            "regular expression",
        ),
        (
            {"messages": [user({"document": {"format": "txt", "name": "a", "source": {"bytes": "eA=="}}})]},
            "A text block must be included",
        ),
    ],
)
def test_what_is_refused(wire, payload, said):
    """With 400, the type in a header and the words in the body."""
    got = wire.ask(KIND, payload)
    assert got.status == 400, got
    assert said in got.body["message"]
    assert got.headers["x-amzn-errortype"].partition(":")[0] in ("ValidationException", "SerializationException")


def test_models_of_profiles_are_refused_by_their_own_id(wire):
    """As are the tools and schemas of models without them."""
    assert "on-demand throughput" in wire.prompt(KIND, model=CLAUDE.removeprefix("us.")).body["message"]
    assert wire.prompt(KIND, model="arn:aws:bedrock:us-east-1:1:application-inference-profile/x").status == 200
    tools = {"messages": [HI], "toolConfig": {"tools": [SPEC]}}
    assert "tool use" in wire.ask(KIND, tools, model="amazon.titan-text-express-v1").body["message"]
    structure = {"jsonSchema": {"schema": "{}"}}
    schema = {"messages": [HI], "outputConfig": {"textFormat": {"type": "json_schema", "structure": structure}}}
    assert "outputConfig.textFormat" in wire.ask(KIND, schema).body["message"]


def signature(**changed):
    """The headers of a request that is signed, but for the signature itself."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - changed.get("age", 0)))
    names = changed.get("names", "content-type;host;x-amz-date")
    scope = f"AKID/{stamp[:8]}/us-east-1/{changed.get('service', 'bedrock')}/aws4_request"
    proof = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={'0' * 64}"
    return {"Authorization": proof, "X-Amz-Date": stamp}


@pytest.mark.parametrize(
    ("changed", "status", "name"),
    [
        ({}, 200, None),
        ({"age": 600}, 403, "InvalidSignatureException"),
        ({"names": "content-type;host"}, 403, "IncompleteSignatureException"),
        ({"service": "s3"}, 403, "IncompleteSignatureException"),
    ],
)
def test_signatures_have_a_form_a_scope_and_a_time(wire, shapes, changed, status, name):
    """What they sign is not checked, as the secret is not here."""
    got = wire.ask(KIND, shapes.question(KIND), headers=signature(**changed))
    assert got.status == status, got
    assert name is None or got.headers["x-amzn-errortype"].startswith(name)


@pytest.mark.parametrize(("trace", "told"), [("enabled", True), ("disabled", False)])
def test_a_guardrail_masks(wire, trace, told):
    """Addresses of mail; only the trace says that nothing else was done."""
    guardrail = {"guardrailIdentifier": "g", "guardrailVersion": "1", "trace": trace}
    body = wire.ask(KIND, {"messages": [user({"text": "Write to ann@example.org"})], "guardrailConfig": guardrail}).body
    assert "{EMAIL}" in body["output"]["message"]["content"][0]["text"]
    assert body["stopReason"] == "guardrail_intervened"
    assert ("ANONYMIZED" in str(body.get("trace"))) is told


def test_cached_tokens_are_counted_apart(wire):
    """Neither what is read from the cache nor what is written to it is in inputTokens."""
    text = "A long story of a queue. " * 400
    got = wire.ask(KIND, {"system": [{"text": text}, {"cachePoint": {"type": "default"}}], "messages": [HI]}).body["usage"]
    assert got["cacheReadInputTokens"] + got["cacheWriteInputTokens"] > 0
    assert got["totalTokens"] == sum(
        got[name] for name in ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    )


def test_reasoning_goes_back_signed(wire):
    """To the model that made it; without it, no results are taken while the model thinks."""
    payload = {"messages": [HI], "inferenceConfig": {"maxTokens": 2000}, **THINKING}
    blocks = wire.ask(KIND, payload, model=CLAUDE).body["output"]["message"]["content"]
    assert [next(iter(block)) for block in blocks] == ["reasoningContent", "text"]
    turns = {**payload, "messages": [HI, model(*blocks), HI]}
    assert wire.ask(KIND, turns, model=CLAUDE).status == 200
    assert "Invalid `signature`" in wire.ask(KIND, turns, model=CLAUDE.replace("haiku", "sonnet")).body["message"]
    bare = {**payload, "messages": [HI, model(USE), user(RESULT)], "toolConfig": {"tools": [SPEC]}}
    assert "Expected `thinking`" in wire.ask(KIND, bare, model=CLAUDE).body["message"]


def test_the_clients_tool_loop_while_the_model_thinks(client_of, simulator):
    """llm-sync's client hands the reasoning back, and declares the tools again."""
    client = client_of(simulator)
    extras = {"provider_specific": THINKING, "max_tokens": 4000}
    first = client.generate("go", f"{KIND}/{CLAUDE}", **extras)
    assert first.metadata["thinking"]
    turns = [Message("user", "go"), first.message, Message("user", "and?")]
    assert client.generate_response(ModelRequest(messages=turns, model=f"{KIND}/{CLAUDE}", **extras)).text


def test_listings(wire, shapes):
    """Profiles have pages; models are listed with how they can be asked."""
    headers = shapes.headers[KIND]
    page = wire.send("GET", "/bedrock/inference-profiles?maxResults=2", headers=headers).body
    assert len(page["inferenceProfileSummaries"]) == 2
    further = wire.send("GET", f"/bedrock/inference-profiles?maxResults=1000&nextToken={page['nextToken']}", headers=headers).body
    assert "nextToken" not in further
    models = wire.send("GET", "/bedrock/foundation-models?byOutputModality=TEXT", headers=headers).body["modelSummaries"]
    assert {"INFERENCE_PROFILE", "ON_DEMAND"} == {kind for item in models for kind in item["inferenceTypesSupported"]}
    assert not any("embed" in item["modelId"] for item in models)
    assert wire.send("GET", "/bedrock/inference-profiles?maxResults=0", headers=headers).status == 400
    assert wire.send("GET", "/bedrock/models", headers=headers).status == 404
