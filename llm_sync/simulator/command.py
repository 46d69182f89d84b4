"""Implementation of ``llm-sync simulate``: serve until stopped, or run one command against a simulator of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from llm_sync.runtime.child_command import block_signals, run_child, with_direct_loopback
from llm_sync.simulator.server.server import Simulator

KEY_VARIABLE = "LLM_SYNC_SIMULATOR_KEY"
URL_VARIABLE = "LLM_SYNC_SIMULATOR_URL"
CA_VARIABLE = "LLM_SYNC_SIMULATOR_CA"
_MODELS = {
    "openai": ("gpt-4o-mini", "gpt-4o", "gpt-5-mini", "gpt-4", "gpt-3.5-turbo"),  # the last two: used by old scripts
    "anthropic": ("claude-haiku-4-5", "claude-sonnet-4-5"),
    "gemini": ("gemini-2.5-flash", "gemini-2.0-flash"),
    "openrouter": ("openai/gpt-4o-mini", "meta-llama/llama-3.3-70b-instruct"),
    "bedrock": ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "amazon.nova-lite-v1:0"),
}


def serve(ready: Callable[[Simulator], None], *, until: threading.Event | None = None, **options: Any) -> None:
    """Serves until ``until`` is set or KeyboardInterrupt is raised; calls ``ready`` once it listens. Options: as Simulator's.

    Raises OSError when the port is taken. KeyboardInterrupt is raised again once the server has stopped. In the main thread,
    SIGHUP (the terminal was closed) also stops the server first and then ends the process, as it does by default.
    """
    until = until or threading.Event()
    with _stop_on_hang_up(until), Simulator(**options) as simulator:
        ready(simulator)
        while not until.wait(0.5):  # on Windows, a wait without a timeout cannot be interrupted
            pass


def run_command(
    argv: Sequence[str],
    *,
    keys: Sequence[str] | None = None,
    report: Callable[[str], None] | None = None,
    environ: Mapping[str, str] | None = None,
    **options: Any,
) -> int:
    """Runs ``argv`` with a configuration that points at a simulator. Returns its exit status, 128+n when signal n ended it.

    Returns 127 if there is no such command and 126 if it cannot be run; ``report`` gets the reason (None: standard error). The
    command inherits the standard streams and the descriptors that a shell opened for this process (``<(…)``). SIGTERM and
    SIGHUP are forwarded to it, and SIGINT unless the terminal has sent it to the command already. ``keys`` and the other
    options: as Simulator's. Raises ValueError for an empty ``argv``, OSError when the port is taken.
    """
    if not argv:
        raise ValueError("there is no command to run")
    key = keys[0] if keys else f"sk-simulated-{secrets.token_hex(12)}"
    simulator = Simulator(keys=keys, **options)
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(simulator.stop)
        with block_signals():
            simulator.start()
        folder = Path(tempfile.mkdtemp(prefix="llm-sync-simulator-"))  # mkdtemp makes it 0700
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        outer_environ = os.environ if environ is None else environ
        return run_child(argv, environment(simulator, folder, key, outer_environ), report)


def environment(simulator: Simulator, folder: Path, key: str, outer: Mapping[str, str]) -> dict[str, str]:
    """A copy of the environment ``outer`` in which llm-sync uses the simulator: its configuration is written into ``folder``.

    If the command names another configuration, the simulator still answers: a client that finds URL_VARIABLE sends all its
    requests there, with the key in KEY_VARIABLE, and trusts the CA file in CA_VARIABLE.
    """
    _write_private(folder / "default-llms.yaml", configuration(simulator))
    changed = with_direct_loopback(outer)
    for name in ("LLM_SYNC_CONFIG", CA_VARIABLE):
        changed.pop(name, None)
    changed |= {"LLM_SYNC_CONFIG_DIR": str(folder), KEY_VARIABLE: key, URL_VARIABLE: simulator.root}
    if simulator.ca_path is not None:
        changed[CA_VARIABLE] = simulator.ca_path
    return changed


def configuration(simulator: Simulator) -> str:
    """The text of a ``default-llms.yaml`` for a started simulator; the key is read from the variable KEY_VARIABLE."""
    trust_lines = [] if simulator.ca_path is None else [f"    ca_bundle: {json.dumps(simulator.ca_path)}"]
    lines = ["# Made by llm-sync simulate for one run.", "defaults:", "  model: openai/gpt-4o-mini", "providers:"]
    for name, models in _MODELS.items():
        lines += [
            f"  {name}:",
            f"    type: {name}",
            f"    api_key: ${{{KEY_VARIABLE}}}",
            f"    base_url: {json.dumps(simulator.url(name))}",
            f"    models: {json.dumps(list(models))}",
            *trust_lines,
        ]
    return "\n".join(lines) + "\n"


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


@contextlib.contextmanager
def _stop_on_hang_up(until: threading.Event) -> Iterator[None]:
    """Sets ``until`` on SIGHUP; on leaving the context, raises SIGHUP again with its default action."""
    number = getattr(signal, "SIGHUP", None)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or number is None or signal.getsignal(number) is not signal.SIG_DFL:  # keep it ignored (nohup)
        yield
        return
    hung_up = threading.Event()

    def on_hang_up(_number: int, _frame: FrameType | None) -> None:
        hung_up.set()
        until.set()

    signal.signal(number, on_hang_up)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)
        if hung_up.is_set():
            signal.raise_signal(number)
