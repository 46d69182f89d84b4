"""The progress display: a few lines at the bottom of a terminal while requests are in flight, removed when they are done.

rich draws it. rich is imported in a thread of its own, and only after a while. Messages and answers written meanwhile appear
above the lines.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from llm_sync.cli.console import terminal
from llm_sync.cli.console.output_settings import NoProgress, settings

if TYPE_CHECKING:
    from llm_sync.cli.console.in_flight import InFlightRequests
    from llm_sync.client.client import LLMClient

DELAY_S = 0.5  # what takes less time needs no display
_REFRESH_S = 0.2
_LOCK_TIMEOUT_S = 1.0
_ECHO_COLUMNS = 4  # left free at the end of each line: the terminal echoes ^C there, and would wrap a full line

Row = tuple[str, str]
"""The subject of a line, such as a model, and its state."""


@contextmanager
def show_progress(client: LLMClient, rows: Callable[[InFlightRequests], Sequence[Row]] | None = None) -> Iterator[None]:
    """Show the state of a client's requests until the block ends; do nothing without a terminal, or with --quiet.

    ``rows`` makes the lines; without it there is one line for each request.
    """
    if not is_enabled():
        yield
        return
    from llm_sync.cli.console.in_flight import InFlightRequests

    requests = InFlightRequests()
    client.add_listener(requests)
    display = _Display(lambda: (rows or rows_by_request)(requests))
    settings.pause_progress = display.paused
    try:
        yield
    finally:
        display.stop()
        settings.pause_progress = NoProgress


def rows_by_request(requests: InFlightRequests) -> list[Row]:
    """A row for each request."""
    return [
        (f"{request.provider}/{request.model}" if request.model else request.provider, requests.describe(request))
        for request in requests.requests()
    ]


def is_enabled() -> bool:
    """Whether standard error is a terminal that can show progress, and no option is against it."""
    if settings.quiet or settings.as_json or sys.stderr is None or terminal.is_dumb():
        return False
    return sys.stderr.isatty()


class _Display:
    """The lines at the bottom of the terminal, and the thread that refreshes them."""

    def __init__(self, rows: Callable[[], Sequence[Row]]) -> None:
        self._rows = rows
        # Held while the terminal is written to; guards _console, _live and _pauses. Acquired with a timeout: a Ctrl-C at the
        # wrong moment may leave it held by the main thread, and a disordered display is better than a worker that hangs.
        self._lock = threading.RLock()
        self._console: Any = None
        self._live: Any = None
        self._pauses = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="llm-sync-progress", daemon=True)
        self._thread.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Remove the lines while something else is written. Any thread may enter it, also more than once."""
        acquired = self._lock.acquire(timeout=_LOCK_TIMEOUT_S)
        self._pauses += 1
        try:
            self._clear()
            yield
        finally:
            self._pauses -= 1
            self._draw()
            if acquired:
                self._lock.release()

    def stop(self) -> None:
        """Remove the lines for good."""
        self._stopped.set()
        with self.paused():
            self._console = None
        self._thread.join(timeout=_LOCK_TIMEOUT_S)  # it may be importing rich, which the interpreter's exit must not cut off

    def _run(self) -> None:
        if self._stopped.wait(DELAY_S):
            return
        try:
            from rich.console import Console
        except ImportError:  # removed from this environment; only the display needs it
            return

        console = Console(
            file=sys.stderr, no_color=not terminal.uses_color(sys.stderr), highlight=False, markup=False, emoji=False
        )
        while not self._stopped.wait(_REFRESH_S if self._console else 0):
            if self._lock.acquire(timeout=_LOCK_TIMEOUT_S):
                try:
                    self._console = console
                    self._draw()
                finally:
                    self._lock.release()

    def _draw(self) -> None:
        if self._console is None or self._pauses or self._stopped.is_set():
            return
        from rich.live import Live

        console = self._console
        try:
            if self._live is None:
                self._live = Live(
                    console=console, transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
                )
                self._live.start()
                console.show_cursor(True)  # a second Ctrl-C ends the process at once, without showing it again
            self._live.update(_table(self._rows(), console.width, console.height), refresh=True)
        except (OSError, ValueError):  # the terminal was closed
            self._stopped.set()

    def _clear(self) -> None:
        live, self._live = self._live, None  # a new one is made later: this one would erase what is written meanwhile
        if live is not None:
            with suppress(OSError, ValueError):
                live.stop()


def _table(rows: Sequence[Row], width: int, height: int) -> Any:
    from rich.table import Table
    from rich.text import Text

    max_rows = max(1, height - 3)
    more = len(rows) - max_rows
    longest = max((Text(subject).cell_len for subject, _ in rows), default=0)
    subject_width = min(longest, width // 2 if width < 60 else width // 4)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, overflow="ellipsis", width=subject_width)
    table.add_column(no_wrap=True, overflow="ellipsis", width=max(1, width - subject_width - 2 - _ECHO_COLUMNS))
    for subject, state in rows[:max_rows] if more <= 0 else rows[: max_rows - 1]:
        table.add_row(Text(_one_line(subject), style="bold"), Text(_one_line(state)))
    if more > 0:
        table.add_row(Text(f"… and {more + 1} more"), Text(""))
    return table


def _one_line(text: str) -> str:
    return " ".join(terminal.escape_controls(text).split())
