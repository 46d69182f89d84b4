"""Recorded exchanges are served byte for byte, and llm-sync's client reads them as expected."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from llm_sync import LLMClient, ModelRequest
from llm_sync.config import ConfigLoader
from llm_sync.errors import ConfigurationError
from llm_sync.simulator import Simulator

SHARED = Path(__file__).parents[3] / "shared" / "wire"
EXCHANGE: dict[str, Any] = {
    "dialect": "openai",
    "request": {"url": "http://example.com"},
    "response": {
        "status": 200,
        "headers": {
            "Content-Type": "application/json; charset=utf-8",
            "x-request-id": "req_1",
            "content-length": "3",
            "transfer-encoding": "chunked",
            "set-cookie": "a=b",
            "x-odd": "a\r\nb",
            "x-list": ["a"],
        },
        "raw_leading_whitespace": "\n   \n",
        "body": {"choices": [{"message": {"content": "Grüße"}}]},
    },
}


def write(folder: Path, exchange: Any, name: str = "acme/chat one.json") -> Path:
    """A folder with one exchange, or with other content in its place."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(exchange if isinstance(exchange, str) else json.dumps(exchange))
    return folder


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    """The script that says what a client must make of each exchange."""
    if not SHARED.is_dir():
        pytest.skip("no recorded exchanges beside the repository")
    spec = importlib.util.spec_from_file_location("recorded_checker", SHARED / "replay.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outcome(client: LLMClient, provider: str, listed: dict[str, Any]) -> Any:
    """The client's answer, listing or error for an exchange."""
    if provider in listed:
        listing = listed[provider]
        return listing.error or listing.models
    try:
        return client.generate_response(ModelRequest("ping", f"{provider}/some-model", max_tokens=64))
    except Exception as error:
        return error


def test_all_of_them_are_read_as_expected(checker: ModuleType) -> None:
    """The client reads every exchange in the folder as the folder expects."""
    cases = checker.load(str(SHARED / "recorded"), "")
    names = {name: f"c{number}" for number, name in enumerate(cases)}
    with Simulator(recorded=SHARED / "recorded") as simulator:
        served = simulator.recorded
        assert served.keys() == cases.keys()
        assert {name: kind for name, (kind, _) in served.items()} == {
            name: checker.provider_type(name, case) for name, case in cases.items()
        }
        entries = {
            names[name]: {"type": kind, "api_key": "test-key", "base_url": base, "max_retries": 0, "timeout": 5}
            for name, (kind, base) in served.items()
        }
        listings = {names[name] for name, case in cases.items() if case["dialect"] == "models"}
        with LLMClient(_config({name: entries[name] for name in listings})) as lister:
            listed = lister.list_all_models()
        with LLMClient(_config(entries)) as client:
            wrong = {
                name: why
                for name, case in cases.items()
                if (why := checker.disagreement(case, outcome(client, names[name], listed)))
            }
        assert wrong == {}
        assert simulator.faults == []
        assert simulator.stream_attempts == 0


def _config(providers: dict[str, Any]) -> Any:
    return ConfigLoader().load_text(json.dumps({"providers": providers}))


def test_bytes_and_headers_are_those_recorded(tmp_path: Path, connect: Any) -> None:
    """Body and headers are as recorded, leading white space included; headers of the connection are left out."""
    with Simulator(recorded=write(tmp_path, EXCHANGE)) as simulator:
        kind, base = simulator.recorded["acme/chat one"]
        assert kind == "openai"
        assert base == f"{simulator.root}/recorded/acme/chat%20one/v1"
        got = connect(simulator).send("POST", f"{base[len(simulator.root) :]}/chat/completions", {"model": "m"})
        assert got.raw == b"\n   \n" + json.dumps(EXCHANGE["response"]["body"], ensure_ascii=False).encode()
        assert got.headers["content-type"] == "application/json; charset=utf-8"
        assert got.headers["x-request-id"] == "req_1"
        assert int(got.headers["content-length"]) == len(got.raw)
        assert not {"transfer-encoding", "set-cookie", "x-odd", "x-list"} & got.headers.keys()
        assert [(record.provider, record.model, record.status) for record in simulator.requests] == [("openai", "m", 200)]


def test_streams_are_refused_here_too(tmp_path: Path, connect: Any) -> None:
    """A request for a stream is refused and counted."""
    with Simulator(recorded=write(tmp_path, EXCHANGE)) as simulator:
        got = connect(simulator).send("POST", "/recorded/acme/chat one/v1/chat/completions".replace(" ", "%20"), {"stream": True})
        assert got.status == 400
        assert simulator.stream_attempts == 1


def test_the_dialects_are_served_beside_them(tmp_path: Path, connect: Any) -> None:
    """The dialects are served as usual; an unknown exchange is a 404."""
    with Simulator(recorded=write(tmp_path, EXCHANGE)) as simulator:
        wire = connect(simulator)
        assert wire.prompt("anthropic").status == 200
        assert wire.send("POST", "/recorded/acme/none/v1/chat/completions", {}).status == 404
        assert wire.send("GET", "/recorded").status == 404


WRONG = {
    "no JSON": ("{", ["not JSON"]),
    "deep": ("[" * 100_000, ["not JSON"]),
    "a list": ("[]", ["body: expected object"]),
    "no response": ({"dialect": "openai"}, ["response: expected object, found nothing"]),
    "an unknown dialect": ({**EXCHANGE, "dialect": "french"}, ["dialect: expected"]),
    "no status": ({"dialect": "openai", "response": {"body": {}}}, ["response.status: expected integer, found nothing"]),
    "an impossible status": ({"dialect": "openai", "response": {"status": 99}}, ["response.status"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_invalid_exchanges_are_reported(tmp_path: Path, name: str) -> None:
    """An invalid exchange is reported with its file."""
    exchange, said = WRONG[name]
    with pytest.raises(ConfigurationError) as caught:
        Simulator(recorded=write(tmp_path, exchange))
    problem = str(caught.value.problems[0])
    assert problem.startswith(str(tmp_path / "acme/chat one.json"))
    assert said[0] in problem


def test_folders_without_any(tmp_path: Path) -> None:
    """A missing or empty folder, a file, and exchanges at the wrong depth are refused."""
    (tmp_path / "file").write_text("x")
    write(tmp_path / "flat", EXCHANGE, "one.json")
    (tmp_path / "empty").mkdir()
    for name, said in (
        ("none", "there is no such folder"),
        ("file", "there is no such folder"),
        ("empty", "it contains no exchange"),
        ("flat", "it contains no exchange"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            Simulator(recorded=tmp_path / name)
