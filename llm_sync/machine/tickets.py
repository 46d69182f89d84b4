"""The line of those who wait for a slot, in whichever process: who asked first is served first.

A folder is one line. Who asks draws a ticket, a locked file ``ticket-N`` with the next number; drawing is what the lock
on ``door`` makes exclusive. Who has no living ticket before its own takes a slot, the lock on one of ``slot-0`` …, and
gives the ticket back. The lock alone would not do: the system lets a newcomer overtake those whom it is just waking, and
nobody can block on several locks. With tickets, only the first in line reaches for a slot.

``door`` and the slots are never deleted. A ticket is, by its owner, or after its owner's death by anyone behind: its number
is not drawn again while there is a higher one.
"""

from __future__ import annotations

import os
import threading

from llm_sync.machine import locks, semaphore_holders
from llm_sync.machine.locks import FileLock
from llm_sync.machine.semaphore_holders import SLOT, TICKET, Holder

_LONGEST = 15  # digits; what is longer was not drawn here


class Place:
    """One place in the line in ``folder``, later one of its ``slots`` slots.

    ``advance`` is called by one thread at a time, ``leave`` by any.
    """

    def __init__(self, folder: str, slots: int, provider: str = "") -> None:
        """``provider``: whom the files say it is for."""
        self._folder = folder
        self._provider = provider
        self._door = os.path.join(folder, "door")
        self._slots = [os.path.join(folder, f"{SLOT}{number}") for number in range(slots)]
        self._lock = threading.Lock()  # guards _left, _ticket and _slot: what is taken after leaving is given back at once
        self._number = 0
        self._ticket: FileLock | None = None
        self._slot: FileLock | None = None
        self._left = False

    @property
    def held(self) -> bool:
        """Whether it is a slot."""
        return self._slot is not None

    def advance(self, *, wait: bool) -> str | None:
        """Go on as far as one can without waiting: None with a slot held, or the place left.

        Else the path of the file whose lock stands in the way, "" when any of several does. ``wait``: whether to wait for
        the door, which is open to others for an instant only. Raises OSError.
        """
        if not self._settled() and self._ticket is None and not self._draw(wait):
            return self._door
        if self._settled():
            return None
        before = self._ticket_before()
        if before is not None:
            return before
        for path in self._slots:
            slot = locks.take(path, wait=False)
            if slot is not None:
                slot.mark(semaphore_holders.mark(self._provider))
                self._keep(slot)
                return None
        return self._slots[0] if len(self._slots) == 1 else ""

    def before(self) -> list[Holder]:
        """Whom this one waits for: those who hold a slot, and whoever is first in line before it. Raises OSError."""
        tickets = (semaphore_holders.read(self._path(number)) for number in sorted(self._drawn()) if number < self._number)
        first = next((holder for holder in tickets if holder is not None), None)  # those between are many, and wait as well
        return [*semaphore_holders.in_line(self._folder, SLOT), *([] if first is None else [first])]

    def leave(self) -> None:
        """Give the slot back, or the place in the line up; may be repeated."""
        with self._lock:
            self._left = True
            ticket, self._ticket = self._ticket, None
            slot, self._slot = self._slot, None
        if ticket is not None:
            ticket.release(remove=True)
        if slot is not None:
            slot.release()

    def _settled(self) -> bool:
        return self._left or self._slot is not None

    def _draw(self, wait: bool) -> bool:
        """Draw a ticket, unless somebody else is just doing so."""
        door = locks.take(self._door, wait=wait)
        if door is None:
            return False
        try:
            self._number = max(self._drawn(), default=0) + 1
            ticket = locks.create(self._path(self._number))
            ticket.mark(semaphore_holders.mark(self._provider))
        finally:
            door.release()
        with self._lock:
            kept = not self._left
            if kept:
                self._ticket = ticket
        if not kept:
            ticket.release(remove=True)
        return True

    def _ticket_before(self) -> str | None:
        """The last living ticket before this one's own; the dead ones behind it are removed."""
        for number in sorted((number for number in self._drawn() if number < self._number), reverse=True):
            if locks.lives(path := self._path(number)):
                return path
        return None

    def _keep(self, slot: FileLock) -> None:
        ticket: FileLock | None = None
        with self._lock:
            kept = not self._left
            if kept:
                self._slot = slot
                ticket, self._ticket = self._ticket, None
        if ticket is not None:
            ticket.release(remove=True)
        if not kept:
            slot.release()

    def _drawn(self) -> list[int]:
        names = [name.removeprefix(TICKET) for name in os.listdir(self._folder) if name.startswith(TICKET)]
        return [int(name) for name in names if name.isascii() and name.isdigit() and len(name) <= _LONGEST]

    def _path(self, number: int) -> str:
        return os.path.join(self._folder, f"{TICKET}{number}")
