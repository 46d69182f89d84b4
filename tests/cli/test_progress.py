"""What a terminal shows while requests are under way; drawn on a terminal of the test's own, and read from it."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llm_sync.cli.console import progress
from llm_sync.simulator import Simulator

Environment = Callable[..., "dict[str, str]"]


class Terminal:
    """A command on a terminal of ``columns`` by 24; ``text`` is all that came from it so far."""

    def __init__(self, arguments: tuple[str, ...], env: dict[str, str], columns: int) -> None:
        self.child, self._fd = pty.fork()
        if self.child == 0:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.execve(sys.executable, [sys.executable, "-m", "llm_sync", *arguments], env)  # noqa: S606
        self.text = ""

    def read_until(self, pattern: str) -> str:
        """Read until ``pattern`` is drawn, or the other side closes; all that was read."""
        while not re.search(pattern, drawn(self.text)) and self._more():
            continue
        return self.text

    def _more(self) -> bool:
        with contextlib.suppress(OSError):  # how Linux says that the other side closed
            if select.select([self._fd], [], [], 30)[0] and (part := os.read(self._fd, 4096)):
                self.text += part.decode("utf-8", "replace")
                return True
        return False

    def end(self) -> int:
        """Read the rest; the exit status."""
        while self._more():
            continue
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])


@pytest.fixture
def on_terminal(environment: Environment, config: str) -> Iterator[Callable[..., Terminal]]:
    """Starts ``llm-sync …`` with the configuration on a terminal."""
    started: list[Terminal] = []

    def start(*arguments: str, columns: int = 80, **more: str) -> Terminal:
        env = environment(TERM="xterm-256color", **more)
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            env.pop(name, None)
        started.append(Terminal((arguments[0], "--config", config, *arguments[1:]), env, columns))
        return started[-1]

    yield start
    for each in started:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(each.child, signal.SIGKILL)
            os.waitpid(each.child, 0)


def drawn(text: str) -> str:
    """What is drawn, without colours and movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_long_wait_is_shown_and_leaves_nothing(on_terminal: Callable[..., Terminal], provider: Simulator) -> None:
    """A line for each model, cleared before the answer; the cursor is never hidden for long."""
    with provider.hold():
        terminal = on_terminal("generate", "-m", "first/m", "-m", "first/n", "hi")
        shown = drawn(terminal.read_until(r"first/n\s.*queued"))
        assert re.search(r"first/m\s+in flight, \d+ s", shown)
    assert terminal.end() == 0
    rest = terminal.text
    assert rest.rindex("an answer") > rest.rindex("in flight,")
    assert rest.rindex("\x1b[?25h") > rest.rindex("\x1b[?25l")


def test_what_is_written_meanwhile_is_harmless(on_terminal: Callable[..., Terminal], script: Any) -> None:
    """A provider's words are shown, not obeyed, above the lines as in them."""
    script.fail(503, "overloaded\x1b[2J\nnow")
    terminal = on_terminal("generate", "-m", "first/m", "hi")
    assert terminal.end() == 0
    assert "\x1b[2J" not in terminal.text
    assert "overloaded␛[2J" in drawn(terminal.text)


def test_no_line_is_wider_than_the_terminal(on_terminal: Callable[..., Terminal], provider: Simulator) -> None:
    """At 40 columns names are cut, not wrapped: the lines could not be cleared again."""
    with provider.hold():
        terminal = on_terminal("generate", "-m", "first/" + "x" * 60, "hi", columns=40)
        terminal.read_until("in flight, ")
        terminal.read_until(r"in flight, [1-9]")
    assert terminal.end() == 0
    lines = re.split(r"[\r\n]+", drawn(terminal.text))
    assert max(len(line) for line in lines if "in flight" in line) <= 40
    assert any("…" in line for line in lines)


def test_a_second_interrupt_ends_on_a_line_of_its_own(on_terminal: Callable[..., Terminal], provider: Simulator) -> None:
    """The prompt of the shell comes on a new line, with a cursor."""
    with provider.hold():
        terminal = on_terminal("generate", "-m", "first/m", "hi")
        terminal.read_until("in flight, ")
        os.kill(terminal.child, signal.SIGINT)
        terminal.read_until("again to stop at once")
        os.kill(terminal.child, signal.SIGINT)
        assert terminal.end() == 130
    assert terminal.text.endswith("\r\n")
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")


@pytest.mark.parametrize(("more", "term"), [(["--quiet"], "xterm"), (["--log-json"], "xterm"), ([], "dumb")])
def test_no_progress_is_drawn_where_it_is_not_wanted(
    environment: Environment, config: str, provider: Simulator, more: list[str], term: str
) -> None:
    """--quiet, logs for a program, and terminals that cannot move their cursor."""
    with provider.hold() as hold:
        terminal = Terminal(("generate", "--config", config, "-m", "first/m", *more, "hi"), environment(TERM=term), 80)
        hold.wait()
    assert terminal.end() == 0
    assert terminal.text == "an answer\r\n"


def test_pipes_see_nothing_and_load_nothing(
    start: Callable[..., Any], environment: Environment, config: str, provider: Simulator
) -> None:
    """rich is not even imported."""
    code = (
        "import sys; from llm_sync.cli.main import main; status = main(sys.argv[1:]); sys.exit(status or 'rich' in sys.modules)"
    )
    import subprocess

    command = [sys.executable, "-c", code, "generate", "--config", config, "-m", "first/m", "hi"]
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"an answer\n", b"")


def test_a_lock_left_held_blocks_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ctrl-C at the wrong moment may leave the display's lock with the main thread: others write all the same."""
    import threading

    monkeypatch.setattr(progress, "_LOCK_TIMEOUT_S", 0.01)
    display = progress._Display(list)
    display._lock.acquire()
    wrote: list[str] = []

    def write() -> None:
        with display.paused():
            wrote.append("x")

    thread = threading.Thread(target=write)
    thread.start()
    thread.join(timeout=20)
    display._lock.release()
    display.stop()
    assert wrote == ["x"]


def test_a_line_leaves_room_for_the_echo_of_two_ctrl_c() -> None:
    """A terminal that has none begins a new line for it, and then one too few are taken away."""
    from rich.console import Console

    drawn = io.StringIO()
    Console(file=drawn, width=40).print(progress._table([("provider", "x" * 99), ("y" * 99, "z")], 40, 24), end="")
    assert [len(line.rstrip()) for line in drawn.getvalue().splitlines()] == [36, 23]
