"""The semaphore: a slot is held for the length of a block, and waited for until the request is stopped or late."""

from __future__ import annotations

import errno
import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from llm_sync import LLMClient, ModelRequest
from llm_sync.errors import AuthenticationError, ConfigurationError, LLMConnectorError
from llm_sync.machine import locks, semaphore
from llm_sync.machine.folder import SharedDirectory
from llm_sync.machine.semaphore import MachineSemaphore
from llm_sync.machine.tickets import Ticket
from llm_sync.runtime.cancellation import CallControl

PATIENCE_S = 10.0
BRIEF_S = 0.2


def slots(count: int = 1, identity: str = "one") -> MachineSemaphore:
    """A semaphore; each call stands for another process."""
    return MachineSemaphore(SharedDirectory(lambda: identity), count, "p")


class Asking(threading.Thread):
    """A thread that asks for a slot and keeps it until released."""

    all: ClassVar[list[Asking]] = []

    def __init__(self, shared: MachineSemaphore, until: float | None = None) -> None:
        super().__init__(daemon=True)
        self.control = CallControl()
        self.held: bool | None = None
        self.error: BaseException | None = None
        self._shared, self._until = shared, until
        self.answered, self._release = threading.Event(), threading.Event()
        self.all.append(self)
        self.start()

    def run(self) -> None:
        """Ask for the slot, and hold it."""
        try:
            with self._shared(self.control, self._until) as self.held:
                self.answered.set()
                if self.held:
                    self._release.wait(3 * PATIENCE_S)
        except BaseException as error:
            self.error = error
        self.answered.set()

    def answer(self) -> bool | None:
        """Whether it got a slot; raises its error."""
        assert self.answered.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error
        return self.held

    def release(self) -> None:
        """Release the slot."""
        self._release.set()
        self.join(PATIENCE_S)
        assert not self.is_alive()


@pytest.fixture(autouse=True)
def _release_all() -> Iterator[None]:
    """Release all slots of the test, even if it failed."""
    yield
    for each in Asking.all:
        each.control.stop_retrying()  # those that still wait hold nothing
    while Asking.all:
        Asking.all.pop().release()


def test_a_free_slot_is_taken_without_a_thread() -> None:
    """A free slot is taken without starting a thread."""
    before = set(threading.enumerate())
    with slots()(CallControl(), None) as held:
        assert held
        assert set(threading.enumerate()) <= before


def test_a_second_request_waits() -> None:
    """A second request waits until the first one releases the slot."""
    first = Asking(slots())
    assert first.answer()
    second = Asking(slots())
    assert not second.answered.wait(BRIEF_S)
    first.release()
    assert second.answer()
    second.release()


@pytest.mark.parametrize("count", [1, 2])
def test_several_slots(count: int) -> None:
    """As many requests as there are slots hold one; the next waits."""
    first = [Asking(slots(count)) for _ in range(count)]
    assert all(each.answer() for each in first)
    late = Asking(slots(count))
    assert not late.answered.wait(BRIEF_S)
    first[-1].release()
    assert late.answer()
    for each in [late, *first]:
        each.release()


def test_other_keys_do_not_wait() -> None:
    """Another provider, address or key has a semaphore of its own."""
    first, other = Asking(slots(identity="one")), Asking(slots(identity="other"))
    assert first.answer()
    assert other.answer()
    first.release()
    other.release()


def test_an_error_in_the_block_frees_the_slot() -> None:
    """An error in the block releases the slot and is raised unchanged, also an OSError."""
    with pytest.raises(OSError, match="the block's own"), slots()(CallControl(), None):
        raise OSError("the block's own")
    with slots()(CallControl(), None) as held:
        assert held


@pytest.mark.parametrize("how", ["stop_retrying", "abort"])
def test_a_stopped_request_leaves_the_queue(how: str, in_line: Callable[[], int], soon: Callable[..., None]) -> None:
    """A request that is stopped while it waits gets False and leaves the queue."""
    first = Asking(slots())
    assert first.answer()
    second, third = Asking(slots()), None
    soon(lambda: in_line() == 1)
    third = Asking(slots())
    soon(lambda: in_line() == 2)
    getattr(second.control, how)()
    assert second.answer() is False
    second.release()
    assert in_line() == 1
    first.release()
    assert third.answer()
    third.release()


def test_a_request_stopped_before_does_not_wait() -> None:
    """A request that was stopped before does not wait."""
    first = Asking(slots())
    assert first.answer()
    control = CallControl()
    control.stop_retrying()
    with slots()(control, None) as held:
        assert held is False
    first.release()


def test_the_wait_ends_in_time(in_line: Callable[[], int]) -> None:
    """The wait ends at ``until``."""
    first = Asking(slots())
    assert first.answer()
    began = time.monotonic()
    with slots()(CallControl(), began + BRIEF_S) as held:
        assert held is False
        assert time.monotonic() >= began + BRIEF_S
    assert in_line() == 0
    first.release()


def test_the_process_waited_for_is_logged(
    soon: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A waiting request logs once for which process it waits, and warns once if that process is stopped."""
    stopped = threading.Event()
    monkeypatch.setattr("llm_sync.machine.semaphore.REPORT_AFTER_S", 0.001)
    monkeypatch.setattr("llm_sync.machine.semaphore.MAX_REPORT_INTERVAL_S", 0.001)
    monkeypatch.setattr("llm_sync.machine.process_numbers.is_stopped", lambda pid: stopped.is_set())
    caplog.set_level(logging.INFO, "llm_sync.machine")
    first = Asking(slots())
    assert first.answer()
    second = Asking(slots())
    soon(lambda: caplog.records)
    stopped.set()
    soon(lambda: len(caplog.records) > 1)
    first.release()
    assert second.answer()
    second.release()
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    me = os.getpid()
    assert told == [
        ("INFO", f"p: waiting for a slot behind process {me}"),
        (
            "WARNING",
            f"p: waiting for a slot behind process {me}, which is stopped: continue it (fg, or kill -CONT {me}), or end it",
        ),
    ]


def test_the_callback_is_removed_after_the_wait() -> None:
    """After the wait, the control has no callback of it any more."""
    control = CallControl()
    first = Asking(slots())
    assert first.answer()
    with slots()(control, time.monotonic() + 0.01):
        assert control._on_stop is None
    first.release()


def test_waiting_takes_no_thread(in_line: Callable[[], int], soon: Callable[..., None]) -> None:
    """Waiting takes no thread: at the end of a process none can be started (Python 3.12 and later)."""
    before = set(threading.enumerate())
    first = Asking(slots())
    assert first.answer()
    waiting = [Asking(slots()) for _ in range(5)]
    soon(lambda: in_line() == 5)
    threads = set(threading.enumerate()) - before
    for each in waiting:
        each.control.stop_retrying()
    first.release()
    assert all(isinstance(thread, Asking) for thread in threads)


@pytest.mark.parametrize(
    ("waited", "position", "pause"),
    [(0, 1, 0.001), (0.16, 1, 0.01), (10, 1, 0.02), (10, 0, 0.02), (10, 5, 0.1), (0.16, 5, 0.01), (1000, 500, 1.0)],
)
def test_polls_become_rarer(waited: float, position: int, pause: float) -> None:
    """The pauses between polls grow with the time waited and with the position in the queue."""
    assert semaphore._pause(waited, position) == pytest.approx(pause)


def test_a_missing_key_is_raised() -> None:
    """A missing key is raised as an AuthenticationError: the semaphore depends on the key."""

    def identity() -> str:
        raise AuthenticationError("the variable is not set")

    with (
        pytest.raises(AuthenticationError, match="not set"),
        MachineSemaphore(SharedDirectory(identity), 1, "p")(CallControl(), None),
    ):
        pass


def test_a_folder_that_was_removed_is_made_again(runtime: Path) -> None:
    """A folder that was removed is created again."""
    shared = slots()
    with shared(CallControl(), None):
        pass
    runtime.rename(runtime.with_name("away"))
    with shared(CallControl(), None) as held:
        assert held
    assert list(runtime.glob("providers/one/slot-0"))


def test_a_folder_removed_while_requests_wait_is_replaced(
    runtime: Path, in_line: Callable[[], int], soon: Callable[..., None]
) -> None:
    """If the folder is removed while requests wait, they start again in a new one."""
    first = Asking(slots())
    assert first.answer()
    waiting = [Asking(slots()) for _ in range(3)]
    soon(lambda: in_line() == 3)
    runtime.rename(runtime.with_name("away"))
    soon(lambda: [each for each in waiting if each.answered.is_set()])
    for _ in range(3):
        (holder,) = wait_for_holders(waiting, soon)
        holder.release()
        waiting.remove(holder)
    first.release()


def test_a_folder_that_another_process_has_made_again_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the folder is missing for a moment and another process creates it again, it is used."""
    draw, failures = Ticket._draw, [FileNotFoundError(), NotADirectoryError()]

    def gone_first(ticket: Ticket) -> bool:
        if failures:
            raise failures.pop()
        return draw(ticket)

    monkeypatch.setattr(Ticket, "_draw", gone_first)
    with slots()(CallControl(), None) as held:
        assert held
    assert not locks._registry.locks


def wait_for_holders(asking: list[Asking], soon: Callable[..., None]) -> list[Asking]:
    """Those that hold a slot, as soon as there are any."""
    soon(lambda: any(each.answered.is_set() for each in asking))
    return [each for each in asking if each.answered.is_set()]


def test_a_ticket_removed_while_it_waits_is_drawn_again(
    runtime: Path, in_line: Callable[[], int], soon: Callable[..., None]
) -> None:
    """A ticket that a cleanup job removed is drawn again."""
    first = Asking(slots())
    assert first.answer()
    second = Asking(slots())
    soon(lambda: in_line() == 1)
    (ticket,) = runtime.glob("providers/*/ticket-*")
    ticket.unlink()
    soon(lambda: in_line() == 1)
    first.release()
    assert second.answer()
    second.release()


def test_a_folder_that_cannot_come_back_ends_the_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, soon: Callable[..., None]
) -> None:
    """If the folder cannot be created again, the wait ends with a retryable error."""
    link, bad = tmp_path / "link", tmp_path / "bad"  # by a link, the folder becomes a file in one step
    (tmp_path / "good" / "runtime").mkdir(mode=0o700, parents=True)
    bad.mkdir()
    (bad / "runtime").touch()
    link.symlink_to(tmp_path / "good")
    monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", str(link / "runtime"))
    first = Asking(slots())
    assert first.answer()
    second = Asking(slots(), until=time.monotonic() + PATIENCE_S)
    soon(lambda: len(list(link.glob("runtime/providers/*/ticket-*"))) == 1)
    (tmp_path / "other").symlink_to(bad)
    (tmp_path / "other").replace(link)
    with pytest.raises(ConfigurationError) as caught:
        second.answer()
    assert caught.value.retryable
    first.release()
    second.release()


@pytest.mark.parametrize("trouble", [errno.ENOSPC, errno.ENOLCK, errno.EMFILE])
def test_unusable_files_are_an_error(monkeypatch: pytest.MonkeyPatch, trouble: int) -> None:
    """Unusable files are a retryable error that says what to do; the request is not sent."""

    def fail(path: str) -> None:
        raise OSError(trouble, os.strerror(trouble), path)

    monkeypatch.setattr("llm_sync.machine.locks.acquire", fail)
    with pytest.raises(LLMConnectorError, match=os.strerror(trouble)) as caught, slots()(CallControl(), None):
        pass
    assert caught.value.provider == "p"
    assert caught.value.retryable
    assert "machine_wide" in str(caught.value.guidance)


def test_an_error_while_waiting_is_raised(monkeypatch: pytest.MonkeyPatch, in_line: Callable[[], int]) -> None:
    """An error while waiting is raised in the request's thread."""
    first = Asking(slots())
    assert first.answer()

    def fail(path: str) -> None:
        raise OSError(errno.EIO, "broken", path)

    monkeypatch.setattr("llm_sync.machine.locks.create", fail)
    with pytest.raises(LLMConnectorError, match="broken"), slots()(CallControl(), None):
        pass
    assert in_line() == 0
    first.release()


@pytest.mark.parametrize("how", ["a link", "open"])
def test_a_folder_that_is_not_private_is_refused(runtime: Path, tmp_path: Path, how: str) -> None:
    """A provider's folder that is a link or open to others is refused."""
    shared = slots()
    folder = runtime / "providers" / "one"
    folder.parent.mkdir(mode=0o700)
    if how == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.mkdir(mode=0o755)
    with pytest.raises(ConfigurationError, match=str(folder)), shared(CallControl(), None):
        pass


def test_a_link_in_place_of_a_lock_is_refused(runtime: Path, tmp_path: Path) -> None:
    """A link in place of a lock file is not followed."""
    folder = Path(SharedDirectory(lambda: "one").create())
    (folder / "slot-0").symlink_to(tmp_path / "precious")
    with pytest.raises(LLMConnectorError, match="slot-0"), slots()(CallControl(), None):
        pass
    assert not (tmp_path / "precious").exists()


ASK = """
control = CallControl()
sys.stdin.readline()
with slots()(control, None) as held:
    say("held")
    sys.stdin.readline()
say("freed")
"""


def asked(one: Any, in_line: Callable[[], int], soon: Callable[..., None], count: int) -> None:
    """Let a program ask, and wait until ``count`` tickets are drawn."""
    one.go_on()
    soon(lambda: in_line() == count)


def test_processes_are_served_in_the_order_of_asking(program, in_line, soon) -> None:
    """Processes are served in the order of asking, also after one that waits and one that holds are killed."""
    first, second, third, fourth, fifth = (program(ASK) for _ in range(5))
    first.go_on()
    first.read_until("held")
    # Not in the order of their starting
    for count, each in enumerate((fourth, second, fifth, third), 1):
        asked(each, in_line, soon, count)
    second.process.kill()
    second.process.wait()
    first.go_on()
    fourth.read_until("held")
    fourth.process.kill()
    fourth.process.wait()
    fifth.read_until("held")
    assert third.lines == []
    fifth.go_on()
    third.read_until("held")
    third.go_on()
    assert third.finish() == 0


FORKED = """
shared = slots()
with shared(CallControl(), None):
    child = os.fork()
    if child:
        say("parent holds")
        sys.stdin.readline()
if not child:
    say("child asks")
    with shared(CallControl(), None) as held:
        say("child holds", held)
    os._exit(0)
say("parent is done")
os.waitpid(child, 0)
"""


def test_a_child_forked_with_a_slot_held_does_not_have_it(program, in_line, soon) -> None:
    """A child that is forked while a slot is held does not hold it, and cannot release it."""
    forked = program(FORKED)
    assert sorted(forked.next_line() for _ in range(2)) == ["child asks", "parent holds"]
    soon(lambda: in_line() == 1)
    forked.go_on()
    assert {forked.next_line(), forked.next_line()} == {"parent is done", "child holds True"}
    assert forked.finish() == 0


INTERRUPTED = """
signal.signal(signal.SIGINT, signal.default_int_handler)
client = LLMClient.from_config(CONFIG)
say("ready")
try:
    client.generate("never sent")
except KeyboardInterrupt:
    say("interrupted")
client.close(cancel_pending=True)
say("closed")
"""


def test_ctrl_c_ends_the_wait_for_a_slot(program, in_line, soon, shared_config: str, upstream) -> None:
    """Ctrl-C ends the wait at once; nothing was sent, and no ticket stays."""
    with upstream.hold() as hold:
        holder = program("LLMClient.from_config(CONFIG).generate('holds'); say('answered')", shared_config)
        hold.wait()
        waiting = program(INTERRUPTED, shared_config)
        waiting.read_until("ready")
        soon(lambda: in_line() == 1)
        waiting.interrupt()
        waiting.read_until("closed")
        assert waiting.lines == ["ready", "interrupted", "closed"]
        assert waiting.finish() == 0
        assert in_line() == 0
        hold.release()
        holder.read_until("answered")
    assert len(upstream.requests) == 1


def test_nothing_is_left_open_while_the_slot_is_held(in_line: Callable[[], int], soon: Callable[..., None]) -> None:
    """Requests that gave up leave no thread, descriptor or lock, although the holder still holds the slot."""
    first = Asking(slots())
    assert first.answer()
    threads, descriptors, registered = set(threading.enumerate()), len(os.listdir("/dev/fd")), len(locks._registry.locks)
    for _ in range(3):
        waiting = [Asking(slots()) for _ in range(5)]
        soon(lambda: in_line() == 5)
        for each in waiting:
            each.control.stop_retrying()
            assert each.answer() is False
            each.join(PATIENCE_S)
        assert in_line() == 0
    assert set(threading.enumerate()) <= threads
    assert len(os.listdir("/dev/fd")) <= descriptors
    assert len(locks._registry.locks) <= registered
    first.release()
    assert not locks._registry.locks


def test_closed_clients_leave_nothing_behind(
    in_line: Callable[[], int], soon: Callable[..., None], shared_config: str, upstream: Any
) -> None:
    """Clients that are closed while they wait for a slot leave no thread, descriptor or ticket."""
    with upstream.hold() as hold:
        holder = LLMClient.from_config(shared_config)
        answer = holder.submit(ModelRequest("holds"))
        hold.wait()
        gc.collect()
        threads, descriptors = set(threading.enumerate()), len(os.listdir("/dev/fd"))
        for _ in range(5):
            client = LLMClient.from_config(shared_config)
            client.submit(ModelRequest("never sent"))
            soon(lambda: in_line() == 1)
            client.close(cancel_pending=True, grace=0)
            soon(lambda: in_line() == 0)
        del client
        gc.collect()
        soon(lambda: set(threading.enumerate()) <= threads)
        soon(lambda: len(os.listdir("/dev/fd")) <= descriptors)
        hold.release()
        answer.result(PATIENCE_S)
        holder.close()
    assert len(upstream.requests) == 1
