"""What several requests have done for them together, at the end of the part of a turn in which they asked for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from llm_sync.dispatch.helpers import Done
from llm_sync.runtime.steps import Together

Work = Callable[[list[Any]], Sequence[Any]]


class CommonWork:
    """The needs of one worker's requests that are met together. Belongs to the worker's thread.

    ``may_go_on``: false in a child that a callback has forked. The parent goes on with the requests there.
    """

    def __init__(self, may_go_on: Callable[[], bool]) -> None:
        self._may_go_on = may_go_on
        self._needs: dict[Work, list[tuple[Together, Done]]] = {}

    def add(self, need: Together, done: Done) -> None:
        """Have ``do`` call ``done`` with the result of ``need``, or with its error."""
        self._needs.setdefault(need.work, []).append((need, done))

    def do(self) -> None:
        """Do what was added, and what is added meanwhile."""
        while self._needs and self._may_go_on():
            work, members = self._needs.popitem()
            results: Sequence[Any] | None = None
            with contextlib.suppress(BaseException):  # each of them gets an error of its own
                results = work([need.item for need, _ in members])
            for number, (need, done) in enumerate(members):
                if not self._may_go_on():
                    return
                if results is None:
                    _do_alone(need, done)
                else:
                    done(results[number], None)


def _do_alone(need: Together, done: Done) -> None:
    try:
        result = need.run()
    except BaseException as error:  # noqa: BLE001  (the steps decide)
        done(None, error)
    else:
        done(result, None)
