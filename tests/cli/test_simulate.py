from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llm_sync.simulator import command

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
    assert "no command follows the --" in ran.err


@pytest.mark.parametrize("child", [[], ["--", "true"]])
def test_a_port_that_is_taken(llm: Run, taken: str, child: list[str]) -> None:
    """The same words with and without a command; status 2."""
    ran = llm("simulate", "--port", taken, *child)
    assert ran.status == 2
    assert ran.err.startswith(f"llm-sync: port {taken} cannot be listened on: ")
    assert len(ran.err.splitlines()) == 1


def test_another_system_error_is_not_taken_for_the_ports(llm: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary folder that cannot be made is told as that."""

    def refuse(**options: object) -> str:
        raise PermissionError(13, "Permission denied", "/private")

    monkeypatch.setattr(command.tempfile, "mkdtemp", refuse)
    assert llm("simulate", "--", "true") == (1, "", "llm-sync: Permission denied: '/private'\n")


@pytest.mark.parametrize("keys", [[], ["--accept-key", "k"]])
def test_alone_it_says_where_it_is_and_how_to_use_it(llm: Run, monkeypatch: pytest.MonkeyPatch, keys: list[str]) -> None:
    """The address alone on standard output, for scripts; the base_url of every type on standard error; Ctrl-C ends it quietly."""
    from llm_sync.cli import simulate

    class Started:
        root, ca_path = "http://127.0.0.1:4711", None

    def serve(ready: Callable[[Any], None], **options: Any) -> None:
        wanted = {"port": 0, "keys": keys[1:] or None, "latency": 0.5, "seed": 9, "script": None, "log": None, "tls": False}
        assert options == wanted
        ready(Started())
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate, "serve", serve)
    ran = llm("simulate", "--latency", "0.5", "--seed", "9", *keys)
    assert (ran.status, ran.out) == (130, "http://127.0.0.1:4711\n")
    assert "  anthropic         http://127.0.0.1:4711/anthropic\n" in ran.err
    assert ("with any key" in ran.err) is not bool(keys)
    assert "interrupted" not in ran.err


def test_inside_it_generate_just_works(llm: Run) -> None:
    """The configuration it makes is the one plain ``llm-sync generate`` finds."""
    code = "import sys; from llm_sync.cli import main; sys.exit(main(['generate', 'Say hello']))"
    ran = llm("simulate", "--", sys.executable, "-c", code)
    assert ran.status == 0
    assert "Say hello" in ran.out
    assert ran.err == ""
