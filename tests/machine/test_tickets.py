"""Tickets: first come, first served, even if some give up or die. Each Ticket stands for a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_sync.machine import locks
from llm_sync.machine.tickets import Ticket


@pytest.fixture
def ticket(tmp_path: Path) -> Iterator[Callable[..., Ticket]]:
    """``ticket(slots=1)`` makes a ticket of one semaphore, released at the end of the test."""
    made: list[Ticket] = []

    def make(slots: int = 1) -> Ticket:
        made.append(Ticket(str(tmp_path), slots))
        return made[-1]

    yield make
    for each in made:
        each.release()


def queued(ticket: Callable[..., Ticket], slots: int = 1) -> Ticket:
    """A ticket that is drawn, and holds a slot if one is free."""
    made = ticket(slots)
    made.advance()
    return made


def gets_slot(ticket: Ticket) -> bool:
    """Whether it holds a slot after its next try."""
    ticket.advance()
    return ticket.held


def names(folder: Path, prefix: str) -> list[str]:
    """The files in the folder whose names begin with ``prefix``."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(prefix))


def test_the_first_gets_the_slot(ticket: Callable[..., Ticket], tmp_path: Path) -> None:
    """It gets a free slot at once, and gives its ticket back."""
    assert queued(ticket).held
    assert names(tmp_path, "ticket") == []


def test_the_next_waits_for_the_slot(ticket: Callable[..., Ticket]) -> None:
    """The second one gets the slot when the first releases it."""
    first = queued(ticket)
    second = ticket()
    assert not second.advance()
    assert not second.held
    first.release()
    assert second.advance()
    assert second.held


def test_a_ticket_knows_its_position(ticket: Callable[..., Ticket]) -> None:
    """The first in the queue has position 1; positions fall as others get a slot or give up."""
    tickets = [queued(ticket) for _ in range(4)]
    assert [each.position for each in tickets[1:]] == [1, 2, 3]
    tickets[2].release()
    assert not gets_slot(tickets[3])
    assert tickets[3].position == 2
    tickets[0].release()
    assert gets_slot(tickets[1])
    assert not gets_slot(tickets[3])
    assert tickets[3].position == 1


def test_nobody_is_overtaken(ticket: Callable[..., Ticket]) -> None:
    """A released slot goes to the one that asked first, whichever tries first."""
    holder, *waiting = [queued(ticket) for _ in range(5)]
    newcomers = []
    for turn in list(waiting):
        newcomers.append(ticket())
        holder.release()
        others = [*newcomers, *reversed(waiting[1:])]
        assert [gets_slot(each) for each in others] == [False] * len(others)
        assert gets_slot(turn)
        holder = waiting.pop(0)
    holder.release()
    assert [gets_slot(each) for each in reversed(newcomers)] == [False] * 3 + [True]


def test_a_ticket_that_is_released_blocks_nobody(ticket: Callable[..., Ticket]) -> None:
    """Those behind it move up by one."""
    first, second, third, fourth = (queued(ticket) for _ in range(4))
    second.release()
    assert not gets_slot(third)
    first.release()
    assert not gets_slot(fourth)
    assert gets_slot(third)


def test_the_ticket_of_a_dead_process_blocks_nobody(ticket: Callable[..., Ticket], tmp_path: Path) -> None:
    """It is not locked, so those behind it remove it."""
    first, second, third = (queued(ticket) for _ in range(3))
    assert second._ticket is not None
    second._ticket.release()  # what the system does when a process dies
    assert not gets_slot(third)
    first.release()
    assert gets_slot(third)
    assert names(tmp_path, "ticket") == []


def test_a_number_is_not_drawn_again_while_it_matters(ticket: Callable[..., Ticket], tmp_path: Path) -> None:
    """While the last ticket is that of a dead process, the next number is higher."""
    queued(ticket)
    (tmp_path / "ticket-7").touch()
    queued(ticket)
    assert names(tmp_path, "ticket") == ["ticket-8"]


@pytest.mark.parametrize(
    "name", ["ticket-", "ticket-x", "ticket-1.5", "ticket--3", "ticket-٣", "ticket-" + "9" * 30, "tickets-5"]
)
def test_a_file_that_is_not_a_ticket_blocks_nobody(ticket: Callable[..., Ticket], tmp_path: Path, name: str) -> None:
    """It does not count as a number either."""
    (tmp_path / name).touch()
    first = queued(ticket)
    queued(ticket)
    assert first.held
    assert "ticket-1" in names(tmp_path, "ticket")


def test_several_slots(ticket: Callable[..., Ticket]) -> None:
    """Three of five hold a slot; the fourth gets the one that is released first."""
    one, two, three, four, five = (queued(ticket, 3) for _ in range(5))
    assert [each.held for each in (one, two, three, four, five)] == [True, True, True, False, False]
    two.release()
    assert not gets_slot(five)
    assert gets_slot(four)


def test_tickets_are_drawn_one_at_a_time(ticket: Callable[..., Ticket], tmp_path: Path) -> None:
    """While another process holds ``door``, no ticket is drawn: two could get the same number, or a later one a lower."""
    door = locks.acquire(str(tmp_path / "door"))
    assert door is not None
    late = ticket()
    assert not late.advance()
    assert late.position == 0
    assert names(tmp_path, "ticket") == []
    door.release()
    assert gets_slot(late)


def test_release_while_the_ticket_is_drawn(
    ticket: Callable[..., Ticket], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Released at the moment when its ticket is created, it leaves no ticket behind."""
    mine = ticket()
    create = locks.create

    def create_then_release(path: str) -> locks.FileLock:
        made = create(path)
        mine.release()
        return made

    monkeypatch.setattr("llm_sync.machine.locks.create", create_then_release)
    assert mine.advance()
    assert not mine.held
    assert names(tmp_path, "ticket") == []
    monkeypatch.undo()
    assert queued(ticket).held


def test_release_while_the_slot_is_taken(ticket: Callable[..., Ticket], monkeypatch: pytest.MonkeyPatch) -> None:
    """Released at the moment when it locks a slot, it leaves the slot free."""
    mine = ticket()
    acquire = locks.acquire

    def acquire_then_release(path: str) -> locks.FileLock | None:
        lock = acquire(path)
        if os.path.basename(path).startswith("slot"):
            mine.release()
        return lock

    monkeypatch.setattr("llm_sync.machine.locks.acquire", acquire_then_release)
    assert mine.advance()
    assert not mine.held
    monkeypatch.undo()
    assert queued(ticket).held


def test_release_is_final(ticket: Callable[..., Ticket], tmp_path: Path) -> None:
    """A released ticket never gets a slot."""
    mine = ticket()
    mine.release()
    assert mine.advance()
    assert not mine.held
    assert list(tmp_path.iterdir()) == []


def test_tickets_leave_no_descriptor_open(ticket: Callable[..., Ticket]) -> None:
    """A hundred of them, half of which never got a slot."""
    queued(ticket).release()
    before = len(os.listdir("/dev/fd"))
    for _ in range(50):
        first, second = queued(ticket), queued(ticket)
        second.release()
        first.release()
    assert len(os.listdir("/dev/fd")) <= before
