"""Locks over requests that are asked: exclusive over processes, free with their holder's death, and few open files."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import llm_sync
from llm_sync.cache import asking_locks
from llm_sync.cache.asking_locks import AskingLocks, Release
from llm_sync.cache.in_flight import stopped
from llm_sync.errors import ClientClosedError
from llm_sync.machine import locks
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="file locks")
STORE = "/a/store"
PATIENCE_S = 20.0
HOLDER = """
import os, sys
from llm_sync.cache.asking_locks import AskingLocks
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import run

held = run(AskingLocks("/a/store").acquire(sys.argv[1], CallControl(1), 0))
print("held" if held else "busy", flush=True)
if sys.argv[2] == "fork" and os.fork() == 0:
    print("child", flush=True)
    sys.stdin.readline()  # lives on
    os._exit(0)
sys.stdin.readline()
"""


def key(number: int = 0, sample: int = 0) -> str:
    """The key of a request."""
    return sha256(b"%d" % number).hexdigest() + (f"-{sample}" if sample else "")


def acquire(which: str, *, store: str = STORE, timeout: float = 0.0) -> Release | None:
    """Lock a key as another process would: with files of its own."""
    return run(AskingLocks(store).acquire(which, CallControl(1), timeout))


@pytest.fixture(autouse=True)
def files() -> Iterator[dict[int, Any]]:
    """The lock files that are open; none at first, nor at the end."""
    for file in list(asking_locks._files.values()):
        file.retire()
    yield asking_locks._files
    for file in list(asking_locks._files.values()):
        file.retire()


@pytest.fixture(params=["bytes", "files"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of locks."""
    if request.param == "files":
        monkeypatch.setattr(locks, "HAS_BYTE_LOCKS", False)
    elif not locks.HAS_BYTE_LOCKS:
        pytest.skip("no byte locks here")
    return str(request.param)


@contextlib.contextmanager
def holder(which: str, kind: str = "bytes", *, fork: bool = False) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that tries to hold a lock until it is killed; and what it says."""
    code = HOLDER if kind == "bytes" else f"from llm_sync.machine import locks; locks.HAS_BYTE_LOCKS = False\n{HOLDER}"
    environ = {**os.environ, "PYTHONPATH": str(Path(llm_sync.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", code, which, "fork" if fork else ""],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_another_process_is_kept_out_until_it_is_released(kind: str) -> None:
    """A lock that this process holds; other keys are free."""
    release = acquire(key(1))
    assert release is not None
    with holder(key(1), kind) as (_, said):
        assert said == "busy"
    with holder(key(2), kind) as (_, said):
        assert said == "held"
    release()
    with holder(key(1), kind) as (_, said):
        assert said == "held"


def test_a_killed_holder_frees_those_that_wait(kind: str) -> None:
    """They wait for its lock, and have it as soon as it is dead."""
    with holder(key(), kind) as (process, said), ThreadPoolExecutor(1) as pool:
        assert said == "held"
        waiting = pool.submit(acquire, key(), timeout=PATIENCE_S)
        assert not waiting.done()
        process.kill()
        release = waiting.result(PATIENCE_S)
    assert release is not None
    release()


def test_a_forked_child_keeps_no_lock_of_its_parent(kind: str) -> None:
    """Its parent is killed, and the child lives on: the lock is free."""
    with holder(key(), kind, fork=True) as (process, said):
        assert process.stdout is not None
        assert (said, process.stdout.readline().strip()) == ("held", "child")
        assert acquire(key()) is None
        process.kill()
        release = acquire(key(), timeout=PATIENCE_S)
        assert release is not None
        release()


def test_who_waits_too_long_asks_all_the_same(kind: str) -> None:
    """No lock is given, and no error raised."""
    with holder(key(), kind):
        assert acquire(key(), timeout=0.05) is None


def test_a_request_that_is_stopped_waits_no_longer(kind: str) -> None:
    """It ends with the error of a stopped request."""
    control = CallControl(1)
    with holder(key(), kind), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run, AskingLocks(STORE).acquire(key(), control, PATIENCE_S))
        control.abort()
        with pytest.raises(ClientClosedError, match=str(stopped())):
            waiting.result(PATIENCE_S)


def test_samples_and_stores_have_locks_of_their_own() -> None:
    """Nobody waits for an answer that is not the one asked for."""
    with holder(key(7, 3)) as (_, said):
        assert said == "held"
        for release in (acquire(key(7)), acquire(key(7, 2)), acquire(key(7, 4)), acquire(key(7, 3), store="/another")):
            assert release is not None
            release()


@pytest.mark.skipif(not locks.HAS_BYTE_LOCKS, reason="locks of single bytes")
def test_few_files_are_open_and_none_is_created_for_a_request(files: dict[int, Any]) -> None:
    """A thousand requests of ten stores."""
    for number in range(1000):
        release = acquire(key(number), store=f"/store/{number % 10}")
        assert release is not None
        release()
    assert len(files) == asking_locks._FILES
    folder = Path(os.environ["LLM_SYNC_RUNTIME_DIR"], asking_locks.FOLDER)
    assert len(list(folder.glob("?.lock"))) == asking_locks._FILES
    assert not [file for file in files.values() if file._held]


@pytest.mark.skipif(not locks.HAS_BYTE_LOCKS, reason="locks of single bytes")
def test_removed_lock_files_are_made_anew(files: dict[int, Any]) -> None:
    """Jobs clean temporary folders: locks that are held stay valid until they are released, new ones count everywhere."""
    release = acquire(key(1))
    assert release is not None
    before = next(iter(files.values()))
    for path in Path(os.environ["LLM_SYNC_RUNTIME_DIR"], asking_locks.FOLDER).glob("*.lock"):
        path.unlink()
    again = acquire(key(1))
    assert before not in files.values()
    assert again is not None  # the old file is gone: nobody can see that it is locked
    with holder(key(1)) as (_, said):
        assert said == "busy"
    assert before._file.descriptor is not None
    for each in (release, again):
        each()
    assert before._file.descriptor is None


@pytest.mark.skipif(not locks.HAS_BYTE_LOCKS, reason="locks of single bytes")
def test_another_runtime_folder_is_used_at_once(files: dict[int, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By clients that are opened from then on; the files of the first are closed."""
    first = acquire(key())
    assert first is not None
    (before,) = files.values()
    monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", str(tmp_path / "runtime"))
    second = acquire(key())
    assert second is not None
    first()
    second()
    (after,) = files.values()
    assert after.folder.startswith(str(tmp_path))
    assert before._file.descriptor is None


@pytest.mark.skipif(not locks.HAS_BYTE_LOCKS, reason="locks of single bytes")
def test_a_system_that_refuses_byte_locks_gets_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some sandboxes do not know them."""

    def refuse(*_: object) -> bool:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(locks.FileLock, "lock_byte", refuse)
    release = acquire(key())
    assert release is not None
    with holder(key(), "files") as (_, said):
        assert said == "busy"
    release()


@pytest.mark.skipif(not locks.HAS_BYTE_LOCKS, reason="locks of single bytes")
def test_threads_share_files_while_others_retire_them(files: dict[int, Any]) -> None:
    """Eight threads lock and unlock keys of their own while the files are closed under them: every lock is had, none is left."""
    before = len(os.listdir("/proc/self/fd"))
    end = threading.Event()

    def lock(thread: int) -> int:
        for number in range(300):
            release = acquire(key(thread * 1000 + number), timeout=PATIENCE_S)
            assert release is not None
            release()
        return thread

    def retire() -> None:
        while not end.wait(0.001):
            for file in list(files.values()):
                file.retire()

    with ThreadPoolExecutor(9) as pool:
        retiring = pool.submit(retire)
        assert sorted(pool.map(lock, range(8))) == list(range(8))
        end.set()
        retiring.result(PATIENCE_S)
    assert len(os.listdir("/proc/self/fd")) <= before + asking_locks._FILES
