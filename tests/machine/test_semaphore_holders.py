"""Who holds a slot: read by those who wait and by ``llm-sync status``; the lock alone decides whether anybody does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.machine import locks, semaphore_holders
from llm_sync.machine.folder import SharedDirectory
from llm_sync.machine.tickets import Ticket


@pytest.fixture
def folder(runtime: Path) -> str:
    """That of one line."""
    return SharedDirectory(lambda: "one").create()


def test_a_held_slot_says_whose_it_is(folder: str) -> None:
    """The process, the provider by its name there, and since when; nobody, once it is freed."""
    ticket = Ticket(folder, 1, "an é provider")
    assert semaphore_holders.slot_holders() == []
    assert ticket.advance()
    (holder,) = semaphore_holders.slot_holders()
    assert (holder.pid, holder.provider, holder.stopped) == (os.getpid(), "an é provider", False)
    assert holder.since.tzinfo is not None
    ticket.release()
    assert semaphore_holders.slot_holders() == []


def test_the_line_before_one(folder: str) -> None:
    """Who holds the slot, and who is the first in line; not those between, nor oneself, nor those behind."""
    tickets = [Ticket(folder, 1, name) for name in ("holds", "first", "between", "own", "behind")]
    for ticket in tickets:
        ticket.advance()
    assert [holder.provider for holder in tickets[3].holders_ahead()] == ["holds", "first"]
    assert [holder.provider for holder in tickets[1].holders_ahead()] == ["holds"]
    for ticket in tickets:
        ticket.release()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"pid": "x", "provider": 1}', b'{"pid": 1e999, "provider": ""}', b"\xff"]
)
def test_what_cannot_be_made_out_is_left_out(folder: str, content: bytes) -> None:
    """An older version's file, or one that is written just now."""
    held = locks.acquire(os.path.join(folder, "slot-0"))
    assert held is not None
    held.write_owner(content)
    assert semaphore_holders.slot_holders() == []
    held.release()


def test_a_disk_that_is_full_costs_no_slot(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is only for people."""

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", fail)
    ticket = Ticket(folder, 1, "p")
    assert ticket.advance()
    ticket.release()


def test_nobody_has_asked_yet(runtime: Path) -> None:
    """There may be no folder at all."""
    assert semaphore_holders.slot_holders() == []


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="the system does not tell who is stopped")
def test_a_stopped_process_is_told(program: Callable[..., Any], soon: Callable[..., None]) -> None:
    """Until it is continued; one that is gone is not stopped."""
    holder = program("with slots()(CallControl(), None):\n    say('held')\n    sys.stdin.readline()")
    assert holder.next_line() == "held"
    os.kill(holder.process.pid, signal.SIGSTOP)
    soon(lambda: [each.stopped for each in semaphore_holders.slot_holders()] == [True])
    os.kill(holder.process.pid, signal.SIGCONT)
    soon(lambda: [each.stopped for each in semaphore_holders.slot_holders()] == [False])
    holder.go_on()
    assert holder.finish() == 0
    assert not semaphore_holders.is_stopped(holder.process.pid)
