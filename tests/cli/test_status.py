"""``llm-sync status``: what runs, in words and as JSON, once and again and again."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from llm_sync.cli.commands import status
from llm_sync.cli.console import status_text
from llm_sync.machine.running import RunningProcess, RunningProvider, RunningWork, running_processes
from llm_sync.machine.semaphore_holders import Holder
from llm_sync.simulator import Simulator

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no flock on this platform")

NOW = datetime.now(timezone.utc)


def ago(seconds: float) -> datetime:
    """Then."""
    return NOW - timedelta(seconds=seconds)


def process(command: str = "llm-sync generate", pid: int = 4711, **providers: RunningProvider) -> RunningProcess:
    """One that began 200 s ago."""
    return RunningProcess(pid, command, ago(200), ago(1), providers)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", str(tmp_path / "runtime"))


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, llm: Callable[..., Any]) -> Callable[..., str]:
    """What is printed of these processes."""

    def show(*processes: RunningProcess, held: Sequence[Holder] = (), options: tuple[str, ...] = ()) -> str:
        monkeypatch.setattr(status, "running_processes", lambda: list(processes))
        monkeypatch.setattr(status, "slot_holders", lambda: list(held))
        monkeypatch.setattr(status, "_now", lambda: NOW)
        ran = llm("status", *options)
        assert (ran.status, ran.err) == (0, "")
        return str(ran.out)

    return show


def test_no_process_is_running(llm: Callable[..., Any]) -> None:
    """It says what would be shown."""
    ran = llm("status")
    assert (ran.status, ran.err) == (0, "")
    assert "Nothing is running" in ran.out
    assert "publish_status=True" in ran.out


def test_no_process_is_running_as_json(llm: Callable[..., Any]) -> None:
    """A program reads the same shape as ever."""
    printed = json.loads(llm("status", "--json").out)
    assert printed["processes"] == []
    assert datetime.fromisoformat(printed["at"]).tzinfo is not None


def test_the_work_of_a_process(shown: Callable[..., str]) -> None:
    """Its file, how much of it is done, and how long the rest may take; also as JSON."""
    work = RunningWork("answers.jsonl", 1510, 310, 480)
    batch = dataclasses.replace(process("llm-sync batch"), work=work)
    assert shown(batch).splitlines()[0] == "4711  llm-sync batch answers.jsonl: 310 of 1,510 done, about 8 min left, for 3 min"
    printed = json.loads(shown(batch, options=("--json",)))["processes"][0]["work"]
    assert printed == {"file": "answers.jsonl", "total": 1510, "done": 310, "seconds_left": 480}
    ended = dataclasses.replace(batch, work=RunningWork("a\nb", 1, 1))
    assert shown(ended).splitlines()[0] == "4711  llm-sync batch 'a\\nb': 1 of 1 done, for 3 min"


def test_a_process_in_words(shown: Callable[..., str]) -> None:
    """What there is of each kind, and nothing of what there is not."""
    provider = RunningProvider(
        queued=3,
        in_flight=2,
        oldest_in_flight_since=ago(12),
        waiting={"slot": 1, "retry": 1},
        done=40,
        failed={"RateLimitError": 2, "EmptyResponseError": 1},
        retries=4,
        requests_per_minute=38,
    )
    assert shown(process(openai=provider, b=RunningProvider(done=1))) == (
        "4711  llm-sync generate, for 3 min\n"
        "  openai  2 in flight for 12 s (1 waiting for a slot, 1 waiting to retry), 3 queued, 40 answered, "
        "3 failed (RateLimitError 2, EmptyResponseError 1), 4 retried, 38 per minute\n"
        "  b       1 answered\n"
    )


def test_the_holder_of_a_slot_is_shown(shown: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Since when, and whether it is stopped, which blocks all others; also of a program that publishes no status."""
    monkeypatch.setattr("llm_sync.machine.process_numbers.is_stopped", lambda pid: pid == 4711)
    held = [Holder(4711, "b", ago(40)), Holder(99, "their\x1bs", ago(3))]
    one = process(a=RunningProvider(done=1), b=RunningProvider(in_flight=1))
    assert shown(one, held=held) == (
        "4711  llm-sync generate, for 3 min, stopped: fg or kill -CONT 4711 continues it\n"
        "  a  1 answered\n"
        "  b  1 in flight, holds a slot for 40 s\n"
        "99  holds a slot of 'their\\x1bs' for 3 s\n"
    )
    printed = json.loads(shown(one, held=held, options=("--json",)))
    assert printed["processes"][0]["stopped"] is True
    assert [(each["pid"], each["provider"], each["stopped"]) for each in printed["slots"]] == [
        (4711, "b", True),
        (99, "their\x1bs", False),
    ]
    assert "99  holds a slot" in shown(held=held)


def test_processes_of_another_container_are_marked(shown: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Their numbers mean nothing here, and may be those of processes here."""
    monkeypatch.setattr("llm_sync.machine.process_numbers.is_stopped", lambda pid: True)
    there = dataclasses.replace(process(b=RunningProvider(done=1)), namespace="pid:[1]")
    held = [Holder(4711, "b", ago(40)), Holder(7, "b", ago(3), "pid:[1]")]
    assert shown(there, held=held) == (
        "4711  llm-sync generate, for 3 min, in another container\n"
        "  b  1 answered\n"
        "4711  holds a slot of b for 40 s, stopped: fg or kill -CONT 4711 continues it\n"
        "7  holds a slot of b for 3 s, in another container\n"
    )


def test_a_single_one_that_waits(shown: Callable[..., str]) -> None:
    """Without counting it twice; what it waits for may be new."""
    provider = RunningProvider(in_flight=1, oldest_in_flight_since=ago(1), waiting={"cool-down": 1})
    assert "1 in flight for 1 s (waiting for the cool-down)\n" in shown(process(p=provider))
    assert "(waiting for rain)" in shown(process(p=RunningProvider(in_flight=1, waiting={"for rain": 1})))


def test_a_cool_down_is_shown_while_it_lasts(shown: Callable[..., str]) -> None:
    """One that is over is not: a process that does nothing does not say so."""
    coming = RunningProvider(done=1, cooling_down_until=NOW + timedelta(seconds=100))
    assert "cooling down until " in shown(process(p=coming))
    past = RunningProvider(done=1, cooling_down_until=ago(1))
    assert "cooling down" not in shown(process(p=past))
    (printed,) = json.loads(shown(process(p=past), options=("--json",)))["processes"]
    assert printed["providers"]["p"]["cooling_down_until"] is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (-5, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_durations_are_short(seconds: float, words: str) -> None:
    """And never negative, whatever clocks say."""
    assert status_text._duration(NOW, NOW - timedelta(seconds=seconds)) == words


def test_a_process_as_json(shown: Callable[..., str]) -> None:
    """Every number there is, in one line."""
    provider = RunningProvider(queued=3, in_flight=1, oldest_in_flight_since=ago(12), failed={"RateLimitError": 2})
    out = shown(process(openai=provider), process("é", 1), options=("--json",))
    assert out.count("\n") == 1
    first, second = json.loads(out)["processes"]
    assert first["pid"] == 4711
    assert first["providers"]["openai"] == {
        "queued": 3,
        "in_flight": 1,
        "oldest_in_flight_since": ago(12).isoformat(timespec="seconds"),
        "waiting": {},
        "done": 0,
        "failed": {"RateLimitError": 2},
        "retries": 0,
        "cached": 0,
        "cooling_down_until": None,
        "breaker_open_until": None,
        "requests_per_minute": 0,
        "concurrency": None,
    }
    assert second["command"] == "é"


def test_a_name_of_several_lines_stays_in_one(shown: Callable[..., str]) -> None:
    """Configurations may call a provider anything."""
    out = shown(process(**{"a\nb\x1b[2J": RunningProvider(done=1)}))
    assert out.count("\n") == 2
    assert "\x1b" not in out


def test_a_running_command_is_shown(
    start: Callable[..., Any], llm: Callable[..., Any], tmp_path: Path, provider: Simulator, config: str
) -> None:
    """From its start to its end, with what it does."""
    with provider.hold() as hold:
        command = start("generate", "--config", config, "-m", "first/m", "a secret question")
        hold.wait()
        (found,) = running_processes()
        assert (found.pid, found.command) == (command.pid, "llm-sync generate")
        out = llm("status").out
        assert f"{command.pid}  llm-sync generate" in out
        assert "secret" not in out
        written = "".join(path.read_text() for path in (tmp_path / "runtime").rglob("*.json"))
        assert "secret" not in written
    assert command.wait(timeout=20) == 0
    assert running_processes() == []


def test_an_interrupted_command_is_shown_no_more(start: Callable[..., Any], provider: Simulator, config: str) -> None:
    """Ctrl-C and SIGTERM are clean ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        with provider.hold() as hold:
            command = start("generate", "--config", config, "-m", "first/m", "hi")
            hold.wait()
            command.send_signal(number)
            hold.release()
            assert command.wait(timeout=20) == 128 + number
        assert running_processes() == []


def test_a_simulator_is_shown(start: Callable[..., Any]) -> None:
    """It has no provider, and no status of requests."""
    command = start("simulate")
    command.stdout.readline()
    (found,) = running_processes()
    assert (found.command, found.providers) == ("llm-sync simulate", {})
    command.send_signal(signal.SIGINT)
    assert command.wait(timeout=20) == 130
    assert running_processes() == []


def test_a_folder_that_is_not_private_is_a_wrong_configuration(llm: Callable[..., Any], tmp_path: Path) -> None:
    """Status 3, and what to do."""
    (tmp_path / "runtime").mkdir()
    (tmp_path / "runtime").chmod(0o777)
    ran = llm("status")
    assert (ran.status, ran.out) == (3, "")
    assert "accessible to others (mode 777)" in ran.err
    assert "LLM_SYNC_RUNTIME_DIR" in ran.err


def test_a_command_goes_on_without_its_file(ask: Callable[..., Any], tmp_path: Path) -> None:
    """Without the option there is no output about it."""
    (tmp_path / "runtime").touch()
    ran = ask("-m", "first/m", "hi")
    assert (ran.status, ran.out, ran.err) == (0, "an answer\n", "")


def test_machine_wide_is_asked_for_on_the_command_line(ask: Callable[..., Any], tmp_path: Path) -> None:
    """For every provider of the run; without it, none has a line."""
    assert ask("-m", "first/m", "hi").status == 0
    assert not (tmp_path / "runtime" / "providers").exists()
    assert ask("--machine-wide", "-m", "first/m", "hi").status == 0
    assert len(list((tmp_path / "runtime" / "providers").iterdir())) == 1


def test_machine_wide_without_a_folder_sends_nothing(ask: Callable[..., Any], tmp_path: Path, provider: Simulator) -> None:
    """What was asked for cannot be kept: status 3, before anything is paid for."""
    (tmp_path / "runtime").touch()
    ran = ask("--machine-wide", "-m", "first/m", "hi")
    assert (ran.status, ran.out) == (3, "")
    assert "cannot be used" in ran.err
    assert provider.requests == []


# Again and again


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Three looks without pauses in between; the third pause is cut short by Ctrl-C."""
    pauses: list[int] = []

    def pause(seconds: float) -> None:
        pauses.append(1)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(status, "_sleep", pause)
    return pauses


def test_watching_in_a_pipe_prints_one_look_after_the_other(
    monkeypatch: pytest.MonkeyPatch, llm: Callable[..., Any], looks: list[int]
) -> None:
    """Each has a date and a blank line after it; Ctrl-C is the usual end and prints nothing."""
    views = iter([[process(openai=RunningProvider(done=count))] for count in (1, 2, 3)])
    monkeypatch.setattr(status, "running_processes", lambda: next(views))
    ran = llm("status", "--watch")
    assert (ran.status, ran.err) == (130, "")
    each = ran.out.split("\n\n")
    assert [snapshot.splitlines()[-1].strip() for snapshot in each[:3]] == [f"openai  {count} answered" for count in (1, 2, 3)]
    assert all(snapshot[:4] == f"{NOW.astimezone():%Y}" for snapshot in each[:3])
    assert "\x1b" not in ran.out


def test_watching_as_json_prints_a_line_a_look(llm: Callable[..., Any], looks: list[int]) -> None:
    """Also if no process is running."""
    ran = llm("status", "--watch", "--json")
    assert (ran.status, ran.err) == (130, "")
    assert [json.loads(line)["processes"] for line in ran.out.splitlines()] == [[], [], []]


def test_watching_ends_quietly_with_its_reader(start: Callable[..., Any]) -> None:
    """As in ``llm-sync status --watch | head -1``."""
    command = start("status", "--watch")
    assert command.stdout.readline()
    command.stdout.close()
    assert command.wait(timeout=20) == 141
    assert command.stderr.read() == b""
    command.stdout = None


def test_a_full_disk_is_an_error(start: Callable[..., Any]) -> None:
    """Not silence."""
    with open("/dev/full", "wb") as full:
        command = start("status", stdout=full)
        assert command.wait(timeout=20) == 1
    assert b"No space left" in command.stderr.read()


def on_terminal(environ: dict[str, str], columns: int, lines: int, *arguments: str) -> str:
    """What a terminal of that size gets to see of a command that is then interrupted."""
    import fcntl
    import struct
    import sys
    import termios

    environ = {name: value for name, value in environ.items() if name not in ("COLUMNS", "LINES")}  # they count before the size
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    try:
        command = subprocess.Popen(
            [sys.executable, "-m", "llm_sync", *arguments], stdin=follower, stdout=follower, stderr=follower, env=environ
        )
        os.close(follower)
        seen = b""
        while seen.count(b"\x1b[H") < 2 and b"$$" not in seen:
            seen += os.read(leader, 65536)
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=20) == 130
    finally:
        os.close(leader)
    return seen.decode()


def test_watching_on_a_terminal_stays_in_place(environment: Callable[..., dict[str, str]]) -> None:
    """Each look begins at the top, over the one before; no line is longer than the terminal is wide."""
    seen = on_terminal(environment(TERM="xterm"), 40, 10, "status", "--watch")
    first, second = seen.split("\x1b[H\x1b[J")[1:3]
    assert first.splitlines()[0].startswith(f"{NOW.astimezone():%Y}")
    assert second != first
    assert max(map(len, first.splitlines())) <= 40, first


def test_a_terminal_that_is_too_low_shows_the_beginning(monkeypatch: pytest.MonkeyPatch, capsysbinary: Any) -> None:
    """It must not scroll, or each look would push up the one before."""

    class Terminal:
        terminal = True
        written = ""

        def write(self, text: str) -> None:
            self.written = text

    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "6")
    terminal: Any = Terminal()
    processes = [process(pid=number, openai=RunningProvider(done=1)) for number in range(20)]
    status._print(terminal, processes, [], NOW, watch=True, clears=True)
    lines = terminal.written.splitlines()
    assert len(lines) == 5
    assert lines[-1] == "…"


def test_a_provider_that_keeps_failing_is_shown(shown: Callable[..., str]) -> None:
    """While routes pass it over, the line says when they ask it again; afterwards it says nothing."""
    assert "keeps failing: routes ask it again in 40 s" in shown(
        process(p=RunningProvider(done=1, breaker_open_until=NOW + timedelta(seconds=40)))
    )
    assert "failing" not in shown(process(p=RunningProvider(done=1, breaker_open_until=ago(1))))
