"""The line: who asked first is served first, whoever gives up or dies. Each Ticket stands for a process of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_sync.machine import locks
from llm_sync.machine.tickets import Ticket

PATIENCE_S = 10.0


@pytest.fixture
def ticket(tmp_path: Path) -> Iterator[Callable[..., Ticket]]:
    """Makes tickets in one line; all are left in the end."""
    made: list[Ticket] = []

    def make(slots: int = 1) -> Ticket:
        made.append(Ticket(str(tmp_path), slots))
        return made[-1]

    yield make
    for each in made:
        each.release()


def asking(ticket: Callable[..., Ticket], slots: int = 1) -> Ticket:
    """One that has asked."""
    made = ticket(slots)
    made.advance(wait=True)
    return made


def serves(ticket: Ticket) -> bool:
    """Whether it is its turn."""
    ticket.advance(wait=True)
    return ticket.held


def names(folder: Path, start: str) -> list[str]:
    """The files there of one kind."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(start))


def test_the_first_gets_the_slot(ticket: Callable[..., Ticket], tmp_path: Path) -> None:
    """At once, and keeps no ticket."""
    assert asking(ticket).held
    assert names(tmp_path, "ticket") == []


def test_the_next_waits_for_the_slot(ticket: Callable[..., Ticket], tmp_path: Path) -> None:
    """It is told which file's lock stands in its way."""
    first = asking(ticket)
    second = ticket()
    assert second.advance(wait=True) == str(tmp_path / "slot-0")
    assert not second.held
    first.release()
    assert second.advance(wait=True) is None
    assert second.held


def test_those_behind_wait_for_those_before(ticket: Callable[..., Ticket], tmp_path: Path) -> None:
    """Each for the one just before it, whom it follows."""
    tickets = [asking(ticket) for _ in range(4)]
    assert [each.advance(wait=True) for each in tickets] == [
        None,
        *(str(tmp_path / name) for name in ("slot-0", "ticket-1", "ticket-2")),
    ]


def test_nobody_is_overtaken(ticket: Callable[..., Ticket]) -> None:
    """Whoever is the first to look when the slot is freed, it is not theirs unless they asked first."""
    holder, *waiting = [asking(ticket) for _ in range(5)]
    newcomers = []
    for turn in list(waiting):
        newcomers.append(ticket())
        holder.release()
        assert [serves(each) for each in [*newcomers, *reversed(waiting[1:])]] == [False] * (len(newcomers) + len(waiting) - 1)
        assert serves(turn)
        holder = waiting.pop(0)
    holder.release()
    assert [serves(each) for each in reversed(newcomers)] == [False] * 3 + [True]


def test_who_gives_up_holds_nobody_up(ticket: Callable[..., Ticket]) -> None:
    """Those behind move up, and nobody else."""
    first, second, third, fourth = (asking(ticket) for _ in range(4))
    second.release()
    assert not serves(third)
    first.release()
    assert not serves(fourth)
    assert serves(third)


def test_the_dead_hold_nobody_up(ticket: Callable[..., Ticket], tmp_path: Path) -> None:
    """Their tickets are not locked, and those behind remove them."""
    first, second, third = (asking(ticket) for _ in range(3))
    assert second._ticket is not None
    second._ticket.release()  # as the system does
    assert not serves(third)
    first.release()
    assert serves(third)
    assert names(tmp_path, "ticket") == []


def test_a_number_is_not_drawn_again_while_it_matters(ticket: Callable[..., Ticket], tmp_path: Path) -> None:
    """The dead one's ticket, the last, is still there: the next number is higher."""
    asking(ticket)
    (tmp_path / "ticket-7").touch()
    asking(ticket)
    assert names(tmp_path, "ticket") == ["ticket-8"]


@pytest.mark.parametrize(
    "name", ["ticket-", "ticket-x", "ticket-1.5", "ticket--3", "ticket-٣", "ticket-" + "9" * 30, "tickets-5"]
)
def test_what_is_no_ticket_holds_nobody_up(ticket: Callable[..., Ticket], tmp_path: Path, name: str) -> None:
    """Nor does it give a number."""
    (tmp_path / name).touch()
    first = asking(ticket)
    asking(ticket)
    assert first.held
    assert "ticket-1" in names(tmp_path, "ticket")


def test_several_slots(ticket: Callable[..., Ticket]) -> None:
    """As many as there are, and the next one as soon as any is free."""
    one, two, three, four, five = (asking(ticket, 3) for _ in range(5))
    assert [each.held for each in (one, two, three, four, five)] == [True, True, True, False, False]
    assert four.advance(wait=True) == ""
    two.release()
    assert not serves(five)
    assert serves(four)


def test_draws_are_one_at_a_time(ticket: Callable[..., Ticket], tmp_path: Path) -> None:
    """While somebody stands in the door nobody draws: two would get one number, or a later one the lower."""
    door = locks.acquire(str(tmp_path / "door"), wait=False)
    assert door is not None
    late = ticket()
    assert late.advance(wait=False) == str(tmp_path / "door")
    assert names(tmp_path, "ticket") == []
    waiting = threading.Thread(target=late.advance, kwargs={"wait": True}, daemon=True)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    door.release()
    waiting.join(PATIENCE_S)
    assert late.held


def test_leaving_while_the_ticket_is_drawn(
    ticket: Callable[..., Ticket], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who gives up between drawing and having drawn leaves no ticket behind, which nobody would ever give back."""
    mine = ticket()
    monkeypatch.setattr("llm_sync.machine.locks.create", but_first(mine.release, locks.create))
    assert mine.advance(wait=True) is None
    assert not mine.held
    assert names(tmp_path, "ticket") == []
    monkeypatch.undo()
    assert asking(ticket).held


def test_leaving_while_the_slot_is_taken(ticket: Callable[..., Ticket], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Who gives up between taking the slot and being told leaves it free."""
    mine = ticket()
    take = locks.acquire

    def taken(path: str, *, wait: bool) -> locks.FileLock | None:
        found = take(path, wait=wait)
        if os.path.basename(path).startswith("slot"):
            mine.release()
        return found

    monkeypatch.setattr("llm_sync.machine.locks.acquire", taken)
    assert mine.advance(wait=True) is None
    assert not mine.held
    monkeypatch.undo()
    assert asking(ticket).held


def test_leaving_is_final(ticket: Callable[..., Ticket], tmp_path: Path) -> None:
    """Advancing after it takes nothing."""
    mine = ticket()
    mine.release()
    assert mine.advance(wait=True) is None
    assert not mine.held
    assert list(tmp_path.iterdir()) == []


def test_a_line_leaves_no_descriptor_open(ticket: Callable[..., Ticket]) -> None:
    """However often one stands in it."""
    asking(ticket).release()
    before = len(os.listdir("/dev/fd"))
    for _ in range(50):
        first, second = asking(ticket), asking(ticket)
        second.release()
        first.release()
    assert len(os.listdir("/dev/fd")) <= before


def but_first(what: Callable[[], object], then: Callable[[str], locks.FileLock]) -> Callable[[str], locks.FileLock]:
    """``then``, with ``what`` happening just before it returns."""

    def both(path: str) -> locks.FileLock:
        made = then(path)
        what()
        return made

    return both
