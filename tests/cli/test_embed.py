"""``llm-sync embed``: what it takes as texts, what it prints, how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.cli.console import quantities
from llm_sync.simulator import Response


@pytest.fixture
def embed(llm: Callable[..., Any], config: str) -> Callable[..., Any]:
    """Runs ``llm-sync embed …`` for vectors of two numbers."""
    return lambda *arguments, **options: llm(
        "embed", "--config", config, "-m", "first/m", "--dimensions", "2", *arguments, **options
    )


def texts_of(provider: Any) -> list[str]:
    """The texts that were sent, in order."""
    return [text for record in provider.requests for text in record.payload["input"]]


def test_each_argument_is_a_text_and_gets_one_line(embed: Any, provider: Any) -> None:
    """In the one shape of records, with the vector in the response."""
    status, out, err = embed("a cat", "a dog")
    records = [json.loads(line) for line in out.splitlines()]
    assert (status, err, texts_of(provider)) == (0, "", ["a cat", "a dog"])
    assert [(record["index"], record["provider"], record["model"], record["error"]) for record in records] == [
        (0, "first", "m", None),
        (1, "first", "m", None),
    ]
    assert [len(record["response"]["embedding"]) for record in records] == [2, 2]


def test_an_unknown_cost_comes_with_what_makes_it_known(
    embed: Any, provider: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the summary of a file."""
    monkeypatch.setattr(quantities, "find_spec", lambda name: object())
    out = embed("a cat", "-o", str(tmp_path / "out.jsonl")).out
    assert "the cost is unknown; set pricing of the model in the configuration\n" in out


@pytest.mark.parametrize(
    ("name", "content", "arguments", "texts", "ids"),
    [
        (None, b"one\n\ntwo", [], ["one", "two"], [None, None]),
        (None, b"one\r\ntwo\n", ["-"], ["one", "two"], [None, None]),
        (None, b'{"id": 7, "text": "one"}\n', ["--jsonl"], ["one"], [7]),
        ("x.txt", b"one\n", [], ["one"], [None]),
        ("x.jsonl", b'{"id": "a", "text": "one"}\n{"custom_id": "b", "input": "two"}\n', [], ["one", "two"], ["a", "b"]),
        ("x.json", b'["one", {"id": 1, "text": "two"}]', [], ["one", "two"], [None, 1]),
    ],
)
def test_texts_come_from_lines_and_files(
    embed: Any, provider: Any, tmp_path: Path, name: Any, content: bytes, arguments: list[str], texts: Any, ids: Any
) -> None:
    """Blank lines are none; objects have ids."""
    if name is not None:
        (tmp_path / name).write_bytes(content)
        arguments = [*arguments, "--input", str(tmp_path / name)]
    status, out, _ = embed(*arguments, stdin=content if name is None else b"")
    assert (status, texts_of(provider)) == (0, texts)
    assert [json.loads(line)["id"] for line in out.splitlines()] == ids


def test_a_text_that_names_a_file_is_noted(embed: Any, provider: Any, tmp_path: Path) -> None:
    """It is embedded as it stands, and the user is told how to have the file's lines."""
    file = tmp_path / "texts.txt"
    file.write_text("one\ntwo\n")
    status, _, err = embed(str(file))
    assert (status, texts_of(provider)) == (0, [str(file)])
    assert "is taken as a text" in err
    assert "--input FILE" in err


def test_a_text_that_fails_has_its_error_in_its_place(embed: Any) -> None:
    """The others are answered; the status says that some were not."""
    status, out, err = embed("a", "", "word " * 9000, "b")
    kinds = [(json.loads(line)["error"] or {}).get("type") for line in out.splitlines()]
    assert (status, kinds) == (9, [None, "InvalidRequestError", "ContextLengthExceededError", None])
    assert "no vector for 2 of 4 texts" in err


def test_all_failed_alike_ends_with_that_errors_status(embed: Any, script: Any) -> None:
    """Here the key's."""
    script.fail(401, "bad key", code="invalid_api_key")
    status, out, _ = embed("a", "b")
    assert (status, len(out.splitlines())) == (4, 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a", "--input", "x"], "given twice"),
        (["a", "--jsonl"], "--jsonl is for lines"),
        (["a", "--restart"], "give it an --output"),
        (["--input", "nowhere"], "cannot be read"),
        (["--input", ""], "empty"),
        (["a", "--dimensions", "0"], "0"),
        (["a", "-o", "nowhere/x.jsonl"], "cannot be written"),
        (["a", "--texts-per-request", "x"], "whole number"),
        (["a", "--fail-fast"], "--fail-fast"),
        ([], "input is empty"),
    ],
)
def test_what_is_wrong_with_the_command_line(embed: Any, provider: Any, arguments: list[str], words: str) -> None:
    """Status 2, with what to do, and nothing is sent."""
    status, out, err = embed(*arguments)
    assert (status, out, provider.requests) == (2, "", [])
    assert words in err


def test_a_model_is_required_and_has_to_have_embeddings(llm: Any, config: str) -> None:
    """The configuration's default is a model for answers."""
    assert llm("embed", "--config", config, "a").status == 2
    assert llm("embed", "--config", config, "-m", "nowhere/m", "a").status == 7


def test_a_file_is_written_and_resumed(embed: Any, provider: Any, script: Any, tmp_path: Path) -> None:
    """The summary tells what was done; a stopped run says so, and the same command goes on."""
    output = str(tmp_path / "out.jsonl")
    arguments = ["--texts-per-request", "1", "-o", output, "--json"]
    script.send(Response(200, {"data": [{"index": 0, "embedding": [1, 2]}]}), Response(402, {"error": {"message": "no credit"}}))
    status, out, err = embed("a", "b", "c", *arguments)
    assert (status, json.loads(out)["complete"]) == (5, False)
    assert "resume" in err
    assert Path(f"{output}.part").exists()
    status, out, err = embed("a", "b", "c", *arguments)
    summary = json.loads(out)
    assert (status, err) == (0, "")
    assert (summary["texts"], summary["kept"] + summary["requests"], summary["complete"]) == (3, 3, True)
    assert [json.loads(line)["index"] for line in Path(output).read_text().splitlines()] == [0, 1, 2]


def test_a_matrix_stands_beside_the_records(embed: Any, tmp_path: Path) -> None:
    """FILE.npy is made of FILE.jsonl's vectors."""
    numpy = pytest.importorskip("numpy")
    assert embed("a", "b", "-o", str(tmp_path / "out.npy")).status == 0
    assert numpy.load(tmp_path / "out.npy").shape == (2, 2)
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2
