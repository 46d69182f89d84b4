"""``llm-sync report`` and the tables of ``llm-sync batch``: what is printed and written, and the exit statuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.cli.main import main


def record(index: int, model: str = "m", text: str | None = "yes", *, want: str = "yes") -> dict[str, Any]:
    """An answer, or without text a failure."""
    usage = {"input_tokens": 3, "output_tokens": 2}
    response = {"text": text, "finish_reason": "stop", "usage": usage, "latency_ms": 20.0, "attempts": 1, "cost_estimate": 0.5}
    base = {"id": f"q{index}", "index": index, "provider": "p", "model": model, "input": {"want": want}, "line_hash": "ab"}
    if text is None:
        return {**base, "response": None, "error": {"type": "NetworkError", "message": "it broke", "text": None}}
    return {**base, "response": {**response, "truncated": False}, "error": None}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes records into the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, *records: dict[str, Any]) -> str:
        Path(name).write_text("".join(json.dumps(each) + "\n" for each in records))
        return name

    return write


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs ``llm-sync report``: status, standard output, standard error."""

    def ended(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            raise SystemExit(main(["report", *arguments]))
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return ended


def test_the_figures_of_each_model(written: Callable[..., str], run: Callable[..., Any]) -> None:
    """A row for each, with accuracy only if answers are checked."""
    written("a.jsonl", record(0), record(0, "n", "no"), record(1, text=None), record(1, "n"))
    status, out, _ = run("a.jsonl")
    assert (status, out.splitlines()[0]) == (0, "a.jsonl: 4 records, 3 answered")
    assert "accuracy" not in out
    assert "  failed  p/m: NetworkError 1" in out.splitlines()
    _, out, _ = run("a.jsonl", "--expect", "want")
    row = next(line.split() for line in out.splitlines() if line.startswith("  p/n"))
    assert row[:7] == ["p/n", "2", "0", "0", "0", "50.0%", "9.5–90.5"]


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        (["--expect", "want", "--min-accuracy", "0.6"], 10),
        (["--expect", "want", "--min-accuracy", "p/m=60%"], 0),
        (["--expect", "want", "--min-accuracy", "p/n=0.6"], 10),
        (["--min-accuracy", "0"], 10),
        (["--max-error-rate", "0.4"], 10),
        (["--max-error-rate", "50%"], 0),
        (["--expect", "want", "--min-accuracy", "p/x=0.6"], 2),
        (["--fail-on-truncated"], 0),
    ],
)
def test_limits_end_with_status_10(written: Callable[..., str], run: Callable[..., Any], limits: list[str], status: int) -> None:
    """For all models or one; the figures are printed nevertheless."""
    written("a.jsonl", record(0), record(0, "n", "no"), record(1, text=None), record(1, "n"))
    assert run("a.jsonl", *limits)[0] == status


def test_files_by_their_endings(written: Callable[..., str], run: Callable[..., Any]) -> None:
    """Each -o is written; nothing else is printed."""
    written("a.jsonl", record(0), record(0, "n", "a|b<"))
    files = ["t.csv", "t.tsv", "r.jsonl", "f.json", "f.md"]
    status, out, err = run("a.jsonl", "--expect", "want", *(word for file in files for word in ("-o", file)))
    assert (status, out) == (0, "")
    assert err.splitlines() == [f"llm-sync: {file} is written" for file in files]
    assert next(csv.DictReader(Path("t.csv").read_text().splitlines()))["p/n text"] == "a|b<"
    assert len(json.loads(Path("f.json").read_text())["models"]) == 2
    assert "| p/m | 1 |" in Path("f.md").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["none.jsonl"],
        ["a.jsonl", "-o", "x.doc"],
        ["a.jsonl", "-o", "a.jsonl"],
        ["a.jsonl", "-o", "no/x.csv"],
        ["a.jsonl", "--compare", "p/m", "p/x"],
        ["a.jsonl", "--verify", "none.json"],
    ],
)
def test_wrong_command_lines(written: Callable[..., str], run: Callable[..., Any], arguments: list[str]) -> None:
    """Status 2, and the outputs stay as they are."""
    written("a.jsonl", record(0))
    before = Path("a.jsonl").read_text()
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("llm-sync: ")
    assert Path("a.jsonl").read_text() == before


def test_two_runs_are_compared(written: Callable[..., str], run: Callable[..., Any]) -> None:
    """What changed, what is better, and what has only one of them."""
    written("a.jsonl", *(record(n, text="no") for n in range(9)), record(9, text=None))
    written("b.jsonl", *(record(n) for n in range(8)), record(9), record(20))
    status, out, _ = run("--compare", "a.jsonl", "b.jsonl", "--expect", "want")
    lines = out.splitlines()
    assert status == 0
    assert "p/m [a.jsonl] -> p/m [b.jsonl]: 9 items of both, 1 only in p/m [a.jsonl], 1 only in p/m [b.jsonl]" in lines
    assert "  answers 0 the same, 8 changed" in lines
    assert "  failed  1 before but not now, 0 now but not before" in lines
    assert "  scores  8 improved, 0 worsened, of 8" in lines
    assert "  verdict significantly better" in lines


def test_a_comparison_without_common_lines_says_so(written: Callable[..., str], run: Callable[..., Any]) -> None:
    """Two models that were asked different lines."""
    written("a.jsonl", record(0), record(1, "n"))
    _, out, _ = run("a.jsonl", "--compare", "p/m", "p/n")
    assert "  answers none to compare: no input line was sent to both" in out.splitlines()


def test_markdown_lists_labels_with_a_colon(written: Callable[..., str], run: Callable[..., Any]) -> None:
    """How answers were checked, and what failed."""
    written("a.jsonl", record(0), record(1, text=None))
    run("a.jsonl", "--expect", "want", "-o", "a.md")
    notes = [line for line in Path("a.md").read_text().splitlines() if line.startswith("* ")]
    assert notes[0] == "* failed: p/m: NetworkError 1"
    assert notes[1].startswith("* check: the answer equals the expectation")


def test_nothing_is_written_if_a_package_is_missing(
    written: Callable[..., str], run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several files none, with status 3 and what to install."""
    monkeypatch.setattr("llm_sync.reports.writing.find_spec", lambda name: None)
    written("a.jsonl", record(0))
    status, _, err = run("a.jsonl", "-o", "a.csv", "-o", "a.xlsx")
    assert status == 3
    assert err == "llm-sync: an Excel file needs the package XlsxWriter. Install it: pip install 'llm-sync[xlsx]'.\n"
    assert not Path("a.csv").exists()


def test_a_certificate_is_verified(written: Callable[..., str], run: Callable[..., Any]) -> None:
    """Status 0 if the outputs confirm it, 10 and the differences if not."""
    written("a.jsonl", record(0), record(1, text="no"))
    run("a.jsonl", "--expect", "want", "-o", "f.json")
    assert run("a.jsonl", "--verify", "f.json")[:2] == (0, "f.json: confirmed by a.jsonl\n")
    written("a.jsonl", record(0), record(1))
    status, _, err = run("a.jsonl", "--verify", "f.json")
    assert status == 10
    assert "llm-sync: models 1.passed: the report says 1, the outputs give 2" in err.splitlines()


def test_verifying_runs_no_command_of_a_certificate(written: Callable[..., str], run: Callable[..., Any]) -> None:
    """A command is given again, or the scores are left out."""
    written("a.jsonl", record(0))
    run("a.jsonl", "--check", "command:true", "-o", "f.json")
    document = json.loads(Path("f.json").read_text())
    assert document["certificate"]["check"] == "command:true"
    document["certificate"]["check"] = "command:touch run-by-verify"
    Path("f.json").write_text(json.dumps(document))
    status, out, _ = run("a.jsonl", "--verify", "f.json")
    assert (status, "without the scores" in out) == (0, True)
    assert not Path("run-by-verify").exists()


def test_a_batch_writes_a_table(
    llm_simulator: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """-o FILE.csv: the columns of the input beside the answers, and the records from which it resumes."""
    monkeypatch.chdir(tmp_path)
    Path("words.csv").write_text("id,word\n1,bread\n2,=salt\n")
    command = ["batch", "words.csv", "-o", "out.csv", "-m", "openai/gpt-4o-mini", "--template", "Say {word}"]
    assert main(command) == 0
    rows = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    assert [(row["id"], row["word"], row["openai/gpt-4o-mini status"]) for row in rows] == [
        ("1", "bread", "answered"),
        ("2", "'=salt", "answered"),
    ]
    assert main(command) == 0
    assert "nothing: all requests were answered before" in capsys.readouterr().out
    assert len(Path("out.jsonl").read_text().splitlines()) == 2
