"""How messages and answers are written: one set of settings per process, taken from the command line."""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs as much as a bare start of Python
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Any


class NoProgress:
    """The context manager used while no progress display is on the terminal: nothing has to be paused."""

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        return


class OutputSettings:
    """``--quiet``, ``--log-json``, ``--color``, and the progress display that has to be paused for each write.

    ``pause_progress``: entered around every write to the terminal; removes the progress lines meanwhile.
    """

    quiet: bool
    as_json: bool
    color: str
    pause_progress: Callable[[], AbstractContextManager[Any]]

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Return to the defaults, which hold until the command line is parsed."""
        self.quiet = False
        self.as_json = False
        self.color = "auto"
        self.pause_progress = NoProgress


settings = OutputSettings()
"""The settings of this process."""
