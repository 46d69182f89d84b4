"""Every script in examples/ runs as its first lines say, as a process of its own, and does what it is there for."""

from __future__ import annotations

import base64
import csv
import importlib.util
import io
import json
import os
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest
from docs_world import KEY, ROOT, Internet  # type: ignore[import-not-found]

EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.suffix in (".py", ".sh"))
WITHOUT_ARGUMENTS = ("multiprocessing_pool.py", "wsgi_view.py")
WRONG_KEY = {"OPENAI_API_KEY": "sk-wrong-0123456789abcdefghij"}
# A black point.
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """An example with its arguments, in the clone."""
    program = ["python", f"examples/{command[0]}"] if command[0].endswith(".py") else [f"examples/{command[0]}"]
    return subprocess.run(
        [*program, *command[1:]],
        check=False,
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=45,
    )


def test_the_report_is_printed(checkout: Path) -> None:
    """And nothing else; an empty log costs no question."""
    Path("app.log").write_text("ERROR disk full\n" * 10)
    ran = run("nightly_report.py", "app.log")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "ERROR disk full" in ran.stdout
    Path("app.log").write_text("\n")
    ran = run("nightly_report.py", "app.log", **WRONG_KEY)
    assert (ran.returncode, ran.stdout) == (0, "Nothing was logged.\n")


def test_the_report_says_whether_to_try_again(checkout: Path) -> None:
    """A wrong key is for a person to mend, an unreachable provider for the next run."""
    Path("app.log").write_text("ERROR disk full\n")
    ran = run("nightly_report.py", "app.log", **WRONG_KEY)
    assert (ran.returncode, ran.stdout) == (78, "")
    assert "OPENAI_API_KEY" in ran.stderr
    assert KEY not in ran.stderr
    Path("config/llms/default-llms.yaml").write_text(
        "providers: {local: {type: openai, base_url: 'http://127.0.0.1:1/v1', models: [m], max_retries: 0}}"
    )
    ran = run("nightly_report.py", "app.log")
    assert (ran.returncode, ran.stdout) == (75, "")


class View:
    """The WSGI application, called as a server calls it."""

    def __init__(self) -> None:
        spec = importlib.util.spec_from_file_location("examples_wsgi_view", "examples/wsgi_view.py")
        assert spec is not None
        assert spec.loader is not None
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)

    def __call__(self, body: bytes = b"", method: str = "POST", **environ: Any) -> tuple[int, dict[str, str], dict[str, str]]:
        given: list[Any] = []
        environ = {"REQUEST_METHOD": method, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), **environ}
        content = b"".join(self.module.application(environ, lambda status, headers: given.append((status, headers))))
        ((status, headers),) = given
        return int(status.split()[0]), dict(headers), json.loads(content)


def test_the_view_answers_in_json(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question gets its answer, a mistake of the visitor's the status that says so, one of ours no details."""
    view = View()
    status, _, told = view(b"Why is the sky blue?")
    assert (status, told["model"]) == (200, "gpt-4o-mini-2024-07-18")
    assert "Why is the sky blue?" in told["answer"]
    assert view(method="GET")[0] == 405
    assert view(b" ")[0] == 400
    assert view(b"", CONTENT_LENGTH="20001")[0] == 413
    view.module.client.close()
    status, _, told = view(b"Why?")
    assert (status, told) == (502, {"error": "the model cannot be reached"})


def test_the_view_says_when_to_come_back(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes by itself is told with a time, what takes too long as such."""
    view = View()
    with view.module.client:
        for error, status in (
            (view.module.RateLimitError("busy", retry_after=7.5), 503),
            (view.module.RequestTimeoutError("slow"), 504),
            (view.module.UnusableAnswerError("empty"), 422),
        ):

            def fail(*_: Any, error: Exception = error, **__: Any) -> None:
                raise error

            monkeypatch.setattr(view.module.client, "generate", fail)
            found, headers, _ = view(b"Why?")
            assert found == status
            assert headers.get("Retry-After") == ("7" if status == 503 else None)


def test_the_pool_answers_in_order(checkout: Path) -> None:
    """From two processes."""
    ran = run("multiprocessing_pool.py")
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert [line.split("] ")[1].split(" -> ")[0] for line in lines] == [
        "The zip broke on the second day.",
        "Fits well, and it was here the next morning.",
        "It is a jacket.",
        "I would buy it again at once.",
    ]
    assert all("simulat" in line or "No model was asked" in line for line in lines)


def test_models_are_compared(checkout: Path) -> None:
    """Each in its place, one that fails too, with what was changed for it."""
    ran = run("compare_models.py", "Say hello", "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", **WRONG_KEY)
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[1].startswith("openai/gpt-4o-mini                           AuthenticationError: ")
    assert ran.stdout.splitlines()[2].startswith("anthropic/claude-haiku-4-5 ")
    ran = run("compare_models.py", "Say hello", LLM_SYNC_CONFIG="research")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.count("\n    ") >= 10
    assert "(temperature=0 is not sent: " in ran.stdout


def test_structured_output_is_a_dictionary(checkout: Path) -> None:
    """Valid JSON on standard output alone."""
    Path("letter.txt").write_text("Two chairs, please, and soon. A. Lovelace")
    ran = run("structured_output.py", "letter.txt")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout).keys() == {"customer", "urgent", "items"}
    assert "pieces" in ran.stderr


def test_a_model_may_read_files_of_one_folder(checkout: Path) -> None:
    """It answers, and the functions that it may call read nothing else."""
    Path("notes").mkdir()
    Path("notes/rain.md").write_text("It rains.")
    ran = run("tools.py", "Which of these files is the longest?", "notes")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Which of these files" in ran.stdout
    list_files, read_file = runpy.run_path("examples/tools.py")["make_tools"](Path("notes").resolve())
    assert list_files("*.md") == ["rain.md"]
    assert read_file("rain.md") == "It rains."
    with pytest.raises(ValueError, match="not below the folder"):
        read_file("../README.md")


def test_images_are_sent(checkout: Path, internet: Internet) -> None:
    """Each as a part of the message."""
    Path("point.png").write_bytes(PNG)
    ran = run("image_input.py", "point.png", "point.png")
    assert ran.returncode == 0, ran.stderr
    (message,) = internet.simulator.requests[-1].payload["messages"]
    assert [part["type"] for part in message["content"]].count("image_url") == 2


def test_a_csv_file_is_answered_and_resumed(checkout: Path, internet: Internet) -> None:
    """Rows stay in order; those that have answers are not asked again; an unknown column is named before anything is sent."""
    words = [{"word": word, "language": "French"} for word in ("cat", "dog", "bird")]

    def write(rows: list[dict[str, str]]) -> None:
        with open("words.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, ["word", "language"])
            writer.writeheader()
            writer.writerows(rows)

    before = len(internet.simulator.requests)
    write(words)
    ran = run("batch_from_csv.py", "words.csv", "answers.csv", "Translate {wort}.")
    assert ran.returncode == 1
    assert "the template names a column 'wort'" in ran.stderr
    write(words[:2])
    assert run("batch_from_csv.py", "words.csv", "answers.csv", "Translate {word} into {language}.").returncode == 0
    write(words)
    assert run("batch_from_csv.py", "words.csv", "answers.csv", "Translate {word} into {language}.").returncode == 0
    with open("answers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["word"], row["error"]) for row in rows] == [("cat", ""), ("dog", ""), ("bird", "")]
    assert all(f"Translate {row['word']} into French." in row["answer"] for row in rows)
    assert len(internet.simulator.requests) - before == 3
    write([*words, {"word": "no", "language": "French"}])
    ran = run("batch_from_csv.py", "words.csv", "answers.csv", "Translate {word} into {language}.", **WRONG_KEY)
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (1, "answers.csv: 1 rows were sent; 1 have an error")
    with open("answers.csv", newline="") as file:
        assert [bool(row["answer"]) for row in csv.DictReader(file)] == [True, True, True, False]


def test_the_pipeline_sums_up(checkout: Path) -> None:
    """One answer in the end, the rest told on standard error; a wrong key ends it at once with its status."""
    for name in ("one", "two"):
        Path(f"{name}.txt").write_text(f"This is {name}.")
    ran = run("pipeline.sh", "one.txt", "missing.txt", "two.txt")
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == 1
    assert [line for line in ran.stderr.splitlines() if not line.startswith("llm-sync:")] == [
        "one.txt: done",
        "missing.txt: given up (2)",
        "two.txt: done",
    ]
    ran = run("pipeline.sh", "one.txt", "two.txt", **WRONG_KEY)
    assert (ran.returncode, ran.stdout) == (4, "")


def test_spans_and_metrics_are_printed(checkout: Path) -> None:
    """One span for each model, below the program's own, and the metrics of all."""
    pytest.importorskip("opentelemetry.sdk")
    ran = run("otel_console.py", "Why?", "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5")
    assert ran.returncode == 0, ran.stderr
    for name in ("chat gpt-4o-mini", "chat claude-haiku-4-5", "compare", "gen_ai.client.token.usage"):
        assert f'"name": "{name}"' in ran.stdout


@pytest.mark.parametrize("example", [path for path in EXAMPLES if path.name not in WITHOUT_ARGUMENTS], ids=lambda path: path.name)
def test_an_example_without_what_it_needs_says_how_it_is_called(checkout: Path, example: Path) -> None:
    """And asks nobody."""
    ran = run(example.name)
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr.startswith("usage: ") or ran.stderr == "no file was summarised\n"


def test_every_example_is_listed_and_tried() -> None:
    """In the folder's README, and above."""
    listed = (ROOT / "examples/README.md").read_text("utf-8")
    tried = Path(__file__).read_text("utf-8")
    for example in EXAMPLES:
        assert f"]({example.name})" in listed
        assert f'"{example.name}"' in tried or f"/{example.name}" in tried
