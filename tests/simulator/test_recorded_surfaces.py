"""The simulator takes and refuses what Bedrock and Google's Interactions took and refused, where recordings stand beside."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "wire" / "surfaces"
SURFACES = {"bedrock-converse": "/bedrock", "state-bedrock-converse": "/bedrock", "gemini-interactions": "/gemini"}
# What the simulator does otherwise, and why.
OTHERWISE = {
    "bedrock-converse/count_tokens": "tokens are not counted here",
    "bedrock-converse/err_400_context": "the prompt was left out of the recording",
    "bedrock-converse/err_400_malformed_inner": "what one model refuses",
    "bedrock-converse/err_400_unsupported_block": "what one model refuses",
    "bedrock-converse/err_403_expired_token": "what became of a key",
    "bedrock-converse/err_403_invalid_token": "what became of a key",
    "gemini-interactions/tool_loop_2_result_back": "its first turn is kept at Google alone",
    "gemini-interactions/turn_2_previous_id": "its first turn is kept at Google alone",
}


def exchanges() -> dict[str, dict[str, Any]]:
    """The exchanges whose request was recorded, by name."""
    found = {}
    for surface in SURFACES:
        for path in sorted(FOLDER.glob(f"{surface}/*.json")):
            exchange = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(exchange["request"]["body"], dict):
                found[f"{surface}/{path.stem}"] = exchange
    return found


EXCHANGES = exchanges()
pytestmark = pytest.mark.skipif(not EXCHANGES, reason="no recorded exchanges beside the repository")


def whole(body: Any) -> Any:
    """A request without the marks of what the recorder cut: data and signatures are whole base64."""
    text = json.dumps(body)
    return json.loads(
        re.sub(r'("(?:bytes|data)": ")([A-Za-z0-9+/]+)', lambda match: match[1] + match[2][: len(match[2]) // 4 * 4], text)
    )


@pytest.mark.parametrize("name", EXCHANGES or ["none"])
def test_what_was_taken_is_taken(wire: Any, shapes: Any, name: str) -> None:
    """The status is as recorded."""
    exchange = EXCHANGES[name]
    base, kind = SURFACES[name.partition("/")[0]], "bedrock" if "bedrock" in name else "gemini-interactions"
    path = urlsplit(exchange["request"]["url"].replace("<AWS_REGION>", "us-east-1")).path
    got = wire.send("POST", base + path, whole(exchange["request"]["body"]), shapes.headers[kind])
    if name in OTHERWISE:
        assert got.status != exchange["response"]["status"], "this is no exception any more"
        return
    assert got.status == exchange["response"]["status"], got
