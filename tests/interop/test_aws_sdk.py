"""AWS's own client, botocore: what it sends is taken, what it gets it understands, and llm-sync signs as it does."""

from __future__ import annotations

import datetime
import random
import string
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import botocore.auth
import botocore.session
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from llm_sync.providers.bedrock.sigv4 import AccessKeys, signed_headers
from llm_sync.simulator import Simulator

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
HI = {"role": "user", "content": [{"text": "Hi"}]}
TOOLS = [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}}}]


@pytest.fixture
def client(simulator: Simulator) -> Callable[..., Any]:
    """Makes clients of a service, with keys of that name."""

    def make(service: str = "bedrock-runtime", key: str = "AKIDEXAMPLE") -> Any:
        session = botocore.session.Session()
        session.set_credentials(key, "secret")
        settings = Config(retries={"max_attempts": 1})
        return session.create_client(service, region_name="us-east-1", endpoint_url=simulator.url("bedrock"), config=settings)

    return make


def test_an_answer(client: Any) -> None:
    """Text, stop reason and counts; a model's id has a colon, an ARN has slashes."""
    for model in (NOVA, "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/1arbu5hu2sjr"):
        answer = client().converse(modelId=model, messages=[HI], inferenceConfig={"maxTokens": 500})
        assert answer["stopReason"] == "end_turn"
        assert "Hi" in answer["output"]["message"]["content"][0]["text"]
        assert answer["usage"]["totalTokens"] == answer["usage"]["inputTokens"] + answer["usage"]["outputTokens"]


def test_a_tool_loop_with_reasoning(client: Any) -> None:
    """Blocks go back as they came, bytes of documents among them."""
    thinking = {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}
    first = client().converse(modelId=CLAUDE, messages=[HI], inferenceConfig={"maxTokens": 4000}, **thinking)
    blocks = first["output"]["message"]
    assert "signature" in blocks["content"][0]["reasoningContent"]["reasoningText"]
    document = {"document": {"format": "txt", "name": "a", "source": {"bytes": b"hello"}}}
    turns = [HI, blocks, {"role": "user", "content": [{"text": "and?"}, document]}]
    config = {"tools": TOOLS, "toolChoice": {"any": {}}}
    called = client().converse(modelId=CLAUDE, messages=turns, toolConfig=config)
    assert (called["stopReason"], called["output"]["message"]["content"][-1]["toolUse"]["name"]) == ("tool_use", "f")


@pytest.mark.parametrize(
    ("model", "text", "key", "code"),
    [
        ("no-such-model", "x", "AKIDEXAMPLE", "ValidationException"),
        (NOVA, " ", "AKIDEXAMPLE", "ValidationException"),
        (NOVA, "x", "AKwrongKEY", "UnrecognizedClientException"),
    ],
)
def test_errors(client: Any, model: str, text: str, key: str, code: str) -> None:
    """By the names that AWS gives them."""
    with pytest.raises(ClientError) as caught:
        client(key=key).converse(modelId=model, messages=[{"role": "user", "content": [{"text": text}]}])
    assert caught.value.response["Error"]["Code"] == code


def test_listings(client: Any) -> None:
    """Models and inference profiles, of the control plane."""
    assert client("bedrock").list_foundation_models(byOutputModality="TEXT")["modelSummaries"]
    assert client("bedrock").list_inference_profiles()["inferenceProfileSummaries"]


def test_signatures_are_botocores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of random ids, bodies, regions and tokens, each is the same."""
    draw = random.Random(3)  # noqa: S311  (the same requests in every run)
    at = 1_790_000_000.0
    now = datetime.datetime.fromtimestamp(at, datetime.timezone.utc)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_args, **_kwargs: now)
    for _ in range(500):
        name = "".join(draw.choice(string.ascii_letters + string.digits + ":/.-_ %é+&=?#~") for _ in range(draw.randint(1, 60)))
        region, token = draw.choice(["us-east-1", "cn-north-1"]), draw.choice([None, "to/k+en="])
        urls = (
            f"https://bedrock-runtime.{region}.amazonaws.com/model/{quote(name, safe='')}/converse",
            f"https://bedrock.{region}.amazonaws.com:8443/inference-profiles?maxResults=1000&nextToken={quote(name, safe='')}",
        )
        url, body, headers = draw.choice(urls), draw.randbytes(draw.randint(0, 99)), {"Content-Type": "application/json"}
        ours = signed_headers(
            "POST", url, headers, body, AccessKeys("AKID", "s/e+c", token), region=region, service="bedrock", at=at
        )
        theirs = AWSRequest("POST", url, data=body, headers=headers)
        botocore.auth.SigV4Auth(Credentials("AKID", "s/e+c", token), "bedrock", region).add_auth(theirs)
        assert ours["Authorization"] == theirs.headers["Authorization"], url
