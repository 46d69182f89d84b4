"""What ``llm-sync simulate`` does: serve until told to stop, or run one command against a simulator of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from llm_sync.simulator.server.server import Simulator

KEY_VARIABLE = "LLM_SYNC_SIMULATOR_KEY"
URL_VARIABLE = "LLM_SYNC_SIMULATOR_URL"
CA_VARIABLE = "LLM_SYNC_SIMULATOR_CA"
_MODELS = {
    "openai": ("gpt-4o-mini", "gpt-4o", "gpt-5-mini", "gpt-4", "gpt-3.5-turbo"),  # the last two: what old scripts name
    "anthropic": ("claude-haiku-4-5", "claude-sonnet-4-5"),
    "gemini": ("gemini-2.5-flash", "gemini-2.0-flash"),
    "openrouter": ("openai/gpt-4o-mini", "meta-llama/llama-3.3-70b-instruct"),
}
_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP")


def serve(ready: Callable[[Simulator], None], *, until: threading.Event | None = None, **options: Any) -> None:
    """Serves until ``until`` is set or KeyboardInterrupt comes; ``ready`` is told once it listens. Options as Simulator's.

    OSError when the port is taken. KeyboardInterrupt passes on to the caller once the server has stopped. In the main thread
    a hang-up (SIGHUP) ends the server in order, too, and then the process, as it would have at once.
    """
    until = until or threading.Event()
    with _hang_up(until), Simulator(**options) as simulator:
        ready(simulator)
        while not until.wait(0.5):  # a wait without an end could not be interrupted on Windows
            pass


def run_command(
    argv: Sequence[str],
    *,
    keys: Sequence[str] | None = None,
    report: Callable[[str], None] | None = None,
    environ: Mapping[str, str] | None = None,
    **options: Any,
) -> int:
    """Runs ``argv`` with a configuration that points at a simulator, and returns its exit status, 128+n for signal n.

    127: there is no such command; 126: it cannot be run; ``report`` (standard error, when None) is told why. The command
    inherits what this process was given: the standard streams, and what a shell opened beside them (``<(…)``). SIGTERM and
    SIGHUP are passed on to it, SIGINT too unless the terminal sent it there itself. ``keys`` and the other options as
    Simulator's. ValueError for an empty ``argv``, OSError when the port is taken.
    """
    if not argv:
        raise ValueError("there is no command to run")
    report = report or _to_stderr
    key = keys[0] if keys else f"sk-simulated-{secrets.token_hex(12)}"
    simulator = Simulator(keys=keys, **options)
    with contextlib.ExitStack() as ending:
        ending.callback(simulator.stop)
        with _signals_blocked():
            simulator.start()
        folder = Path(tempfile.mkdtemp(prefix="llm-sync-simulator-"))  # mkdtemp makes it 0700
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        outer = os.environ if environ is None else environ
        return _run(argv, environment(simulator, folder, key, outer), report)


def environment(simulator: Simulator, folder: Path, key: str, outer: Mapping[str, str]) -> dict[str, str]:
    """``outer``, changed so that llm-sync finds the simulator: by a configuration that is written into ``folder``.

    A configuration that is named instead of it is answered by the simulator too: a client that finds URL_VARIABLE asks there
    what it would ask elsewhere, with the key and the authority of the other two.
    """
    _write_private(folder / "default-llms.yaml", configuration(simulator))
    inner = {name: value for name, value in outer.items() if name not in ("LLM_SYNC_CONFIG", CA_VARIABLE)}
    inner |= {"LLM_SYNC_CONFIG_DIR": str(folder), KEY_VARIABLE: key, URL_VARIABLE: simulator.root}
    if simulator.ca_path is not None:
        inner[CA_VARIABLE] = simulator.ca_path
    for name in ("NO_PROXY", "no_proxy"):  # a proxy would look for the simulator on its own loopback
        inner[name] = ",".join(filter(None, (outer.get(name) or outer.get(name.swapcase()), "127.0.0.1,localhost")))
    return inner


def configuration(simulator: Simulator) -> str:
    """The text of a ``default-llms.yaml`` for a started simulator; its key stands in the variable KEY_VARIABLE."""
    trust = [] if simulator.ca_path is None else [f"    ca_bundle: {json.dumps(simulator.ca_path)}"]
    lines = ["# Made by llm-sync simulate for one run.", "defaults:", "  model: openai/gpt-4o-mini", "providers:"]
    for name, models in _MODELS.items():
        lines += [
            f"  {name}:",
            f"    type: {name}",
            f"    api_key: ${{{KEY_VARIABLE}}}",
            f"    base_url: {json.dumps(simulator.url(name))}",
            f"    models: {json.dumps(list(models))}",
            *trust,
        ]
    return "\n".join(lines) + "\n"


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _run(argv: Sequence[str], environ: Mapping[str, str], report: Callable[[str], None]) -> int:
    name = argv[0]
    with _signals() as child:
        try:
            child.start(argv, environ)
        except FileNotFoundError:
            report(f"{name!r} cannot be run: there is no such command, or the interpreter it names does not exist")
            return 127
        except PermissionError:
            report(f"{name!r} cannot be run: permission denied (is it executable, and a file?)")
            return 126
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            report(f"{name!r} cannot be run: {reason}")
            return 126
        status = child.wait()
    return 128 - status if status < 0 else status


class _Child:
    """The command's process, and the signals that came before it was there."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def start(self, argv: Sequence[str], environ: Mapping[str, str]) -> None:
        program = shutil.which(argv[0], path=environ.get("PATH")) if os.name == "nt" else None
        # Running what the caller names is the purpose; no shell reads it. close_fds=False: nothing that Python opened is
        # inherited, so what is, was handed to this process for the command.
        self._process = subprocess.Popen([program or argv[0], *argv[1:]], env=dict(environ), close_fds=False)  # noqa: S603
        for number in self._early:
            self._process.send_signal(number)

    def wait(self) -> int:
        if self._process is None:
            raise RuntimeError("the command was not started")
        return self._process.wait()

    def pass_on(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and _from_terminal():
            return  # Ctrl-C went to the whole foreground group, the command included; twice would mean "now"
        if self._process is None:
            self._early.append(number)
        else:
            with contextlib.suppress(OSError):
                self._process.send_signal(number)


@contextlib.contextmanager
def _signals() -> Iterator[_Child]:
    """Hands signals to the child while it runs. Only the main thread can; in others the process's handlers stay."""
    child = _Child()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in _FORWARDED:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # ignored (nohup): stays so
                before[number] = signal.signal(number, child.pass_on)
    try:
        yield child
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


@contextlib.contextmanager
def _hang_up(until: threading.Event) -> Iterator[None]:
    """Sets ``until`` when the terminal is closed; what that does otherwise, it does when the context is left."""
    number = getattr(signal, "SIGHUP", None)
    main = threading.current_thread() is threading.main_thread()
    if not main or number is None or signal.getsignal(number) is not signal.SIG_DFL:  # ignored (nohup): stays so
        yield
        return
    came = threading.Event()

    def noted(_number: int, _frame: FrameType | None) -> None:
        came.set()
        until.set()

    signal.signal(number, noted)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)
        if came.is_set():
            signal.raise_signal(number)


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Threads started here never take a signal: one that did would leave the main thread asleep in its wait for the command."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {getattr(signal, name) for name in _FORWARDED})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _from_terminal() -> bool:
    """Whether this process is in its terminal's foreground group, where Ctrl-C reaches the command by itself."""
    if os.name != "posix":
        return True  # the console tells every process attached to it
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _to_stderr(message: str) -> None:
    sys.stderr.write(f"llm-sync: {message}\n")
