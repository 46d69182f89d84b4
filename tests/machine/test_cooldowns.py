"""Cool-downs told from process to process: the longest counts, and no file, clock or name can do harm."""

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
    """Seconds since 1970 that pass only when told."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The machine's."""
    return Clock()


@pytest.fixture
def folder(runtime: Path) -> Path:
    """Where they lie."""
    return Path(SharedDirectory(lambda: "one").create())


def process(clock: Clock, identity: str = "one") -> CoolDowns:
    """Those that one process sees."""
    return CoolDowns(SharedDirectory(lambda: identity), clock)


def left(one: CoolDowns) -> float | None:
    """The seconds left, to the millisecond."""
    found = one.latest()
    return None if found is None else round(found[0], 3)


def test_nobody_was_told_anything(clock: Clock) -> None:
    """The folder is not even there."""
    assert process(clock).latest() is None


@pytest.mark.parametrize("kind", [RateLimitError, ProviderUnavailableError])
def test_what_one_is_told_the_others_know(clock: Clock, folder: Path, kind: type[LLMConnectorError]) -> None:
    """How long, and what kind of trouble; nothing of the message, which is the provider's."""
    process(clock).announce(30, kind("limit of org-17 reached", status=429))
    clock.now += 10
    found = process(clock).latest()
    assert found is not None
    assert found[0] == 20
    assert type(found[1]) is kind
    assert "org-17" not in found[1].message + "".join(os.listdir(folder))


def test_it_is_told_in_private(clock: Clock, folder: Path) -> None:
    """Mode 0600."""
    process(clock).announce(30, RateLimitError("x"))
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_other_keys_are_not_held_back(clock: Clock) -> None:
    """Limits are a key's."""
    process(clock).announce(30, RateLimitError("x"))
    assert process(clock, "other").latest() is None


def test_the_longest_counts(clock: Clock) -> None:
    """Whatever comes later, in whichever process."""
    process(clock).announce(5, RateLimitError("x"))
    process(clock).announce(30, ProviderUnavailableError("x"))
    process(clock).announce(10, RateLimitError("x"))
    assert left(process(clock)) == 30
    found = process(clock).latest()
    assert found is not None
    assert type(found[1]) is ProviderUnavailableError


def test_what_adds_nothing_makes_no_file(clock: Clock, folder: Path) -> None:
    """Twenty processes that are told the same leave a file or few, not one each for as long as it lasts."""
    for _ in range(20):
        process(clock).announce(30, RateLimitError("x"))
    assert len(list(folder.iterdir())) == 1


def test_one_that_is_over_is_removed(clock: Clock, folder: Path) -> None:
    """By whoever finds it."""
    process(clock).announce(30, RateLimitError("x"))
    clock.now += 30
    assert process(clock).latest() is None
    assert list(folder.iterdir()) == []


def test_a_clock_set_back_does_not_prolong_it(clock: Clock) -> None:
    """A little: at most its whole length is left. Much: it is not believed."""
    process(clock).announce(30, RateLimitError("x"))
    clock.now -= 20
    assert left(process(clock)) == 30
    clock.now -= 3600
    assert process(clock).latest() is None


def test_a_clock_set_forward_ends_it(clock: Clock) -> None:
    """The provider will say so again if it was too early."""
    process(clock).announce(30, RateLimitError("x"))
    clock.now += 86_400
    assert process(clock).latest() is None


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e30, 8 * 86_400])
def test_what_is_no_cool_down_is_not_told(clock: Clock, seconds: float) -> None:
    """None, or one that nobody means."""
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
    """Whoever put it there."""
    (folder / name).touch()
    assert process(clock).latest() is None
    process(clock).announce(10, RateLimitError("x"))
    assert left(process(clock)) == 10


@pytest.mark.parametrize("name", ["KeyboardInterrupt", "LLMConnectorError", "Problem", "annotations", "NoSuchError"])
def test_an_unknown_kind_of_trouble_is_a_rate_limit(clock: Clock, folder: Path, name: str) -> None:
    """Another version may know more kinds; only errors of providers are made."""
    (folder / f"cool-down.{NOW:.0f}000.30000.{name}").touch()
    found = process(clock).latest()
    assert found is not None
    assert type(found[1]) is RateLimitError


def test_a_folder_under_such_a_name_does_no_harm(clock: Clock, folder: Path) -> None:
    """It cannot be removed as a file is."""
    (folder / f"cool-down.{NOW - 100:.0f}000.30000.RateLimitError").mkdir()
    assert process(clock).latest() is None


def test_what_is_in_the_file_does_not_matter(clock: Clock, folder: Path) -> None:
    """It is not read; a link is not followed."""
    (folder / f"cool-down.{NOW:.0f}000.30000.RateLimitError").symlink_to("/dev/zero")
    assert left(process(clock)) == 30


@pytest.mark.parametrize("trouble", ["full", "gone"])
def test_what_cannot_be_told_costs_nothing(
    clock: Clock, folder: Path, monkeypatch: pytest.MonkeyPatch, trouble: str, runtime: Path
) -> None:
    """A full disk, or no folder to be had: the process that was told keeps to it all the same."""
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
