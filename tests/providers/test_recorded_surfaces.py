"""What is made of recorded exchanges of Bedrock, of Google's Interactions and of Claude on Google Cloud, where they stand beside
the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from llm_sync import errors
from llm_sync.config.models import ProviderConfig
from llm_sync.models import ModelRequest
from llm_sync.providers import ProviderFactory

FOLDER = Path(__file__).parents[3] / "shared" / "wire" / "surfaces"
SURFACES = ("bedrock-converse", "bedrock-other", "state-bedrock-converse", "state-bedrock-mantle", "vertex-claude")
SURFACES += ("gemini-interactions", "state-gemini-openai-door")
CASES = sorted(f"{path.parent.name}/{path.stem}" for surface in SURFACES for path in FOLDER.glob(f"{surface}/*.json"))
# What the notes of the recordings say in words: the class of each error.
ERRORS = {
    "bedrock-converse/err_400_context": errors.ContextLengthExceededError,
    "bedrock-converse/err_400_invalid_model": errors.ModelNotFoundError,
    "bedrock-converse/err_400_malformed_inner": errors.InvalidRequestError,
    "bedrock-converse/err_400_unsupported_block": errors.InvalidRequestError,
    "bedrock-converse/err_403_expired_token": errors.AuthenticationError,
    "bedrock-converse/err_403_invalid_token": errors.AuthenticationError,
    "bedrock-converse/reported_403_bad_api_key": errors.AuthenticationError,
    "bedrock-converse/reported_403_not_authorized": errors.PermissionDeniedError,
    "bedrock-converse/reported_429_throttling": errors.RateLimitError,
    "bedrock-converse/reported_503_too_many_connections": errors.ProviderUnavailableError,
    "gemini-interactions/err_400_background_model": errors.InvalidRequestError,
    "gemini-interactions/reported_400_legacy_schema": errors.InvalidRequestError,
    "gemini-interactions/reported_400_unsigned_thought": errors.InvalidRequestError,
    "vertex-claude/reported_400_not_allowed": errors.PermissionDeniedError,
    "vertex-claude/reported_413_prompt_too_long": errors.ContextLengthExceededError,
    "vertex-claude/reported_429_quota_array": errors.RateLimitError,
    "vertex-claude/reported_429_quota_object": errors.RateLimitError,
}
RETRIED = (errors.RateLimitError, errors.ProviderUnavailableError)
# Listings, and the models in them that can be asked by their own ids.
LISTINGS = {"bedrock-other/foundation_models": "bedrock", "bedrock-other/mantle_models": "openai"}
# Calls that llm-sync does not make; their answers are no answers to the calls that it makes.
OTHERS = ("bedrock-converse/count_tokens", "bedrock-other/inference_profile_get")
KINDS = {
    "bedrock-other/mantle_chat": "openai",
    "bedrock-other/mantle_responses": "openai-responses",
    "bedrock-other/mantle_responses_openai_prefix": "openai-responses",
    "state-bedrock-mantle/reused_call_id": "openai-responses",
    "state-gemini-openai-door/tool_call_empty_id": "openai",
}
# A masked answer is one, whatever the word: the notes say so.
MASKED = ("bedrock-converse/guardrail_masked_action_reason", "bedrock-converse/guardrail_masked_no_action_reason")

OUTPUT = {"type": "model_output", "content": [{"type": "text", "text": "Later"}]}

pytestmark = pytest.mark.skipif(not CASES, reason="no recorded exchanges beside the repository")


def kind_of(name: str) -> str:
    """The ``type`` that speaks to the recorded server; InvokeModel and Google Cloud carry Anthropic's messages."""
    anthropic = name.startswith("vertex-claude/") or "/invoke_" in name
    if name.startswith("gemini-interactions/"):
        return "gemini-interactions"
    return KINDS.get(name) or LISTINGS.get(name) or ("anthropic" if anthropic else "bedrock")


def ask(provider: Any, reply: Any, name: str, *further: Any) -> tuple[Any, dict[str, Any], Any]:
    """What comes of a recorded reply and of ``further`` ones, the notes about it, and the provider."""
    case = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    headers = {key.lower(): value for key, value in (case["response"].get("headers") or {}).items()}
    body = json.dumps(case["response"]["body"], ensure_ascii=False)
    made = provider(kind_of(name), reply(body, case["response"]["status"], **headers), *further)
    try:
        got = made.list_models() if name in LISTINGS else made.generate_response(ModelRequest("ping", "some-model"))
    except errors.LLMConnectorError as error:
        got = error
    return got, case, made


@pytest.mark.parametrize("name", CASES or ["none"])
def test_what_is_made_of_it(provider: Any, reply: Any, name: str) -> None:
    """Each answer, error and listing is what the notes beside the recording say."""
    finished = reply({"id": "v1_x", "status": "completed", "steps": [OUTPUT]})  # of the one that is in progress
    got, case, made = ask(provider, reply, name, finished)
    if name in LISTINGS:
        items = case["response"]["body"].get("modelSummaries") or case["response"]["body"]["data"]
        ids = [
            item.get("modelId") or item["id"]
            for item in items
            if "ON_DEMAND" in item.get("inferenceTypesSupported", ["ON_DEMAND"])
        ]
        assert got == [name for name in ids if "embed" not in name]
    elif name in OTHERS:
        assert type(got) is errors.ResponseValidationError
    elif case["expect"].get("ok", {}).get("status") == "in_progress":
        assert got.text == "Later"
        assert urlsplit(made.web.sent[1].url).path == f"/v1beta/interactions/{case['response']['body']['id']}"
        assert made.web.sent[1].verb == "GET"
    elif name in ERRORS:
        assert type(got) is ERRORS[name], got
        assert got.retryable is isinstance(got, RETRIED)
        assert got.request_id == case["response"]["headers"].get(
            "x-amzn-requestid", case["response"]["headers"].get("request-id")
        ) or ("request_id" in json.dumps(case["response"]["body"]))
        assert got.guidance
    else:
        check_answer(got, case, name)
    assert made.web.sent[0].verb == ("GET" if name in LISTINGS else "POST")


def check_answer(got: Any, case: dict[str, Any], name: str) -> None:
    """Text, calls, finish reason and counts are as noted; of the others, as the body has them."""
    assert not isinstance(got, BaseException), got
    ok = case["expect"]["ok"]
    if "text" in ok:
        assert got.text == ok["text"]
    if "finish_reason" in ok:
        assert got.finish_reason == ("stop" if name in MASKED else ok["finish_reason"])
    for counted in ("input_tokens", "output_tokens"):
        if counted in ok:
            assert getattr(got.usage, counted) == ok[counted]
    if "tool_calls" in ok:
        assert got.finish_reason == "tool_calls"
        assert [(call.name, call.arguments) for call in got.tool_calls] == [
            (call["name"], call.get("input", call.get("arguments"))) for call in ok["tool_calls"]
        ]
        assert all(made.id == call.get("id", made.id) for made, call in zip(got.tool_calls, ok["tool_calls"], strict=True))
    usage = case["response"]["body"]["usage"]
    if name != "state-gemini-openai-door/tool_call_empty_id":  # whose total has thoughts that it counts nowhere else
        assert got.token_count == usage.get("totalTokens", usage.get("total_tokens", got.token_count))


@pytest.mark.parametrize("name", MASKED if CASES else ["none"])
def test_what_a_guardrail_masked_stays_masked(provider: Any, reply: Any, name: str) -> None:
    """What the model wrote before is nowhere in the response."""
    got, case, _ = ask(provider, reply, name)
    assert case["response"]["body"]["trace"]["guardrail"]["modelOutput"]
    assert "modelOutput" not in json.dumps(got.metadata["raw"])


def test_the_paths_are_those_of_the_recordings() -> None:
    """Ids and ARNs stand in the path as AWS's own clients wrote them, but for the colon, which may be encoded or not."""
    compared = 0
    for name in CASES:
        url = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["request"]["url"]
        parts = urlsplit(url.replace("<AWS_REGION>", "us-east-1"))
        model, _, call = parts.path.partition("/model/")[2].rpartition("/")
        if call != "converse" or "<" in model:
            continue
        dialect = ProviderFactory.dialect(ProviderConfig("p", "bedrock", region=(parts.hostname or "").split(".")[1]))
        assert dialect.url_for(unquote(model)) == parts._replace(path=parts.path.replace(":", "%3A")).geturl()
        compared += 1
    assert compared > 15
