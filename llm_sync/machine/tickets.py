"""Tickets: the queue of those who wait for a slot, over all processes, first come, first served.

Each semaphore has a folder. A process that wants a slot takes a ticket: a locked file ``ticket-N`` with the next number; the lock
on the file ``door`` makes drawing exclusive. The holder of the lowest living ticket takes a slot (a lock on ``slot-0``,
``slot-1`` …) and then removes its ticket. Locks alone would not be fair: the system may give a free lock to a newcomer
instead of the process that waits longest, and no process can wait for several locks. With tickets only the first in the
queue tries to lock a slot.

``door`` and the slots are never deleted. A ticket is removed by its owner or, if the owner died, by anyone behind it; its
number is not drawn again while there is a higher one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from llm_sync.machine import locks, semaphore_holders
from llm_sync.machine.locks import FileLock
from llm_sync.machine.semaphore_holders import SLOT, TICKET, Holder

MAX_TICKET_DIGITS = 15  # a longer number was not drawn by this program


class Ticket:
    """One ticket in ``folder``, then one of its ``slots`` slots.

    ``advance`` is called by one thread at a time, ``release`` by any.
    """

    def __init__(
        self, folder: str, slots: int | Callable[[], int], provider: str = "", on_full: Callable[[], None] | None = None
    ) -> None:
        """``slots``: or what tells their number now. ``provider``: the name that is written into the files. ``on_full``: called
        when all slots are held, or all but one."""
        self._folder = folder
        self._provider = provider
        self._door = os.path.join(folder, "door")
        self._slots = slots
        self._on_full = on_full
        self._lock = threading.Lock()  # guards _released, _ticket and _slot: what is acquired after release is given back
        self._number = 0
        self.position = 0  # 1 for the first in the queue; 0 before its ticket is drawn
        self._ticket: FileLock | None = None
        self._slot: FileLock | None = None
        self._released = False

    @property
    def held(self) -> bool:
        """Whether it holds a slot."""
        return self._slot is not None

    def advance(self) -> bool:
        """Go on as far as possible without waiting for others; True once it holds a slot or was released.

        Otherwise ``position`` is its place in the queue. Raises OSError.
        """
        if self._ticket is not None and not self._ticket.is_at_its_path():  # somebody removed the file or the folder
            self._drop_ticket()
        if not self._is_done() and self._ticket is None and not self._draw():
            return False
        if self._is_done():
            return True
        if self._has_ticket_ahead():
            return False
        slots = self._slots if isinstance(self._slots, int) else self._slots()
        taken = self._take_slot(slots)
        if self._on_full is not None and (taken is None or taken + 2 >= slots):
            self._on_full()
        return taken is not None

    def holders_ahead(self) -> list[Holder]:
        """Whom it waits for: the holders of the slots, and the first in the queue before it. Raises OSError."""
        numbers = sorted(number for number in self._ticket_numbers() if number < self._number)
        waiting = (semaphore_holders.read_holder(self._ticket_path(number)) for number in numbers)
        first = next((holder for holder in waiting if holder is not None), None)  # not all: there may be many
        return [*semaphore_holders.holders_in(self._folder, SLOT), *([] if first is None else [first])]

    def release(self) -> None:
        """Give the slot back, or leave the queue; may be repeated."""
        with self._lock:
            self._released = True
            ticket, self._ticket = self._ticket, None
            slot, self._slot = self._slot, None
        if ticket is not None:
            ticket.release(remove=True)
        if slot is not None:
            slot.release()

    def _is_done(self) -> bool:
        return self._released or self._slot is not None

    def _draw(self) -> bool:
        """Draw a ticket; False if another process is drawing one at this instant."""
        door = locks.acquire(self._door)
        if door is None:
            return False
        try:
            self._number = max(self._ticket_numbers(), default=0) + 1
            ticket = locks.create(self._ticket_path(self._number))
            ticket.write_owner(semaphore_holders.owner_record(self._provider))
        finally:
            door.release()
        with self._lock:
            kept = not self._released
            if kept:
                self._ticket = ticket
        if not kept:
            ticket.release(remove=True)
        return True

    def _drop_ticket(self) -> None:
        with self._lock:
            ticket, self._ticket = self._ticket, None
        if ticket is not None:
            ticket.release()

    def _take_slot(self, slots: int) -> int | None:
        """Take the first free one of so many slots; its number, or None."""
        for number in range(slots):
            slot = locks.acquire(os.path.join(self._folder, f"{SLOT}{number}"))
            if slot is not None:
                slot.write_owner(semaphore_holders.owner_record(self._provider))
                self._keep_slot(slot)
                return number
        return None

    def _has_ticket_ahead(self) -> bool:
        """Whether there is a living ticket before this one; dead ones in between are removed. Sets ``position``."""
        ahead = sorted(number for number in self._ticket_numbers() if number < self._number)
        while ahead and not locks.owner_is_alive(self._ticket_path(ahead[-1])):
            ahead.pop()
        self.position = len(ahead) + 1
        return bool(ahead)

    def _keep_slot(self, slot: FileLock) -> None:
        ticket: FileLock | None = None
        with self._lock:
            kept = not self._released
            if kept:
                self._slot = slot
                ticket, self._ticket = self._ticket, None
        if ticket is not None:
            ticket.release(remove=True)
        if not kept:
            slot.release()

    def _ticket_numbers(self) -> list[int]:
        names = [name.removeprefix(TICKET) for name in os.listdir(self._folder) if name.startswith(TICKET)]
        return [int(name) for name in names if name.isascii() and name.isdigit() and len(name) <= MAX_TICKET_DIGITS]

    def _ticket_path(self, number: int) -> str:
        return os.path.join(self._folder, f"{TICKET}{number}")
