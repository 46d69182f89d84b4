"""Which process holds a slot: for log messages and ``llm-sync status``; the lock alone decides."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.machine import locks, process_numbers, semaphore_holders
from llm_sync.machine.folder import SharedDirectory
from llm_sync.machine.semaphore import _WaitReporter
from llm_sync.machine.tickets import Ticket


@pytest.fixture
def folder(runtime: Path) -> str:
    """The folder of one semaphore."""
    return SharedDirectory(lambda: "one").create()


def test_a_held_slot_has_a_holder(folder: str) -> None:
    """A held slot has process, provider and time; a released one has no holder."""
    ticket = Ticket(folder, 1, "an é provider")
    assert semaphore_holders.slot_holders() == []
    assert ticket.advance()
    (holder,) = semaphore_holders.slot_holders()
    assert (holder.pid, holder.provider, holder.stopped) == (os.getpid(), "an é provider", False)
    assert holder.since.tzinfo is not None
    ticket.release()
    assert semaphore_holders.slot_holders() == []


def test_holders_ahead_of_a_ticket(folder: str) -> None:
    """A ticket waits for the holder of the slot and the first in the queue; others are not listed."""
    tickets = [Ticket(folder, 1, name) for name in ("holds", "first", "between", "own", "behind")]
    for ticket in tickets:
        ticket.advance()
    assert [holder.provider for holder in tickets[3].holders_ahead()] == ["holds", "first"]
    assert [holder.provider for holder in tickets[1].holders_ahead()] == ["holds"]
    for ticket in tickets:
        ticket.release()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"pid": "x", "provider": 1}', b'{"pid": 1e999, "provider": ""}', b"\xff"]
    + [b'{"pid": 1, "provider": %b}' % provider for provider in (b"1", b"null", b"[]", b"{}")]
    + [b"[" * 4096, b'{"pid": ' * 400, b'{"pid": 1, "provider": ' + b"[" * 2000 + b"]" * 2000 + b"}"]
    + [b'{"pid": %b, "provider": ""}' % pid for pid in (b"-1", b"0", b"99999999999", b"9" * 4000, b"null", b"NaN")],
)
def test_an_unreadable_file_is_skipped(folder: str, content: bytes) -> None:
    """An unreadable file (incomplete, of another version, hostile) is skipped, and harms no waiting request."""
    held = locks.acquire(os.path.join(folder, "slot-0"))
    assert held is not None
    held.write_owner(content)
    assert semaphore_holders.slot_holders() == []
    behind = Ticket(folder, 1, "p")
    assert not behind.advance()
    assert behind.holders_ahead() == []
    behind.release()
    held.release()


def test_a_process_of_another_container_is_not_taken_for_one_here(
    folder: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A process number of another container is marked, and nobody is told to continue or end that process."""
    monkeypatch.setattr("llm_sync.machine.process_numbers.is_stopped", lambda pid: True)
    caplog.set_level(logging.INFO, "llm_sync.machine")
    held = locks.acquire(os.path.join(folder, "slot-0"))
    assert held is not None
    behind = Ticket(folder, 1, "p")
    behind.advance()
    told = []
    for namespace in ("pid:[1]", process_numbers.pid_namespace(), None):
        held.write_owner(json.dumps({"pid": 7, "provider": "p", "pid_namespace": namespace}).encode())
        (holder,) = semaphore_holders.slot_holders()
        told.append((holder.pid, holder.namespace, holder.stopped))
        _WaitReporter(behind, "p").report()
    assert told == [(7, "pid:[1]", False), (7, None, True), (7, None, True)]
    messages = [record.getMessage() for record in caplog.records if record.levelname == "INFO"]
    assert messages[:2] == [
        "p: waiting for a slot behind process 7 of another container",
        "p: waiting for a slot behind process 7",
    ]
    assert sum("kill" in record.getMessage() for record in caplog.records) == 2
    behind.release()
    held.release()


def test_a_full_disk_does_not_prevent_taking_a_slot(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk does not prevent taking a slot: the record is only for people."""

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", fail)
    ticket = Ticket(folder, 1, "p")
    assert ticket.advance()
    ticket.release()


def test_without_a_folder_there_is_no_holder(runtime: Path) -> None:
    """Without a folder there is no holder."""
    assert semaphore_holders.slot_holders() == []


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="the system does not tell who is stopped")
def test_a_stopped_holder_is_shown(program: Callable[..., Any], soon: Callable[..., None]) -> None:
    """A holder is shown as stopped until it is continued."""
    holder = program("with slots()(CallControl(), None):\n    say('held')\n    sys.stdin.readline()")
    assert holder.next_line() == "held"
    os.kill(holder.process.pid, signal.SIGSTOP)
    soon(lambda: [each.stopped for each in semaphore_holders.slot_holders()] == [True])
    os.kill(holder.process.pid, signal.SIGCONT)
    soon(lambda: [each.stopped for each in semaphore_holders.slot_holders()] == [False])
    holder.go_on()
    assert holder.finish() == 0
    assert not process_numbers.is_stopped(holder.process.pid)
