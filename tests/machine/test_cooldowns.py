"""Cool-downs shared between processes: the longest one counts, and no file, name or clock change does harm."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from llm_sync.errors import LLMConnectorError, ProviderUnavailableError, RateLimitError
from llm_sync.machine.cooldowns import CoolDowns
from llm_sync.machine.folder import SharedDirectory

NOW = 1_800_000_000.0


class Clock:
    """Seconds since 1970 that pass only when the test advances them."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The machine's clock."""
    return Clock()


@pytest.fixture
def folder(runtime: Path) -> Path:
    """The folder with the cool-downs."""
    return Path(SharedDirectory(lambda: "one").create())


def process(clock: Clock, identity: str = "one") -> CoolDowns:
    """The cool-downs as one process sees them."""
    return CoolDowns(SharedDirectory(lambda: identity), clock)


def left(one: CoolDowns) -> float | None:
    """The seconds left, rounded to milliseconds."""
    latest = one.latest()
    return None if latest is None else round(latest[0], 3)


def test_without_a_folder_there_is_none(clock: Clock) -> None:
    """Without a folder there is no cool-down."""
    assert process(clock).latest() is None


@pytest.mark.parametrize("kind", [RateLimitError, ProviderUnavailableError])
def test_other_processes_learn_of_it(clock: Clock, folder: Path, kind: type[LLMConnectorError]) -> None:
    """Other processes learn the length and the error class, but not the provider's message."""
    process(clock).announce(30, kind("limit of org-17 reached", status=429))
    clock.now += 10
    latest = process(clock).latest()
    assert latest is not None
    assert latest[0] == 20
    assert type(latest[1]) is kind
    assert "org-17" not in latest[1].message + "".join(os.listdir(folder))


def test_the_file_is_private(clock: Clock, folder: Path) -> None:
    """The file has mode 0600."""
    process(clock).announce(30, RateLimitError("x"))
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_other_keys_are_not_held_back(clock: Clock) -> None:
    """Requests with another key are not held back."""
    process(clock).announce(30, RateLimitError("x"))
    assert process(clock, "other").latest() is None


def test_the_longest_counts(clock: Clock) -> None:
    """The longest cool-down counts, whichever process announced it, and when."""
    process(clock).announce(5, RateLimitError("x"))
    process(clock).announce(30, ProviderUnavailableError("x"))
    process(clock).announce(10, RateLimitError("x"))
    assert left(process(clock)) == 30
    latest = process(clock).latest()
    assert latest is not None
    assert type(latest[1]) is ProviderUnavailableError


def test_a_shorter_one_creates_no_file(clock: Clock, folder: Path) -> None:
    """A cool-down that is not longer than the current one creates no file."""
    for _ in range(20):
        process(clock).announce(30, RateLimitError("x"))
    assert len(list(folder.iterdir())) == 1


def test_an_expired_one_is_removed(clock: Clock, folder: Path) -> None:
    """An expired cool-down is removed by the process that finds it."""
    process(clock).announce(30, RateLimitError("x"))
    clock.now += 30
    assert process(clock).latest() is None
    assert list(folder.iterdir()) == []


def test_a_clock_set_back_does_not_prolong_it(clock: Clock) -> None:
    """After a small change of the clock at most its length is left; after a large one it is ignored."""
    process(clock).announce(30, RateLimitError("x"))
    clock.now -= 20
    assert left(process(clock)) == 30
    clock.now -= 3600
    assert process(clock).latest() is None


def test_a_clock_set_forward_ends_it(clock: Clock) -> None:
    """A clock that is set forward ends a cool-down."""
    process(clock).announce(30, RateLimitError("x"))
    clock.now += 86_400
    assert process(clock).latest() is None


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e30, 8 * 86_400])
def test_an_implausible_one_is_not_announced(clock: Clock, seconds: float) -> None:
    """Implausible lengths are not announced."""
    process(clock).announce(seconds, RateLimitError("x"))
    assert process(clock).latest() is None


@pytest.mark.parametrize(
    "name",
    [
        "cool-down",
        "cool-down.1.2",
        f"cool-down.{NOW:.0f}000.nan.RateLimitError",
        f"cool-down.{NOW:.0f}000.-5.RateLimitError",
        f"cool-down.{NOW:.0f}000.{'9' * 12}.RateLimitError",
        f"cool-down.{'9' * 15}.1000.RateLimitError",
        f"cool-down.{'9' * 200}.1000.RateLimitError",
        f"cool-down.{NOW:.0f}000.30000.RateLimitError.tmp",
        f"cool-down.{NOW:.0f}000.30000.Rate/../x".replace("/", "_"),
        f"cool-down.{NOW:.0f}000.30000.",
        f"cool-down.٣{NOW:.0f}.30000.RateLimitError",
        "cool-down.\n",
    ],
)
def test_a_hostile_name_is_ignored(clock: Clock, folder: Path, name: str) -> None:
    """A file name that is not a valid cool-down is ignored."""
    (folder / name).touch()
    assert process(clock).latest() is None
    process(clock).announce(10, RateLimitError("x"))
    assert left(process(clock)) == 10


@pytest.mark.parametrize("name", ["KeyboardInterrupt", "LLMConnectorError", "Problem", "annotations", "NoSuchError"])
def test_an_unknown_error_class_is_a_rate_limit(clock: Clock, folder: Path, name: str) -> None:
    """An unknown error class, of another version, becomes a RateLimitError; only provider errors are created."""
    (folder / f"cool-down.{NOW:.0f}000.30000.{name}").touch()
    latest = process(clock).latest()
    assert latest is not None
    assert type(latest[1]) is RateLimitError


def test_a_folder_under_such_a_name_does_no_harm(clock: Clock, folder: Path) -> None:
    """A folder with a valid name does no harm, although it cannot be removed like a file."""
    (folder / f"cool-down.{NOW - 100:.0f}000.30000.RateLimitError").mkdir()
    assert process(clock).latest() is None


def test_the_content_of_the_file_is_ignored(clock: Clock, folder: Path) -> None:
    """The file's content is not read, and a link is not followed."""
    (folder / f"cool-down.{NOW:.0f}000.30000.RateLimitError").symlink_to("/dev/zero")
    assert left(process(clock)) == 30


@pytest.mark.parametrize("trouble", ["full", "gone"])
def test_a_failure_to_write_it_is_ignored(
    clock: Clock, folder: Path, monkeypatch: pytest.MonkeyPatch, trouble: str, runtime: Path
) -> None:
    """A cool-down that cannot be written raises nothing."""
    one = process(clock)
    if trouble == "full":

        def fail(*args: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.open", fail)
    else:
        runtime.rename(runtime.with_name("away"))
        runtime.touch()
    one.announce(30, RateLimitError("x"))
    assert one.latest() is None
