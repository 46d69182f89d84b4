"""Scripts, answers files, replays and recordings must be regular files of bounded size: devices and pipes are refused."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from llm_sync.errors import ConfigurationError
from llm_sync.simulator import Simulator
from llm_sync.simulator.answers import replay
from llm_sync.simulator.dialects import recordings

POSIX = pytest.mark.skipif(os.name != "posix", reason="named pipes and devices are POSIX")
RECORD = {"request_hash": "1" * 32, "response": {"text": "Hello"}, "error": None}


def problems(**options: Any) -> str:
    """The problems with which a simulator refuses these options."""
    with pytest.raises(ConfigurationError) as caught:
        Simulator(**options)
    return "\n".join(map(str, caught.value.problems))


@POSIX
@pytest.mark.parametrize("option", ["script", "answers", "replay"])
def test_a_named_pipe_is_refused(tmp_path: Path, option: str) -> None:
    """A named pipe is refused at once, although nothing ever writes to it."""
    path = tmp_path / "pipe.yaml"
    os.mkfifo(path)
    assert f"{path}: cannot be read: it is a named pipe, not a regular file" in problems(**{option: path})


@POSIX
@pytest.mark.parametrize("option", ["script", "answers", "replay"])
def test_a_device_is_refused(tmp_path: Path, option: str) -> None:
    """A device, which may be endless, is refused, also through a link."""
    path = tmp_path / "zero.yaml"
    path.symlink_to("/dev/zero")
    assert f"{path}: cannot be read: it is a device, not a regular file" in problems(**{option: path})


@POSIX
def test_a_named_pipe_among_recordings_is_refused(tmp_path: Path) -> None:
    """A named pipe in a folder of recorded exchanges is reported as a problem of its own."""
    (tmp_path / "acme").mkdir()
    os.mkfifo(tmp_path / "acme" / "hello.json")
    assert "hello.json: cannot be read: it is a named pipe, not a regular file" in problems(recorded=tmp_path)


def test_an_endless_line_of_a_replay_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without an end is read up to the limit only, also if gzip packs it into few bytes."""
    monkeypatch.setattr(replay, "MAX_LINE_BYTES", 1 << 20)
    path = tmp_path / "run.jsonl"
    path.write_bytes(gzip.compress(json.dumps(RECORD).encode() + b"\n" + b" " * (64 << 20)))
    assert problems(replay=path) == f"{path}:2: the line is over 1 MiB"


def test_a_large_recording_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorded exchange is read up to a limit only."""
    monkeypatch.setattr(recordings, "MAX_BYTES", 1 << 20)
    path = tmp_path / "acme" / "hello.json"
    path.parent.mkdir()
    path.write_bytes(b" " * ((1 << 20) + 1))
    assert problems(recorded=tmp_path) == f"{path}: the file is over 1 MiB"


@POSIX
def test_a_descriptor_of_the_shell_may_be_replayed() -> None:
    """``--replay <(…)`` works: the shell opened that pipe for this process."""
    reading, writing = os.pipe()
    os.write(writing, json.dumps(RECORD).encode() + b"\n")
    os.close(writing)
    try:
        assert len(replay.Replay(f"/dev/fd/{reading}")) == 1
    finally:
        os.close(reading)
