from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_sync.models import request_hash
from llm_sync.simulator import Simulator, command

Run = Callable[..., Any]


@pytest.fixture
def taken() -> Iterator[str]:
    """A port that somebody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield str(listening.getsockname()[1])


def test_a_commands_status_is_ours(llm: Run) -> None:
    """``simulate -- COMMAND`` ends as COMMAND does, and adds nothing to its output."""
    assert llm("simulate", "--", sys.executable, "-c", "import sys; print('out', flush=True); sys.exit(7)") == (7, "out\n", "")


def test_a_commands_signal_is_ours(llm: Run) -> None:
    """128 and the signal's number, as a shell has it."""
    assert llm("simulate", "--", sys.executable, "-c", "import os; os.kill(os.getpid(), 15)").status == 143


def test_a_command_that_is_not_there(llm: Run) -> None:
    """127, and why."""
    ran = llm("simulate", "--", "no-such-command")
    assert ran.status == 127
    assert ran.err.startswith("llm-sync: 'no-such-command' cannot be run: ")


def test_two_dashes_without_a_command_are_a_usage_error(llm: Run) -> None:
    """``simulate -- $UNSET`` must not serve for ever."""
    ran = llm("simulate", "--")
    assert ran.status == 2
    assert "no command follows --" in ran.err


@pytest.mark.parametrize("child", [[], ["--", "true"]])
def test_a_port_that_is_taken(llm: Run, taken: str, child: list[str]) -> None:
    """The same words with and without a command; status 2."""
    ran = llm("simulate", "--port", taken, *child)
    assert ran.status == 2
    assert ran.err.startswith(f"llm-sync: cannot listen on port {taken}: ")
    assert len(ran.err.splitlines()) == 1


def test_another_system_error_is_not_taken_for_the_ports(llm: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary folder that cannot be created is reported as that."""

    def refuse(**options: object) -> str:
        raise PermissionError(13, "Permission denied", "/private")

    monkeypatch.setattr(command.tempfile, "mkdtemp", refuse)
    assert llm("simulate", "--", "true") == (1, "", "llm-sync: Permission denied: '/private'\n")


@pytest.mark.parametrize("keys", [[], ["--accept-key", "k"]])
def test_without_a_command_it_prints_its_address_and_how_to_use_it(
    llm: Run, monkeypatch: pytest.MonkeyPatch, keys: list[str]
) -> None:
    """The address alone on standard output, for scripts; the base_url of every type on standard error; Ctrl-C ends it quietly."""
    from llm_sync.cli.commands import simulate

    class Started:
        root, ca_path = "http://127.0.0.1:4711", None

    def serve(ready: Callable[[Any], None], **options: Any) -> None:
        wanted = {"port": 0, "keys": keys[1:] or None, "latency": 0.5, "seed": 9, "script": None, "log": None, "tls": False}
        assert options.items() >= wanted.items()
        ready(Started())
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate, "serve", serve)
    ran = llm("simulate", "--latency", "0.5", "--seed", "9", *keys)
    assert (ran.status, ran.out) == (130, "http://127.0.0.1:4711\n")
    assert re.search(r"^  anthropic +http://127\.0\.0\.1:4711/anthropic$", ran.err, re.MULTILINE)
    assert ("with any key" in ran.err) is not bool(keys)
    assert "interrupted" not in ran.err


def test_inside_it_generate_just_works(llm: Run) -> None:
    """The configuration it makes is the one plain ``llm-sync generate`` finds."""
    code = "import sys; from llm_sync.cli.main import main; sys.exit(main(['generate', 'Say hello']))"
    ran = llm("simulate", "--", sys.executable, "-c", code)
    assert ran.status == 0
    assert "Say hello" in ran.out
    assert ran.err == ""


GENERATE = "import sys; from llm_sync.cli.main import main; sys.exit(main(['generate', *sys.argv[1:]]))"


def test_answers_are_those_of_a_file(llm: Run, tmp_path: Path) -> None:
    """--answers FILE answers its prompts; other prompts get generated answers."""
    file = tmp_path / "answers.yaml"
    file.write_text("answers: {Say hello: 'Hello from a file.'}")
    ran = llm("simulate", "--answers", str(file), "--", sys.executable, "-c", GENERATE, "Say hello")
    assert ran == (0, "Hello from a file.\n", "")


def test_a_run_is_replayed(llm: Run, tmp_path: Path) -> None:
    """--replay FILE: answers by request hash; what is not there is refused with its hash, or answered with --replay-else."""
    file = tmp_path / "run.jsonl"
    entry = {"request_hash": request_hash("gpt-4o-mini", [("user", "Say hello")]), "response": {"text": "Then as now."}}
    file.write_text(json.dumps(entry) + "\n")
    command = ("--", sys.executable, "-c", GENERATE)
    assert llm("simulate", "--replay", str(file), *command, "Say hello") == (0, "Then as now.\n", "")
    refused = llm("simulate", "--replay", str(file), *command, "Say more")
    assert refused.status == 7
    assert request_hash("gpt-4o-mini", [("user", "Say more")]) in refused.err
    answered = llm("simulate", "--replay", str(file), "--replay-else", "answer", *command, "Say more")
    assert (answered.status, "Say more" in answered.out) == (0, True)


def test_the_address_of_recorded_exchanges_is_printed(llm: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--recorded DIR: how many there are, and where."""
    folder = tmp_path / "acme"
    folder.mkdir()
    (folder / "one.json").write_text(json.dumps({"dialect": "openai", "response": {"status": 200, "body": {}}}))
    from llm_sync.cli.commands import simulate

    def serve(ready: Callable[[Any], None], **options: Any) -> None:
        with Simulator(**options) as simulator:
            ready(simulator)
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate, "serve", serve)
    ran = llm("simulate", "--recorded", str(tmp_path))
    assert ran.status == 130
    assert "The 1 recorded exchanges" in ran.err
    assert "/recorded/PROVIDER/NAME" in ran.err


def test_the_command_learns_where_the_simulator_is(llm: Run) -> None:
    """By a variable, for what no configuration says."""
    code = "import os; print(os.environ['LLM_SYNC_SIMULATOR_URL'])"
    assert llm("simulate", "--", sys.executable, "-c", code).out.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("options", "status", "wording"),
    [
        (["--answers", "none.yaml"], 3, "none.yaml: there is no such file"),
        (["--replay", "none.jsonl"], 3, "none.jsonl: there is no such file"),
        (["--recorded", "none"], 3, "none: there is no such folder"),
        (["--replay-else", "answer"], 2, "--replay-else needs --replay FILE"),
        (["--replay-else", "ask"], 2, "invalid choice"),
        (["--answers", ""], 2, "it is empty"),
    ],
)
def test_what_cannot_be_served_is_reported(llm: Run, options: list[str], status: int, wording: str) -> None:
    """Nothing is started."""
    ran = llm("simulate", *options, "--", "true")
    assert (ran.status, ran.out) == (status, "")
    assert wording in ran.err
