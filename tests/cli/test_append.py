from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.simulator import Simulator

Run = Callable[..., Any]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The file appended to."""
    return tmp_path / "out.jsonl"


def test_answers_are_added(ask: Run, out: Path, script: Any) -> None:
    """The old lines stay, whichever run wrote them; a failure is a record too with --json."""
    out.write_text("old")
    script.answer("one\ntwo")
    assert ask("-m", "first/m", "--append", "--output", str(out), "hi") == (0, "", "")
    script.fail(400)
    assert ask("-m", "first/m", "--append", "--output", str(out), "--json", "hi").status == 7
    first, *rest, last = out.read_text().splitlines()
    assert (first, rest) == ("old", ["one", "two"])
    assert json.loads(last)["error"]["type"] == "InvalidRequestError"


def test_failures_add_nothing_in_words(ask: Run, out: Path, script: Any) -> None:
    """There is nothing to add."""
    script.fail(400)
    assert ask("-m", "first/m", "--append", "--output", str(out), "hi").status == 7
    assert out.read_text() == ""


@pytest.mark.parametrize(
    ("arguments", "wording"),
    [
        (["--append"], "--append needs a file to append to"),
        (["--append", "--output", "-"], "--append needs a file to append to"),
        (["--append", "--output", "nowhere/x"], "--output 'nowhere/x' cannot be written: there is no folder 'nowhere'"),
        (["--append", "--output", "."], "--output '.' is a folder"),
        (["--append", "--output", ""], "--output '' is empty"),
    ],
)
def test_what_cannot_be_appended_to(
    ask: Run, provider: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], wording: str
) -> None:
    """Status 2 before anything is sent."""
    monkeypatch.chdir(tmp_path)
    ran = ask("-m", "first/m", *arguments, "hi")
    assert (ran.status, provider.requests) == (2, [])
    assert wording in ran.err


def test_devices_are_written_to(ask: Run) -> None:
    """They have no end to append at."""
    assert ask("-m", "first/m", "--append", "--output", "/dev/null", "hi") == (0, "", "")


def test_after_an_interrupt_paid_answers_are_added_too(
    start: Callable[..., Any], config: str, provider: Simulator, out: Path
) -> None:
    """The file is only ever added to, so what still comes belongs there."""
    with provider.hold() as hold:
        process = start("generate", "--config", config, "-m", "first/m", "--append", "--output", str(out), "hi")
        hold.wait()
        process.send_signal(signal.SIGINT)
        assert b"waiting up to 5 s" in process.stderr.readline()
    assert process.communicate(timeout=30)[0] == b""
    assert (process.returncode, out.read_text()) == (130, "an answer\n")


def crowd(count: int, at_once: int, config: str, out: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """``seq COUNT | xargs -P AT_ONCE llm-sync generate --append …``."""
    words = [sys.executable, "-m", "llm_sync", "generate", "--config", config, "-m", "first/m", "--json"]
    command = shlex.join([*words, "--append", "--output", str(out)])
    line = f'seq {count} | xargs -P{at_once} -I{{}} {command} "{{}}"'
    return subprocess.run(line, shell=True, env=environ, capture_output=True, text=True, timeout=600, check=False)  # noqa: S602


def check(out: Path, count: int) -> None:
    """``count`` whole lines, one for each request."""
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(records) == count
    assert all(record["response"]["text"] == "an answer" for record in records)


@pytest.mark.timeout(180)  # starts of Python, on a machine that may be busy
def test_many_processes_write_whole_lines(
    environment: Callable[..., dict[str, str]], config: str, provider: Simulator, out: Path
) -> None:
    """Eight at a time, which nothing keeps apart; every request is sent and answered once."""
    done = crowd(16, 8, config, out, environment())
    assert (done.returncode, done.stderr) == (0, "")
    check(out, 16)
    asked = sorted(int(record.payload["messages"][-1]["content"]) for record in provider.requests)
    assert asked == list(range(1, 17))


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_two_hundred_processes_write_whole_lines(
    environment: Callable[..., dict[str, str]], config: str, provider: Simulator, out: Path
) -> None:
    """Twenty at a time."""
    done = crowd(200, 20, config, out, environment())
    assert (done.returncode, done.stderr) == (0, "")
    check(out, 200)
    asked = sorted(int(record.payload["messages"][-1]["content"]) for record in provider.requests)
    assert asked == list(range(1, 201))
