"""What holds for every command: in a pipe, for cron, on a full disk, with --json, without a configuration. One row each."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from llm_sync.cli.parser import COMMANDS, build_parser

pytestmark = pytest.mark.timeout(180)  # starts of Python, several a test, on a machine that may be busy


class Row(NamedTuple):
    """How to have a command do something.

    Words in ``arguments`` stand for paths: ``CONFIG`` for a configuration and ``FOLDER`` for its folder, ``REQUESTS`` and
    ``OUTPUT`` for a batch's files, ``ANSWERS`` for a finished output, ``SCRIPT`` for a script, ``NEW`` for one where nothing is.
    ``unconfigured``: arguments that leave the choice of the configuration open.
    """

    arguments: list[str]
    unconfigured: list[str] | None = None
    prints: bool = True
    status: int = 0


ROWS = {
    "generate": Row(["--config", "CONFIG", "-m", "first/m", "hi"], ["hi"]),
    "batch": Row(["--config", "CONFIG", "-m", "first/m", "REQUESTS", "-o", "OUTPUT"], ["REQUESTS", "-o", "OUTPUT"]),
    "embed": Row(["--config", "CONFIG", "-m", "first/m", "hi"], ["-m", "first/m", "hi"]),
    "report": Row(["ANSWERS"]),
    "cache": Row(["info", "--dir", "NEW"]),
    "history": Row([]),
    "models": Row(["--config", "CONFIG"], []),
    "configs": Row(["--config-dir", "FOLDER"], []),
    "show": Row(["CONFIG"], []),
    "validate": Row(["CONFIG"], []),
    "doctor": Row(["CONFIG"]),
    "trust": Row(["--revoke", "CONFIG"], []),
    "init": Row(["NEW"], []),
    "status": Row([]),
    "spend": Row([]),
    "run-script": Row(["SCRIPT"]),
    "simulate": Row(["--", sys.executable, "-c", ""], prints=False),
    "local": Row(["--model", "no-such-file", "--", sys.executable, "-c", ""], prints=False, status=3),  # a model is not at hand
    "completion": Row(["bash"]),
    "help": Row(["batch"]),
}
JSON = [
    name
    for name, command in next(action for action in build_parser()._actions if action.dest == "command").choices.items()  # type: ignore[union-attr]
    if "--json" in command._option_string_actions
]


@pytest.fixture
def cron(environment: Callable[..., dict[str, str]]) -> dict[str, str]:
    """An environment without HOME, TERM and PATH, in the C locale."""
    return {**{name: environment()[name] for name in ("PYTHONPATH", "CLI_TEST_KEY")}, "LANG": "C"}


@pytest.fixture
def run(start: Callable[..., Any], cron: dict[str, str], config: str, tmp_path: Path) -> Callable[..., tuple[int, bytes, str]]:
    """Runs a command by its row, as cron would: status, standard output, standard error."""
    words = {"CONFIG": config, "FOLDER": str(tmp_path), "NEW": str(tmp_path / "made" / "here")}
    words.update(REQUESTS=str(tmp_path / "requests"), OUTPUT=str(tmp_path / "outcomes"), SCRIPT=str(tmp_path / "script.py"))
    (tmp_path / "script.py").write_text("import openai\nprint(openai.OpenAI)\n")
    (tmp_path / "requests").write_text('{"prompt": "hi"}\n')
    failure = {"type": "NetworkError", "message": "it broke", "text": None}
    record = {"id": 1, "index": 0, "provider": "first", "model": "m", "response": None, "error": failure}
    kept = tmp_path / "state/llm-sync/history/20261130-174703-a1b2c3.jsonl"
    kept.parent.mkdir(mode=0o700, parents=True)
    turn = {"asked": [{"role": "user", "content": "hi"}], "answer": {"role": "assistant", "content": "yes"}, "model": "first/m"}
    kept.write_text(json.dumps({"format": 1, "at": "2026-11-30T17:47:03+00:00", **turn}) + "\n")
    words["ANSWERS"] = str(tmp_path / "answers.jsonl")
    (tmp_path / "answers.jsonl").write_text(json.dumps(record) + "\n")

    def ended(name: str, *more: str, arguments: list[str] | None = None, **options: Any) -> tuple[int, bytes, str]:
        given = ROWS[name].arguments if arguments is None else arguments
        environ = {**cron, "XDG_STATE_HOME": str(tmp_path / "state")}
        process = start(name, *more, *(words.get(word, word) for word in given), env=environ, **options)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err.decode()

    return ended


def test_every_command_has_a_row() -> None:
    """A command without one is not covered by what follows."""
    assert set(ROWS) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_for_cron_in_a_pipe(run: Callable[..., Any], name: str) -> None:
    """Help needs nothing of the environment, and has no control sequences."""
    status, out, err = run(name, arguments=["--help"])
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: llm-sync {name} ".encode())
    assert b"\x1b" not in out


@pytest.mark.parametrize("name", COMMANDS)
def test_it_works_for_cron_in_a_pipe(run: Callable[..., Any], name: str) -> None:
    """No HOME, no TERM, no PATH, LANG=C; what is printed is printed whole, without control sequences."""
    status, out, err = run(name)
    assert status == ROWS[name].status, err
    assert bool(out) == ROWS[name].prints
    assert b"\x1b" not in out
    assert "Traceback" not in err


@pytest.mark.parametrize("name", JSON)
def test_json_is_a_value_a_line(run: Callable[..., Any], name: str) -> None:
    """Each line of standard output is a JSON object."""
    status, out, err = run(name, "--json")
    assert status == 0, err
    lines = out.splitlines()
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ROWS or ROWS[name].prints])
def test_a_full_disk_is_an_error(run: Callable[..., Any], name: str) -> None:
    """``> /dev/full``: status 1 and a word about it, for help and for work."""
    for arguments in (["--help"], None):
        with open("/dev/full", "wb") as full:
            status, _, err = run(name, arguments=arguments, stdout=full)
        assert status == 1
        assert err.splitlines()[-1] == "llm-sync: standard output cannot be written: No space left on device"


@pytest.mark.parametrize("name", COMMANDS)
def test_streams_that_are_closed(run: Callable[..., Any], name: str) -> None:
    """``<&- 2>&-`` only suppresses messages; ``>&-`` is an error, a reader that closed the pipe is none."""

    def close(*numbers: int) -> Callable[[], None]:
        def in_child() -> None:
            for number in numbers:
                os.close(number)

        return in_child

    status, out, _ = run(name, preexec_fn=close(0, 2))
    assert (status, bool(out)) == (ROWS[name].status, ROWS[name].prints)
    if not ROWS[name].prints or name == "run-script":  # what a script prints is its own
        return
    status, _, err = run(name, preexec_fn=close(1))
    assert (status, err.splitlines()[-1]) == (1, "llm-sync: standard output cannot be written: Bad file descriptor")
    reading, writing = os.pipe()
    os.close(reading)
    status, _, err = run(name, stdout=writing)
    os.close(writing)
    assert (status, "written" in err) == (141, False)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.unconfigured is not None])
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["words", "json"])
def test_without_any_configuration(run: Callable[..., Any], tmp_path: Path, name: str, more: list[str]) -> None:
    """Status 3, nothing on standard output, nothing written, and the command that makes one."""
    (tmp_path / "empty").mkdir()
    status, out, err = run(name, *more, arguments=["--config-dir", str(tmp_path / "empty" / "none"), *ROWS[name].unconfigured])
    assert (status, out) == (3, b"")
    printed = json.loads(err)["error"]["guidance"] if more else err
    assert f"llm-sync init {tmp_path}/empty/none" in printed
    assert list((tmp_path / "empty").iterdir()) == []
