"""Recorded exchanges replayed in memory, where a folder of them stands beside the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llm_sync.models import AttemptOptions, ModelRequest

FOLDER = Path(__file__).parents[3] / "shared" / "wire"
CASES = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.glob("recorded*/*/*.json"))
BASE_URLS = {"anthropic": "http://127.0.0.1:1", "gemini": "http://127.0.0.1:1/v1beta"}

pytestmark = pytest.mark.skipif(not CASES, reason="no recorded exchanges beside the repository")


def dialect_of(name: str, dialect: str) -> str:
    """The ``type`` that speaks to whoever was recorded."""
    folder = name.split("/")[1]
    if dialect == "models":
        return folder if folder in ("anthropic", "gemini", "openrouter") else "openai"
    return {"responses": "openai-responses", "openai": "openrouter" if folder == "openrouter" else "openai"}.get(dialect, dialect)


def disagreement(provider: Any, reply: Any, name: str) -> str | None:
    """What is made of one exchange that a correct client would not."""
    case = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    kind, told, expected = dialect_of(name, case["dialect"]), case["response"], case["expect"]
    body = told["body"] if isinstance(told["body"], str) else "" if told["body"] is None else json.dumps(told["body"])
    headers = {key.lower(): value for key, value in (told.get("headers") or {}).items() if isinstance(value, str)}
    answer = reply((told.get("raw_leading_whitespace") or "") + body, told["status"], **headers)
    attempts = AttemptOptions(timeout=0.05)  # an answer that is deferred stays so here
    made = provider(kind, answer, base_url=BASE_URLS.get(kind, "http://127.0.0.1:1/v1"), attempts=attempts)
    try:
        if "models" in expected:
            listed = {model.removeprefix("models/") for model in expected["models"]}
            found = set(made.list_models())
            return None if found and found <= listed else f"models {sorted(found - listed)}"
        response = made.generate_response(ModelRequest("ping", "some-model", max_tokens=64))
    except Exception as error:
        names = {parent.__name__ for parent in type(error).__mro__}
        return None if names & set(expected.get("error", ())) else f"{type(error).__name__}: {error}"
    got = {"text": response.text, "finish_reason": response.finish_reason}
    got |= {count: getattr(response.usage, count) for count in ("input_tokens", "output_tokens")}
    wrong = {
        field: got[field]
        for field, value in expected.get("ok", {"text": None}).items()
        if got[field] != value and value is not None
    }
    return f"{wrong}" if wrong or "ok" not in expected else None


@pytest.mark.parametrize("folder", sorted({name.rpartition("/")[0] for name in CASES}) or ["none"])
def test_recorded(provider: Any, reply: Any, folder: str) -> None:
    """What came over the wire is made of it what a correct client must."""
    ours = {name: disagreement(provider, reply, name) for name in CASES if name.startswith(f"{folder}/")}
    assert ours
    assert {name: why for name, why in ours.items() if why} == {}
