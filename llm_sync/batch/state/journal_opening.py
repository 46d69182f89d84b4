"""Opens the journal of a run, and leaves none behind that holds nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from llm_sync.batch.state.journal import Journal


@contextlib.contextmanager
def opened_journal(part: str, *, restart: bool, refuse: Callable[[str], None] | None = None) -> Iterator[Journal]:
    """The open journal. If it has no lines at the end, it is removed, and the one it was to replace is put back.

    ``refuse`` is called with the path of a journal that is to be replaced, and may raise what is against that.
    """
    journal = Journal(part)
    former = None
    try:
        if restart and not journal.is_empty():
            if refuse is not None:
                refuse(part)
            former = f"{part}.old"
            os.replace(part, former)
            journal.close()
            journal = Journal(part)
        yield journal
    finally:
        with contextlib.suppress(OSError):
            if journal.is_empty() and journal.is_at_its_path() and not journal.lost:
                if former is None:
                    journal.remove()
                else:
                    os.replace(former, part)  # nothing was sent: a run without --restart can still resume it
        journal.close()
