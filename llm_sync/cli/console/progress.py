"""What a person at a terminal sees while requests are under way: a few lines on standard error, gone when they are done.

Drawn by rich, which is loaded, in a thread of its own, only when there is something to wait for. Messages and answers that
are written meanwhile appear above.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from llm_sync.cli.console import streams

if TYPE_CHECKING:
    from llm_sync.cli.console.in_flight import Underway
    from llm_sync.client.client import LLMClient

DELAY_S = 0.5  # what takes less is not worth a look
_EVERY_S = 0.2
_PATIENCE_S = 1.0
_ECHO = 4  # columns left free at the end: a terminal that has no room for the ^C it echoes begins a line, which nobody takes away

Row = tuple[str, str]
"""What it is about, and what there is to say of it."""


@contextmanager
def shown(client: LLMClient, rows: Callable[[Underway], Sequence[Row]] | None = None) -> Iterator[None]:
    """Show how a client's requests are doing until the block ends; nothing where nobody looks, or with --quiet.

    ``rows`` makes the lines of what is under way; without it, one for each request.
    """
    if not looked_at():
        yield
        return
    from llm_sync.cli.console.in_flight import Underway

    underway = Underway()
    client.add_listener(underway)
    display = _Display(lambda: (rows or by_request)(underway))
    streams.manner.beside = display.room
    try:
        yield
    finally:
        display.end()
        streams.manner.beside = streams.Alone


def by_request(underway: Underway) -> list[Row]:
    """A row for each request."""
    return [
        (f"{request.provider}/{request.model}" if request.model else request.provider, underway.words(request))
        for request in underway.requests()
    ]


def looked_at() -> bool:
    """Whether a person sees standard error, and wants to."""
    manner = streams.manner
    if manner.quiet or manner.as_json or sys.stderr is None or streams.dumb():
        return False
    return sys.stderr.isatty()


class _Display:
    """The lines at the bottom of the terminal."""

    def __init__(self, rows: Callable[[], Sequence[Row]]) -> None:
        self._rows = rows
        # Held while the terminal is written to; guards _console, _live and _inside. Nobody waits for it long: a Ctrl-C that
        # comes at the wrong moment may leave it held by the main thread, and disorder is better than a worker that hangs.
        self._lock = threading.RLock()
        self._console: Any = None
        self._live: Any = None
        self._inside = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="llm-sync-progress", daemon=True)
        self._thread.start()

    @contextmanager
    def room(self) -> Iterator[None]:
        """Take the lines away while something else is written there. Any thread may ask for it, also within itself."""
        held = self._lock.acquire(timeout=_PATIENCE_S)
        self._inside += 1
        try:
            self._clear()
            yield
        finally:
            self._inside -= 1
            self._draw()
            if held:
                self._lock.release()

    def end(self) -> None:
        """Take the lines away for good."""
        self._ended.set()
        with self.room():
            self._console = None
        self._thread.join(timeout=_PATIENCE_S)  # it may still be loading rich, which the end of the interpreter must not cut

    def _run(self) -> None:
        if self._ended.wait(DELAY_S):
            return
        try:
            from rich.console import Console
        except ImportError:  # somebody's environment; nothing else needs it
            return

        console = Console(file=sys.stderr, no_color=not streams.colourful(sys.stderr), highlight=False, markup=False, emoji=False)
        while not self._ended.wait(_EVERY_S if self._console else 0):
            if self._lock.acquire(timeout=_PATIENCE_S):
                try:
                    self._console = console
                    self._draw()
                finally:
                    self._lock.release()

    def _draw(self) -> None:
        if self._console is None or self._inside or self._ended.is_set():
            return
        from rich.live import Live

        console = self._console
        try:
            if self._live is None:
                self._live = Live(
                    console=console, transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
                )
                self._live.start()
                console.show_cursor(True)  # a second Ctrl-C ends the process at once, and nobody would bring it back
            self._live.update(_table(self._rows(), console.width, console.height), refresh=True)
        except (OSError, ValueError):  # the terminal went away: nobody looks any more
            self._ended.set()

    def _clear(self) -> None:
        live, self._live = self._live, None  # a new one is drawn later: this one would clear what is written meanwhile
        if live is not None:
            with suppress(OSError, ValueError):
                live.stop()


def _table(rows: Sequence[Row], width: int, height: int) -> Any:
    from rich.table import Table
    from rich.text import Text

    most = max(1, height - 3)
    more = len(rows) - most
    longest = max((Text(about).cell_len for about, _ in rows), default=0)
    about_width = min(longest, width // 2)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, overflow="ellipsis", width=about_width)
    table.add_column(no_wrap=True, overflow="ellipsis", width=max(1, width - about_width - 2 - _ECHO))
    for about, said in rows[:most] if more <= 0 else rows[: most - 1]:
        table.add_row(Text(_line(about), style="bold"), Text(_line(said)))
    if more > 0:
        table.add_row(Text(f"… and {more + 1} more"), Text(""))
    return table


def _line(text: str) -> str:
    return " ".join(streams.shown(text).split())
