"""The FIFO of a worker process: what the coordinator writes, and what the worker reads of it."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue

import pytest

from llm_sync.engines import task_pipe
from llm_sync.engines.flights import Flight, Worker
from llm_sync.engines.task_pipe import TaskWriter, listen, make_fifo
from llm_sync.engines.wire import Item, Outcome, unpacked


def flight(number: int, content: object) -> Flight:
    """An attempt; what is sent is not looked at here."""
    return Flight(Item(number, content, 1, 5.0), lambda outcome: None)  # type: ignore[arg-type]


def test_groups_come_whole_and_in_order(tmp_path: Path) -> None:
    """Also one of many times what a FIFO holds; each is reported as taken."""
    path, got, taken = make_fifo(str(tmp_path), "host:1"), SimpleQueue[bytes](), SimpleQueue[None]()
    listen(path, got.put)
    writer = TaskWriter(path, Worker("host:1", "host"), list, lambda: taken.put(None), lambda outcome: None)
    groups = [[(1, b"a"), (2, b"b")], [(3, os.urandom(3 << 20))], [(4, b"")]]
    for group in groups:
        writer.put([flight(*each) for each in group])
    read = [unpacked(got.get(timeout=20)) for _ in groups]
    assert [[(item.id, item.prepared) for item in items] for items in read] == groups
    for _ in groups:
        taken.get(timeout=20)
    writer.close()
    writer.join(20)
    assert os.listdir(tmp_path) == []


def test_what_has_gathered_is_written_with_a_group_if_the_worker_has_enough_to_do(tmp_path: Path) -> None:
    """One frame, and one report that it is taken."""
    path, got, taken = make_fifo(str(tmp_path), "host:1"), SimpleQueue[bytes](), SimpleQueue[None]()
    listen(path, got.put)
    worker = Worker("host:1", "host")
    worker.flights = {number: flight(number, b"") for number in range(9)}
    writer = TaskWriter(path, worker, lambda: [flight(7, b"b"), flight(8, b"c")], lambda: taken.put(None), lambda outcome: None)
    writer.put([flight(6, b"a")])
    assert [item.id for item in unpacked(got.get(timeout=20))] == [6, 7, 8]
    taken.get(timeout=20)
    writer.close()
    writer.join(20)
    assert taken.empty()


@pytest.mark.parametrize("size", [1, 5, 999])
def test_frames_are_read_however_they_are_split(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte at a time, or several at once."""
    contents = [b"", b"one", b"two" * 9]
    monkeypatch.setattr(task_pipe, "_CHUNK", size)
    reading, writing = os.pipe()
    os.write(writing, b"".join(len(each).to_bytes(4, "big") + each for each in contents))
    frames = task_pipe._frames(reading)
    assert [next(frames) for _ in contents] == contents
    os.close(reading)
    os.close(writing)


def test_what_cannot_be_pickled_fails_alone(tmp_path: Path) -> None:
    """The others of its group go on."""
    path, got, settled = make_fifo(str(tmp_path), "host:1"), SimpleQueue[bytes](), SimpleQueue[Outcome]()
    listen(path, got.put)
    writer = TaskWriter(path, Worker("host:1", "host"), list, lambda: None, settled.put)
    writer.put([flight(1, b"a"), flight(2, lambda: None), flight(3, b"c")])
    assert [item.id for item in unpacked(got.get(timeout=20))] == [1, 3]
    failed = settled.get(timeout=20)
    assert failed.id == 2
    assert "cannot be sent to a worker" in str(failed.error)
    writer.close()
    writer.join(20)


def test_a_worker_that_cannot_begin_an_attempt_ends(tmp_path: Path) -> None:
    """Then the coordinator has its attempts made elsewhere; it would wait for them long if the process lived on."""
    code = """
import sys, threading
from llm_sync.engines.task_pipe import listen
listen(sys.argv[1], int)
threading.Event().wait()
"""
    path = make_fifo(str(tmp_path), "host:1")
    worker = subprocess.Popen([sys.executable, "-c", code, path], stderr=subprocess.PIPE)
    try:
        descriptor = os.open(path, os.O_WRONLY)  # waits until the worker has it open
        os.write(descriptor, (1).to_bytes(4, "big") + b"x")
        _, text = worker.communicate(timeout=30)
        os.close(descriptor)
    finally:
        worker.kill()
        worker.wait()
    assert worker.returncode == 1, text


def test_a_worker_that_has_no_fifo_open_is_not_written_to(tmp_path: Path) -> None:
    """It has died since it was greeted."""
    path = make_fifo(str(tmp_path), "host:1")
    with pytest.raises(OSError, match=re.escape(os.strerror(errno.ENXIO))):
        TaskWriter(path, Worker("host:1", "host"), list, lambda: None, lambda outcome: None)
