"""File locks: exclusive, released whenever their holder ends, not inherited by forked children."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from llm_sync.machine import locks

PATIENCE_S = 10.0
BRIEF_S = 0.2


def test_one_at_a_time(tmp_path: Path) -> None:
    """A lock is exclusive also within one process, until it is released."""
    path = str(tmp_path / "lock")
    first = locks.acquire(path)
    assert first is not None
    assert locks.acquire(path) is None
    first.release()
    second = locks.acquire(path)
    assert second is not None
    second.release()


def test_release_may_be_repeated(tmp_path: Path) -> None:
    """Releasing twice closes no other file that got the descriptor's number."""
    first = locks.acquire(str(tmp_path / "lock"))
    assert first is not None
    first.release()
    other = locks.acquire(str(tmp_path / "other"))
    assert other is not None
    first.release()
    assert locks.acquire(str(tmp_path / "other")) is None
    other.release()


def test_a_lock_file_is_private_and_stays(tmp_path: Path) -> None:
    """A lock file has mode 0600 and is not deleted by its release."""
    path = tmp_path / "lock"
    lock = locks.acquire(str(path))
    assert lock is not None
    lock.release()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_started_programs_do_not_inherit_it(tmp_path: Path) -> None:
    """Programs that are started do not inherit the descriptor."""
    lock = locks.acquire(str(tmp_path / "lock"))
    assert lock is not None
    assert lock.descriptor is not None
    assert not os.get_inheritable(lock.descriptor)
    lock.release()


@pytest.mark.parametrize("what", ["link", "folder"])
def test_a_link_or_folder_is_refused(tmp_path: Path, what: str) -> None:
    """A link or a folder at the path is refused."""
    path = tmp_path / "lock"
    if what == "link":
        path.symlink_to(tmp_path / "precious")
    else:
        path.mkdir()
    with pytest.raises(OSError, match="lock"):
        locks.acquire(str(path))
    assert not (tmp_path / "precious").exists()


def test_a_pipe_in_its_place_does_not_block(tmp_path: Path) -> None:
    """A named pipe at the path does not block."""
    os.mkfifo(tmp_path / "lock")
    assert not locks.is_locked(str(tmp_path / "lock"))
    assert not locks.owner_is_alive(str(tmp_path / "lock"))


def test_a_file_that_was_replaced_meanwhile_is_not_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the file is removed between opening and locking, the lock is taken on the file that replaces it."""
    path = tmp_path / "lock"
    lock_file = locks.FileLock.lock
    removals: list[None] = []

    def removed_first(lock: locks.FileLock, **how: bool) -> bool:
        if not removals:
            removals.append(path.unlink())
        return lock_file(lock, **how)

    monkeypatch.setattr(locks.FileLock, "lock", removed_first)
    lock = locks.acquire(str(path))
    assert lock is not None
    assert lock.is_at_its_path()
    assert locks.acquire(str(path)) is None
    lock.release()


def test_a_file_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    """A file of a dead process is removed, one of a living process is not."""
    (tmp_path / "dead").touch()
    living = locks.create(str(tmp_path / "living"))
    assert not locks.owner_is_alive(str(tmp_path / "dead"))
    assert locks.owner_is_alive(str(tmp_path / "living"))
    assert not locks.owner_is_alive(str(tmp_path / "nobody"))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["living"]
    living.release(remove=True)
    assert not (tmp_path / "living").exists()


def test_a_file_replaced_during_the_check_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that its owner replaces during the check counts as that of a living process."""
    path = str(tmp_path / "file")
    former = locks.create(path)
    new: list[locks.FileLock] = []
    lock = locks.FileLock.lock

    def replaced_first(self: locks.FileLock, **how: bool) -> bool:
        if not new and how.get("shared"):
            new.append(locks.create(f"{path}.new"))
            new[0].rename(path)
            former.release()
        return lock(self, **how)

    monkeypatch.setattr(locks.FileLock, "lock", replaced_first)
    assert locks.owner_is_alive(path)
    assert os.path.exists(path)
    new[0].release(remove=True)


def test_a_full_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short write raises OSError."""
    made = locks.create(str(tmp_path / "file"))
    monkeypatch.setattr("os.write", lambda number, content: len(content) - 1)
    with pytest.raises(OSError, match="No space left"):
        made.write(b"content")
    made.release()


def test_a_killed_holder_releases_it(tmp_path: Path, program) -> None:
    """When the holder is killed, the lock is free."""
    path = str(tmp_path / "lock")
    holder = program("lock = locks.acquire(sys.argv[1]); say('held'); sys.stdin.readline()", path)
    holder.read_until("held")
    assert locks.owner_is_alive(path)
    holder.process.kill()
    holder.process.wait()
    lock = locks.acquire(path)
    assert lock is not None
    lock.release()


FORKED = """
path = sys.argv[1]
lock = locks.acquire(path)
other = locks.acquire(path + "-other")
numbers = [each.descriptor for each in locks._registry.locks]
child = os.fork()
if child == 0:
    def is_open(number):
        try:
            os.fstat(number)
            return True
        except OSError:
            return False
    say("child has", *(number for number in numbers if is_open(number)), lock.descriptor, len(locks._registry.locks))
    lock.release(remove=True)
    own = locks.acquire(path + "-own")
    say("child takes", own is not None, locks.acquire(path) is not None)
    sys.stdin.readline()
    os._exit(0)
say("parent holds", locks.acquire(path) is None)
sys.stdin.readline()
"""


def test_a_child_inherits_no_lock(tmp_path: Path, program) -> None:
    """A forked child closes all inherited descriptors without unlocking, and can take locks of its own."""
    path = str(tmp_path / "lock")
    forked = program(FORKED, path)
    said = sorted(forked.next_line() for _ in range(3))
    assert said == ["child has None 0", "child takes True False", "parent holds True"]
    assert locks.owner_is_alive(path)


def test_a_child_does_not_keep_its_dead_parent_s_lock(tmp_path: Path, program) -> None:
    """A forked child does not keep the lock of its dead parent."""
    path = str(tmp_path / "lock")
    forked = program(FORKED, path)
    for _ in range(3):
        forked.next_line()
    forked.process.kill()
    forked.process.wait()
    assert not locks.owner_is_alive(path)  # while the child still waits for a line


OPENING = """
import threading
path = sys.argv[1]
opened, forking, numbers = threading.Event(), threading.Event(), []
really_open = os.open

def slow_open(*args):
    number = really_open(*args)
    if args[0] == path:
        numbers.append(number)
        opened.set()
        forking.wait(10)
        threading.Event().wait(0.2)  # the fork goes on meanwhile, if nothing holds it up
    return number

os.open = slow_open
os.register_at_fork(before=forking.set)   # hooks run in reverse: before the one that waits
opener = threading.Thread(target=locks.acquire, args=(path,))
opener.start()
opened.wait()
child = os.fork()
if child == 0:
    try:
        os.fstat(numbers[0])
        say("inherited")
    except OSError:
        say("closed")
    os._exit(0)
os.waitpid(child, 0)
opener.join()
"""


def test_a_fork_waits_until_a_descriptor_is_registered(tmp_path: Path, program) -> None:
    """A fork waits until a descriptor that is being opened is registered."""
    forked = program(OPENING, str(tmp_path / "lock"))
    assert forked.next_line() == "closed"
    assert forked.finish() == 0
