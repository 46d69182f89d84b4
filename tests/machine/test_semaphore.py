"""Slots: held for as long as a block lasts, waited for as long as the request wants to, by threads and by processes."""

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
    """Each stands for a process of its own."""
    return MachineSemaphore(SharedDirectory(lambda: identity), count, "p")


class Asking(threading.Thread):
    """Asks at once, and keeps what it gets until released."""

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
        """Ask, and hold."""
        try:
            with self._shared(self.control, self._until) as self.held:
                self.answered.set()
                if self.held:
                    self._release.wait(3 * PATIENCE_S)
        except BaseException as error:
            self.error = error
        self.answered.set()

    def answer(self) -> bool | None:
        """What it got."""
        assert self.answered.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error
        return self.held

    def release(self) -> None:
        """Give it back."""
        self._release.set()
        self.join(PATIENCE_S)
        assert not self.is_alive()


@pytest.fixture(autouse=True)
def _let_go() -> Iterator[None]:
    """A test that failed holds up no other."""
    yield
    while Asking.all:
        Asking.all.pop().release()


def test_a_free_slot_is_taken_without_a_thread() -> None:
    """The usual case costs a few system calls."""
    before = set(threading.enumerate())
    with slots()(CallControl(), None) as held:
        assert held
        assert set(threading.enumerate()) <= before


def test_another_one_waits_and_follows() -> None:
    """Across what stands for processes."""
    first = Asking(slots())
    assert first.answer()
    second = Asking(slots())
    assert not second.answered.wait(BRIEF_S)
    first.release()
    assert second.answer()
    second.release()


@pytest.mark.parametrize("count", [1, 2])
def test_as_many_as_there_are(count: int) -> None:
    """And no more, in the order of asking."""
    first = [Asking(slots(count)) for _ in range(count)]
    assert all(each.answer() for each in first)
    late = Asking(slots(count))
    assert not late.answered.wait(BRIEF_S)
    first[-1].release()
    assert late.answer()
    for each in [late, *first]:
        each.release()


def test_other_keys_do_not_wait() -> None:
    """Each provider, address and key has a line of its own."""
    first, other = Asking(slots(identity="one")), Asking(slots(identity="other"))
    assert first.answer()
    assert other.answer()
    first.release()
    other.release()


def test_an_error_in_the_block_frees_the_slot() -> None:
    """And is raised as it is, an OSError too: it is not the slot's."""
    with pytest.raises(OSError, match="the block's own"), slots()(CallControl(), None):
        raise OSError("the block's own")
    with slots()(CallControl(), None) as held:
        assert held


@pytest.mark.parametrize("how", ["stop_retrying", "abort"])
def test_who_is_told_to_stop_waits_no_longer(how: str, in_line: Callable[[], int], soon: Callable[..., None]) -> None:
    """It gets False, and leaves the line: who asked later is next."""
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


def test_who_was_told_before_does_not_wait_at_all() -> None:
    """The telling came before the asking."""
    first = Asking(slots())
    assert first.answer()
    control = CallControl()
    control.stop_retrying()
    with slots()(control, None) as held:
        assert held is False
    first.release()


def test_it_does_not_come_later_than_it_may(in_line: Callable[[], int]) -> None:
    """At monotonic ``until`` the line is left."""
    first = Asking(slots())
    assert first.answer()
    began = time.monotonic()
    with slots()(CallControl(), began + BRIEF_S) as held:
        assert held is False
        assert time.monotonic() >= began + BRIEF_S
    assert in_line() == 0
    first.release()


def test_who_waits_is_told_whom_for(
    soon: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once; and once more, as a warning, when that process is stopped, by Ctrl-Z for instance."""
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


def test_a_control_hears_no_more_of_a_wait_that_is_over() -> None:
    """The next one who waits on the same request is told instead."""
    control = CallControl()
    first = Asking(slots())
    assert first.answer()
    with slots()(control, time.monotonic() + 0.01):
        assert control._on_stop is None
    first.release()


def test_waiting_takes_no_thread(in_line: Callable[[], int], soon: Callable[..., None]) -> None:
    """Neither at the end of the process, when none can be started (Python 3.12 and later), nor for those who give up."""
    first = Asking(slots())
    assert first.answer()
    waiting = [Asking(slots()) for _ in range(5)]
    soon(lambda: in_line() == 5)
    threads = {thread for thread in threading.enumerate() if not isinstance(thread, Asking)}
    assert not any(thread.name.startswith("llm-sync") for thread in threads)
    for each in waiting:
        each.control.stop_retrying()
    first.release()


@pytest.mark.parametrize(
    ("waited", "position", "pause"),
    [(0, 1, 0.001), (0.16, 1, 0.01), (10, 1, 0.02), (10, 0, 0.02), (10, 5, 0.1), (0.16, 5, 0.01), (1000, 500, 1.0)],
)
def test_polls_become_rarer(waited: float, position: int, pause: float) -> None:
    """The first in the queue loses little time, and a long queue takes little CPU."""
    assert semaphore._pause(waited, position) == pytest.approx(pause)


def test_no_key_no_slot() -> None:
    """Whose line it is, only the key tells: its absence is told as ever."""

    def identity() -> str:
        raise AuthenticationError("the variable is not set")

    with (
        pytest.raises(AuthenticationError, match="not set"),
        MachineSemaphore(SharedDirectory(identity), 1, "p")(CallControl(), None),
    ):
        pass


def test_a_folder_that_was_removed_is_made_again(runtime: Path) -> None:
    """At the end of a login session, for instance."""
    shared = slots()
    with shared(CallControl(), None):
        pass
    runtime.rename(runtime.with_name("away"))
    with shared(CallControl(), None) as held:
        assert held
    assert list(runtime.glob("providers/one/slot-0"))


def test_a_folder_removed_while_requests_wait_holds_up_nobody(
    runtime: Path, in_line: Callable[[], int], soon: Callable[..., None]
) -> None:
    """They start again in a new one, in whatever order; the old slot is nobody's any more."""
    first = Asking(slots())
    assert first.answer()
    waiting = [Asking(slots()) for _ in range(3)]
    soon(lambda: in_line() == 3)
    runtime.rename(runtime.with_name("away"))
    soon(lambda: [each for each in waiting if each.answered.is_set()])
    for _ in range(3):
        (holder,) = soon_holders(waiting, soon)
        holder.release()
        waiting.remove(holder)
    first.release()


def test_a_folder_that_another_process_has_made_again_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removed when one process looked, there again when it looks why."""
    draw, failures = Ticket._draw, [FileNotFoundError(), NotADirectoryError()]

    def gone_first(ticket: Ticket) -> bool:
        if failures:
            raise failures.pop()
        return draw(ticket)

    monkeypatch.setattr(Ticket, "_draw", gone_first)
    with slots()(CallControl(), None) as held:
        assert held
    assert not locks._registry.locks


def soon_holders(asking: list[Asking], soon: Callable[..., None]) -> list[Asking]:
    """Those that hold a slot, once there are any."""
    soon(lambda: any(each.answered.is_set() for each in asking))
    return [each for each in asking if each.answered.is_set()]


def test_a_ticket_removed_while_it_waits_is_drawn_again(
    runtime: Path, in_line: Callable[[], int], soon: Callable[..., None]
) -> None:
    """Jobs that clean temporary folders remove files."""
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
    runtime: Path, in_line: Callable[[], int], soon: Callable[..., None]
) -> None:
    """With an error that may pass: the next run asks again."""
    first = Asking(slots())
    assert first.answer()
    second = Asking(slots(), until=time.monotonic() + PATIENCE_S)
    soon(lambda: in_line() == 1)
    runtime.rename(runtime.with_name("away"))
    runtime.touch()
    with pytest.raises(ConfigurationError) as caught:
        second.answer()
    assert caught.value.retryable
    first.release()
    second.release()


@pytest.mark.parametrize("trouble", [errno.ENOSPC, errno.ENOLCK, errno.EMFILE])
def test_files_that_cannot_be_used_are_told(monkeypatch: pytest.MonkeyPatch, trouble: int) -> None:
    """The request is not sent, rather than sent against the rule; the error says what to do."""

    def fail(path: str) -> None:
        raise OSError(trouble, os.strerror(trouble), path)

    monkeypatch.setattr("llm_sync.machine.locks.acquire", fail)
    with pytest.raises(LLMConnectorError, match=os.strerror(trouble)) as caught, slots()(CallControl(), None):
        pass
    assert caught.value.provider == "p"
    assert caught.value.retryable
    assert "machine_wide" in str(caught.value.guidance)


def test_trouble_while_waiting_is_told(monkeypatch: pytest.MonkeyPatch, in_line: Callable[[], int]) -> None:
    """It arises in the thread that waits, and is raised where the request does."""
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
def test_a_line_that_is_not_private_is_refused(runtime: Path, tmp_path: Path, how: str) -> None:
    """Also when it became so later."""
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


def test_a_hostile_file_in_the_line_is_told(runtime: Path, tmp_path: Path) -> None:
    """A link in the place of a lock is not followed."""
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
    """Let a program ask; it stands in the line, as the ``count``-th."""
    one.go_on()
    soon(lambda: in_line() == count)


def test_processes_are_served_in_the_order_of_asking(program, in_line, soon) -> None:
    """Also past one that was killed while it waited, and one that was killed while it held."""
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
    """Leaving the block in the child frees nothing; the child asks as anybody does, and follows."""
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
    """At once; nothing was sent, and nobody in the line is left behind."""
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
    """Those who gave up leave no thread, descriptor or lock, though the holder goes on."""
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
    """Clients that are closed while they wait for the slot of another one, again and again."""
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
