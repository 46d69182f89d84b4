"""Nothing is paid for twice and nothing that was paid for is lost, wherever a run is killed or its disk fails.

Each way of ending is tried at every call by which a run touches the disk, from its first byte to the removal of its journal.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import random
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import CONFIG, Batch, Far, completion, failure

from llm_sync import LLMClient
from llm_sync.batch.state.journal import Journal
from llm_sync.config import ConfigLoader
from llm_sync.errors import LLMConnectorError
from llm_sync.simulator import Simulator

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")

TOUCHING = ("write", "replace", "unlink", "fsync", "chmod")
PROMPTS = ("p", "limited", "broken", "cut", "blocked", "q")
EXPECTED = ["echo p", "echo limited", "echo broken", "half", "ContentBlockedError", "echo q"]


def script(far: Far) -> int:
    """The faults of one run; how many of them lead to a further attempt."""
    far.script("limited", failure(429, "slow down", ("Retry-After", "0")))
    far.script("broken", failure(200, "overloaded", code=502))
    far.script("cut", *[completion("half", "length")] * 9)
    far.script("blocked", *[completion("", "content_filter")] * 9)
    return 2


def lines(job: Batch) -> None:
    """Two providers, so that one is in flight while the other is killed."""
    job.lines(*({"prompt": prompt, "model": ("a/m", "b/m2")[number % 2]} for number, prompt in enumerate(PROMPTS)))


class Trap:
    """Counts the calls of ``os`` by which the disk is touched, and does something at the ``at``-th."""

    def __init__(self, at: int, act: Callable[[Callable[..., Any], tuple[Any, ...]], Any]) -> None:
        self.count = 0
        self._at = at
        self._act = act
        self._real = {name: getattr(os, name) for name in TOUCHING}

    def set(self) -> None:
        """From now on."""
        for name, real in self._real.items():
            setattr(os, name, lambda *arguments, _real=real, **options: self._call(_real, arguments, options))

    def spring(self) -> None:
        """No longer."""
        for name, real in self._real.items():
            setattr(os, name, real)

    def _call(self, real: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        self.count += 1
        if self.count == self._at:
            return self._act(real, arguments)
        return real(*arguments, **options)


def kill_before(*_: Any) -> None:
    """The process is gone before the call, and so after the one before it."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_within(real: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """The process is gone in the middle of a write, or right after any other call."""
    if real.__name__ == "write":
        real(arguments[0], arguments[1][: len(arguments[1]) // 2])
    else:
        real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_child(run: Callable[[], object]) -> int:
    """Run it in a forked process; the status it ended with, negative for a signal."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run()
            status = 0
        except BaseException:  # the status reports it to the parent
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def open_client(simulator: Simulator, concurrency: int = 1) -> LLMClient:
    """A client of its own, as each process has."""
    text = CONFIG.replace("{type: openai,", f"{{type: openai, concurrency: {concurrency},")
    text = text.replace("<openai>", simulator.url("openai")).replace("<anthropic>", simulator.url("anthropic"))
    return LLMClient(ConfigLoader().load_text(text))


def told(path: Path) -> list[Any]:
    """What does not differ between two runs of the same."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        record = json.loads(line)
        answer = record["response"] or {}
        kept = {name: answer.get(name) for name in ("text", "model", "finish_reason", "usage", "truncated", "id")}
        error = (record["error"] or {}).get("type")
        found.append([record[name] for name in ("index", "id", "provider", "model", "line_hash", "request_hash")] + [kept, error])
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The output of a run that nothing happens to."""
    far = Far()
    script(far)
    folder = tmp_path_factory.mktemp("undisturbed")
    with Simulator(on_request=far) as simulator, open_client(simulator) as client:
        job = Batch(folder, client)
        lines(job)
        job.run()
        assert job.texts() == EXPECTED
        return told(job.output)


@pytest.mark.parametrize("act", [kill_before, kill_within])
def test_a_kill_at_any_touch_of_the_disk_costs_no_answer_and_no_second_bill(
    job: Batch, far: Far, simulator: Simulator, undisturbed: list[Any], act: Any
) -> None:
    """Killed there, and run again: the output is the undisturbed one's, and whatever was billed twice is listed."""
    lines(job)
    at, killed = 0, True
    while killed:
        at += 1
        for path in job.output.parent.glob("out.*"):
            path.unlink()
        far.asked.clear()
        far.answered.clear()
        far.scripted.clear()
        further = script(far)

        def run(at: int = at) -> None:
            with open_client(simulator) as client:
                Trap(at, act).set()
                job.run(client=client)

        killed = in_a_child(run) == -signal.SIGKILL
        simulator.wait_for_connections(at_most=0)  # what the killed one sent is all in the account
        with open_client(simulator) as client:
            summary = job.run(client=client)
        assert told(job.output) == undisturbed, at
        in_flight = 2 if killed else 0
        assert len(far.asked) <= len(PROMPTS) + further + in_flight, at
        twice = Counter({prompt: count - 1 for prompt, count in far.answered.items() if count > 1})
        listed = {PROMPTS[key.position]: times for key, times in summary.possibly_billed}
        assert all(listed.get(prompt, 0) >= times for prompt, times in twice.items()), (at, twice, listed)
        assert not job.part.exists()
    assert at > 2 * len(PROMPTS)  # each line is two writes, and there is more to a run


@pytest.mark.parametrize(
    ("written", "lasting"),
    [
        (0, True),
        (10, False),
        pytest.param(10, True, marks=pytest.mark.soak),
        pytest.param(0, False, marks=pytest.mark.soak),
    ],
)
def test_a_disk_that_fails_at_any_touch_costs_no_answer_and_no_second_bill(
    job: Batch, far: Far, undisturbed: list[Any], written: int, lasting: bool, monkeypatch: Any, tmp_path: Path
) -> None:
    """The run stops, says where its answers are, and goes on later; what it had in hand is not asked again."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    lines(job)
    at, failed = 0, True
    while failed:
        at += 1
        for path in [*job.output.parent.glob("out.*"), *elsewhere.iterdir()]:
            path.unlink()
        far.asked.clear()
        far.answered.clear()
        far.scripted.clear()
        further = script(far)
        trap = Trap(at, lambda real, arguments: _full(trap, real, arguments, written, lasting, elsewhere))  # noqa: B023
        trap.set()
        try:
            job.run()
            failed = trap.count >= at
        except (OSError, LLMConnectorError) as error:
            rescue(job, str(error), elsewhere)
        finally:
            trap.spring()
        summary = job.run()
        assert told(job.output) == undisturbed, at
        assert len(far.asked) <= len(PROMPTS) + further, at
        assert all(count == 1 for count in far.answered.values()), (at, far.answered)
        assert summary.unsure == 0, (at, summary.possibly_billed)
        assert not job.part.exists()
    assert at > 2 * len(PROMPTS)


def _full(trap: Trap, real: Any, arguments: tuple[Any, ...], written: int, lasting: bool, elsewhere: Path) -> Any:
    """The disk is full, from now on or this once; another disk, where answers are rescued to, is not."""
    if lasting:
        trap._at += 1
    if isinstance(arguments[0], (str, Path)) and str(arguments[0]).startswith(str(elsewhere)):
        return real(*arguments)
    if real.__name__ == "write" and written and len(arguments[1]) > written:
        trap._at = trap.count + 1  # what is left of this line does not fit
        return real(arguments[0], arguments[1][:written])
    raise OSError(errno.ENOSPC, "No space left on device")


def rescue(job: Batch, message: str, elsewhere: Path) -> None:
    """Do what the message says: add what was rescued to the journal."""
    for path in elsewhere.iterdir():
        assert str(path) in message
        with job.part.open("ab") as journal:
            journal.write(path.read_bytes())


def killed_again_and_again(
    job: Batch, far: Far, simulator: Simulator, run: Callable[[], object], kills: int, most: int = 7
) -> tuple[int, int]:
    """A batch as a user lives it, killed at random moments, after ``most`` requests at the latest, started again, and finished at
    last.

    How many answers were billed beside one for each line, and how many requests were in flight at the kills.
    """
    chance = random.Random(11)  # noqa: S311  (not a secret)
    prompts = [f"p{number}" for number in range(120)]
    for prompt in chance.sample(prompts, 12):
        far.script(prompt, failure(503))
    job.lines(*({"prompt": prompt, "model": ("a/m", "b/m2")[number % 2]} for number, prompt in enumerate(prompts)))
    in_flight = 0
    for _ in range(kills):
        target = len(far.asked) + chance.randrange(1, most + 1)
        far.allow(target)
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                run()
            os._exit(0)
        assert far.wait(target)
        far.last.forget_closed()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        far.allow(None)
        simulator.wait_for_connections(at_most=0)  # what it sent is all in the account
        in_flight += far.last.closed(lambda record: record.index in far.billed)
    assert not job.output.exists()
    summary = job.run()
    assert job.texts() == [f"echo {prompt}" for prompt in prompts]
    listed = {prompts[key.position]: times for key, times in summary.possibly_billed}
    assert all(listed.get(prompt, 0) >= count - 1 for prompt, count in far.answered.items())
    return far.answered.total() - len(prompts), in_flight


def test_ten_kills_at_random_moments(job: Batch, far: Far, simulator: Simulator) -> None:
    """What was paid for beyond one answer a line was in flight at a kill, by the server's own account, and is listed."""

    def run() -> None:
        with open_client(simulator) as client:
            job.run(client=client)

    more, in_flight = killed_again_and_again(job, far, simulator, run, 10)
    assert more <= in_flight <= 2 * 10


def test_kills_of_a_run_with_several_requests_in_flight(job: Batch, far: Far, simulator: Simulator) -> None:
    """Each costs as many answers as are in flight at most, two for each provider, and all of them are listed.

    The server cannot tell which of them the client has not read yet.
    """

    def run() -> None:
        with open_client(simulator, concurrency=2) as client:
            job.run(client=client)

    more, _ = killed_again_and_again(job, far, simulator, run, 5, most=24)
    assert more <= 2 * 2 * 5


def test_the_account_of_kills_would_tell_of_a_lost_answer(job: Batch, far: Far, simulator: Simulator) -> None:
    """A journal that forgets two outcomes in three is found out: the bound above is one that can be missed."""

    def run() -> None:
        add, count = Journal.add_all, itertools.count(1)

        def forgetful(self: Journal, lines: list[bytes]) -> list[int]:
            return [0 if next(count) % 3 else add(self, [line])[0] for line in lines]

        Journal.add_all = forgetful  # type: ignore[method-assign]
        with open_client(simulator) as client:
            job.run(client=client)

    more, in_flight = killed_again_and_again(job, far, simulator, run, 10)
    assert more > in_flight
