"""Reading status files: other files do no harm, and files that are being written are left alone."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from llm_sync.errors import ConfigurationError
from llm_sync.machine import locks
from llm_sync.machine.folder import private_folder
from llm_sync.machine.running import RunningWork, running_processes

PROVIDER = {
    "queued": 1,
    "in_flight": 2,
    "oldest_in_flight_since": "2026-01-02T03:04:05+00:00",
    "waiting": {"slot": 1},
    "done": 3,
    "failed": {"RateLimitError": 4},
    "retries": 5,
    "cooling_down_until": None,
    "requests_per_minute": 6,
}
GOOD = {
    "pid": 4711,
    "command": "llm-sync generate",
    "started": "2026-01-02T03:04:05+00:00",
    "updated": "2026-01-02T03:04:06+00:00",
    "providers": {"openai": PROVIDER},
}


@pytest.fixture
def folder(runtime: Path) -> Path:
    """The folder with the status files."""
    private_folder(str(runtime))
    return Path(private_folder(str(runtime / "running")))


class Living:
    """Creates files whose process is alive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[locks.FileLock] = []

    def __call__(self, content: object, name: str = "1-a.json") -> None:
        """Create one with this content."""
        self.made.append(locks.create(str(self.folder / name)))
        self.made[-1].write(content if isinstance(content, bytes) else json.dumps(content).encode())


@pytest.fixture
def living(folder: Path):
    """A Living, whose files are released after the test."""
    made = Living(folder)
    yield made
    for each in made.made:
        each.release()


def test_no_process_is_running() -> None:
    """Without a folder no process is running."""
    assert running_processes() == []


def test_running_processes_are_listed_oldest_first(living: Living) -> None:
    """All running processes are listed, oldest first, with all their data."""
    living({**GOOD, "pid": 2, "started": "2026-01-02T03:04:07+00:00"}, "2-b.json")
    living(GOOD)
    first, second = running_processes()
    assert (first.pid, second.pid) == (4711, 2)
    assert first.command == "llm-sync generate"
    assert first.started.isoformat() == GOOD["started"]
    provider = first.providers["openai"]
    assert (provider.queued, provider.in_flight, provider.done, provider.retries) == (1, 2, 3, 5)
    assert (provider.waiting, provider.failed) == ({"slot": 1}, {"RateLimitError": 4})


def test_the_lock_decides_not_the_process_number(folder: Path) -> None:
    """A file without a lock is that of a dead process, even if a process has its number."""
    path = folder / f"{os.getpid()}-a.json"
    path.write_text(json.dumps({**GOOD, "pid": os.getpid()}))
    assert running_processes() == []
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b"[" * 100_000,
        json.dumps({**GOOD, "pid": "x"}).encode(),
        json.dumps({**GOOD, "pid": None}).encode(),
        json.dumps({**GOOD, "started": 5}).encode(),
        json.dumps({**GOOD, "started": "2026-01-02T03:04:05"}).encode(),
        json.dumps({**GOOD, "started": "yesterday"}).encode(),
        json.dumps({**GOOD, "providers": [1]}).encode(),
        json.dumps({**GOOD, "providers": {"openai": {}}}).encode(),
        json.dumps({**GOOD, "providers": {"openai": {**PROVIDER, "failed": 7}}}).encode(),
        json.dumps({**GOOD, "providers": {"openai": {**PROVIDER, "queued": "1e999"}}}).encode(),
        b'{"pid": 1e999}',
        b" " * 2**21,
    ],
    ids=lambda content: content[:20].decode("ascii", "replace"),
)
def test_an_unreadable_file_is_skipped(living: Living, content: bytes) -> None:
    """An unreadable file is skipped, the others are shown; it is not removed while its process is alive."""
    living(GOOD)
    living(content, "2-b.json")
    assert [process.pid for process in running_processes()] == [4711]
    assert (living.folder / "2-b.json").exists()


def test_unknown_keys_are_ignored(living: Living) -> None:
    """Unknown keys of another version are ignored."""
    living({**GOOD, "mood": "good", "providers": {"openai": {**PROVIDER, "mood": "bad"}}})
    assert len(running_processes()) == 1


@pytest.mark.parametrize("what", ["link", "folder", "pipe", "other"])
def test_links_and_pipes_do_no_harm(folder: Path, tmp_path: Path, what: str) -> None:
    """Links are not followed, and pipes do not block."""
    precious = tmp_path / "precious"
    precious.write_text(json.dumps(GOOD))
    path = folder / ("notes.txt" if what == "other" else "1-a.json")
    if what == "link":
        path.symlink_to(precious)
    elif what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.touch()
    assert running_processes() == []
    assert precious.exists()
    assert path.exists() == (what != "pipe") or path.is_symlink()


def test_a_file_that_is_being_written_is_left_alone(folder: Path) -> None:
    """A file that is being written is left alone: its lock follows a moment later."""
    (folder / ".1-a.json").touch()
    assert running_processes() == []
    assert (folder / ".1-a.json").exists()


def test_an_unfinished_file_is_removed_after_a_while(folder: Path) -> None:
    """An unfinished file of a killed process is removed after a while."""
    path = folder / ".1-a.json"
    path.touch()
    os.utime(path, (time.time() - 120,) * 2)
    assert running_processes() == []
    assert not path.exists()


def test_a_folder_that_is_not_private_is_an_error(runtime: Path) -> None:
    """A folder that others can access is an error."""
    runtime.mkdir()
    runtime.chmod(0o755)
    with pytest.raises(ConfigurationError, match="accessible to others"):
        running_processes()


def test_the_work_of_a_process_is_read(living: Living) -> None:
    """If there is any; files of the release before have none."""
    living({**GOOD, "work": {"file": "out.jsonl", "total": 9, "done": 3, "seconds_left": None}})
    living({**GOOD, "pid": 4712}, "2-a.json")
    assert [each.work for each in running_processes()] == [RunningWork("out.jsonl", 9, 3), None]
