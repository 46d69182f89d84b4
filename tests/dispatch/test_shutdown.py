"""The end of the process, in processes of their own: what is queued is done or cancelled, and the process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import llm_sync
from llm_sync.dispatch import shutdown as module

QUEUED = """
first = Call("first", hold=True)
manager.submit("a", first)
for name in ("second", "third"):
    manager.submit("a", Call(name))
first.entered.wait()
threading.Timer(0.1, first.go.set).start()
"""
DONE = [f"{what} {name}" for name in ("first", "second", "third") for what in ("start", "end")]


@pytest.mark.parametrize(
    ("ending", "status"),
    [("", 0), ("sys.exit(3)", 3), ("raise ValueError('uncaught')", 1), ("sys.exit('text')", 1), ("manager.close()", 0)],
    ids=["return", "sys.exit", "exception", "sys.exit with text", "closed"],
)
def test_queued_work_is_done_before_the_end(script, ending, status):
    """Normal return, sys.exit and an uncaught exception: all requests are made, whether or not the client is closed."""
    program = script(QUEUED + ending)
    assert program.finish() == status
    assert program.lines == DONE


def test_without_the_private_registration(script):
    """Where threading._register_atexit is missing, daemon workers and atexit do the same."""
    program = script("del threading._register_atexit\n" + QUEUED + "say(manager.queue('a')._pool._threads[0].daemon)")
    assert program.finish() == 0
    assert sorted(program.lines) == sorted([*DONE, "True"])


@pytest.mark.parametrize("ending", ["", "sys.exit(0)", "manager.close()", "del manager"])
def test_an_idle_worker_does_not_hold_the_end_up(script, ending):
    """A worker that waits for work, up to a minute, ends with the program."""
    program = script("manager.call('a', Call('only'))\nsay('over')\n" + ending)
    assert program.finish(within=5) == 0
    assert program.lines == ["start only", "end only", "over"]


def test_nothing_used_nothing_done(script):
    """A program that makes a manager and never uses it has no thread, hook or delay from it."""
    program = script("say(threading.active_count(), len(threading._threading_atexits))")
    assert program.finish(within=5) == 0
    assert program.lines == ["1 0"]


CTRL_C = """
shutdown.GRACE_S = 0.3
flying = Call("flying", hold=True, stops={stops})
other = Call("other", hold=True, stops=True)
manager.submit("b", other)
manager.submit("b", Call("never"))
other.entered.wait()
"""


def test_ctrl_c_in_a_blocking_call(script):
    """The caller dies of KeyboardInterrupt: its request is aborted, others in flight end without retries, the rest is unsent."""
    program = script(CTRL_C.format(stops=False) + "manager.call('a', flying)")
    program.read_until("start flying")
    program.interrupt()
    assert program.finish() in (-signal.SIGINT, 130)
    assert "KeyboardInterrupt" in program.errors
    assert "abort flying" in program.lines
    assert "stop_retrying other" in program.lines
    assert "abort other" not in program.lines
    assert "end other" in program.lines
    assert "start never" not in program.lines


def test_ctrl_c_outside_of_a_call(script):
    """The main thread dies elsewhere: requests in flight make no further attempt and are aborted after the grace period."""
    program = script(CTRL_C.format(stops=False) + "manager.submit('a', flying)\nflying.entered.wait()\npause()")
    program.read_until("start flying")
    program.interrupt()
    assert program.finish() in (-signal.SIGINT, 130)
    assert program.lines.index("stop_retrying flying") < program.lines.index("abort flying")
    assert program.lines[-1] == "end flying"
    assert "abort other" not in program.lines
    assert "start never" not in program.lines


def test_grace_is_five_seconds():
    """As documented."""
    assert module.GRACE_S == 5.0


CAUGHT = """
try:
    manager.call("a", flying)
except KeyboardInterrupt:
    {after}
"""


@pytest.mark.parametrize("after", ["sys.exit(130)", "pass"])
def test_ctrl_c_caught_on_the_way_out(script, after):
    """The usual ``except KeyboardInterrupt: sys.exit(130)`` sends nothing more either."""
    program = script(CTRL_C.format(stops=False) + CAUGHT.format(after=after))
    program.read_until("start flying")
    program.interrupt()
    assert program.finish() == (130 if "exit" in after else 0)
    assert "start never" not in program.lines


def test_ctrl_c_caught_and_gone_on(script):
    """A program that catches Ctrl-C and submits again is not dying: its queued work is done."""
    after = "manager.call('a', Call('next')); other.go.set()"
    program = script(CTRL_C.format(stops=False) + CAUGHT.format(after=after))
    program.read_until("start flying")
    program.interrupt()
    assert program.finish() == 0
    assert "end next" in program.lines
    assert "end never" in program.lines


def test_ctrl_c_while_draining(script):
    """Ctrl-C while queued work is finished after a normal return: the rest is cancelled and the process ends."""
    program = script(
        """
import logging
logging.basicConfig()
class Joined(ProviderRequestQueue):
    def join(self, timeout=None):
        say("draining")
        return super().join(timeout)
def provider(name):
    return Joined(name)
"""
        + CTRL_C.format(stops=False)
    )
    program.read_until("draining")
    program.interrupt()
    assert program.finish() == 0
    assert "stop_retrying other" in program.lines
    assert "start never" not in program.lines
    assert "cancelled" in program.errors


def test_a_second_ctrl_c_ends_the_grace(script):
    """The second Ctrl-C does not wait for the grace: what is in flight is aborted at once."""
    body = CTRL_C.replace("0.3", "60").format(stops=False) + "manager.submit('a', flying)\nflying.entered.wait()\npause()"
    program = script(body)
    program.read_until("start flying")
    program.interrupt()
    program.read_until("stop_retrying flying")
    program.interrupt()
    program.finish(within=10)
    assert "abort flying" in program.lines


SUBMIT = """
import atexit
def attempt(where):
    try:
        say(where, "answered", manager.call("a", Call(where)))
    except ClientClosedError as error:
        say(where, "refused", error.message)
def outlive(where):
    threading.main_thread().join()
    attempt(where)
"""


def test_calls_after_the_main_thread_are_answered(script):
    """In exit hooks before and after the drain, in threads that outlive the main thread, and in exit handlers."""
    program = script(
        SUBMIT
        + """
threading._register_atexit(attempt, "hook after")
manager.call("a", Call("first"))
threading._register_atexit(attempt, "hook before")
atexit.register(attempt, "atexit")
for number in range(3):
    threading.Thread(target=outlive, args=[f"thread {number}"]).start()
"""
    )
    assert program.finish() == 0
    for where in ("hook before", "hook after", "thread 0", "thread 1", "thread 2", "atexit"):
        assert program.lines.count(f"{where} answered {where}") == 1


def test_a_first_call_after_the_main_thread_is_answered(script):
    """A queue that was never used runs the request in the thread that asks: it has no worker and may start none."""
    program = script("import atexit\natexit.register(lambda: say(manager.call('a', threading.current_thread).name))")
    assert program.finish() == 0
    assert program.lines == ["MainThread"]


def test_calls_after_the_main_thread_keep_to_the_concurrency(script):
    """Six threads outlive the main thread: no more than two of their requests are in flight at once."""
    program = script(
        """
def provider(name):
    return ProviderRequestQueue(name, concurrency=2)
lock, flying, most = threading.Lock(), [], []
class Counted(Call):
    def __call__(self):
        with lock:
            flying.append(self)
            most.append(len(flying))
        time.sleep(0.05)
        with lock:
            flying.remove(self)
def outlive():
    threading.main_thread().join()
    manager.call("a", Counted("x"))
threads = [threading.Thread(target=outlive) for _ in range(6)]
for thread in threads:
    thread.start()
def watch():
    for thread in threads:
        thread.join()
    say(len(most), max(most))
threading.Thread(target=watch).start()
"""
    )
    assert program.finish() == 0
    assert program.lines == ["6 2"]


def test_calls_after_the_main_thread_wait_for_those_before(script):
    """A request of an exit hook goes after those that were queued when the main thread ended."""
    program = script(SUBMIT + QUEUED + "threading._register_atexit(attempt, 'hook')\n")
    assert program.finish() == 0
    assert program.lines == [*DONE, "start hook", "end hook", "hook answered hook"]


def test_an_executor_that_is_never_shut_down(script):
    """Its threads go on with their work after the main thread, and all of their calls are answered."""
    program = script(
        SUBMIT
        + """
from concurrent.futures import ThreadPoolExecutor
executor = ThreadPoolExecutor(4)
for number in range(20):
    executor.submit(attempt, number)
"""
    )
    assert program.finish() == 0
    assert sum(" answered " in line for line in program.lines) == 20


def test_a_limited_wait_in_an_exit_handler(script):
    """The call is asked to end when its caller stops waiting: no other thread could give it up."""
    program = script(
        """
import atexit
class Limited(Call):
    def end_at(self, until):
        say("limited", 0 < until - time.monotonic() <= 5)
atexit.register(lambda: say(manager.call("a", Limited("x"), timeout=5)))
"""
    )
    assert program.finish() == 0
    assert program.lines == ["limited True", "start x", "end x", "x"]


def test_a_callback_of_a_call_in_an_exit_handler_may_submit(script):
    """The further request runs at once; waiting for the same provider would be waiting for oneself, and raises."""
    program = script(
        """
import atexit
def callback(_):
    say(manager.submit("a", Call("second")).result())
    try:
        manager.call("a", Call("third"))
    except RuntimeError as error:
        say("RuntimeError")
def handler():
    first = Call("first")
    queue = manager.queue("a")
    future = queue.prepare(first)
    future.add_done_callback(callback)
    queue.accept(future)
atexit.register(handler)
"""
    )
    assert program.finish() == 0
    assert program.lines == ["start first", "end first", "start second", "end second", "second", "RuntimeError"]


def test_ctrl_c_in_an_exit_handler(script):
    """It ends the call in the handler, as it ends any other; later handlers send nothing more."""
    program = script(
        SUBMIT
        + """
atexit.register(attempt, "last")
def handler():
    try:
        manager.call("a", pause)
    except KeyboardInterrupt:
        say("KeyboardInterrupt")
atexit.register(handler)
def pause():
    say("waiting")
    while True:
        time.sleep(0.05)
"""
    )
    program.read_until("waiting")
    program.interrupt()
    assert program.finish() == 0
    assert program.lines[:2] == ["waiting", "KeyboardInterrupt"]
    assert program.lines[2].startswith("last refused the program is ending after Ctrl-C")


def test_nothing_is_sent_after_ctrl_c(script):
    """When Ctrl-C has ended the main thread, exit handlers and threads that go on are refused."""
    program = script(
        SUBMIT
        + """
manager.call("a", Call("first"))
atexit.register(attempt, "atexit")
threading.Thread(target=outlive, args=["thread"]).start()
say("ready")
pause()
"""
    )
    program.read_until("ready")
    program.interrupt()
    assert program.finish() in (-signal.SIGINT, 130)
    refused = [line for line in program.lines if "refused the program is ending after Ctrl-C" in line]
    assert sorted(line.split()[0] for line in refused) == ["atexit", "thread"]
    assert "answered" not in " ".join(program.lines)


def test_a_callback_on_a_worker_submits_nothing_at_the_end(script):
    """A worker thread finishes what is queued and ends: a callback that goes on for ever would keep the process up."""
    program = script(
        """
last = Call("last", hold=True)
future = manager.submit("a", last)
def callback(_):
    try:
        manager.submit("a", Call("more"))
    except ClientClosedError as error:
        say("refused", error.message)
future.add_done_callback(callback)
def release():
    while not shutdown.shutting_down():
        time.sleep(0.01)
    last.go.set()
threading.Thread(target=release).start()
last.entered.wait()
"""
    )
    assert program.finish() == 0
    assert program.lines[:2] == ["start last", "end last"]
    assert program.lines[2].startswith("refused the program is ending")


def test_a_closed_client_stays_closed_at_the_end(script):
    """What the program has closed is not opened by its end."""
    program = script(SUBMIT + "manager.call('a', Call('only'))\nmanager.close()\natexit.register(attempt, 'atexit')")
    assert program.finish() == 0
    assert program.lines[-1] == "atexit refused the client is closed"


def test_after_python_has_unloaded_its_modules(script):
    """A ``__del__`` that runs then is told so before anything is sent: the answer could not be read."""
    program = script(
        """
class Last:
    def __del__(self):
        try:
            manager.call("a", Call("last"))
        except ClientClosedError as error:
            say(error.message)
manager.call("a", Call("first"))
last = Last()
"""
    )
    assert program.finish() == 0
    assert program.lines == ["start first", "end first", "Python has unloaded its modules already; nothing was sent"]


def test_the_drain_leaves_queues_in_use(workshop, monkeypatch):
    """After the drain requests run in the calling thread, by queues made before and after."""
    monkeypatch.setattr(module, "_state", module._ShutdownState())
    queue = workshop.queue()
    future = queue.submit(lambda: 1)
    module._drain_all()
    assert future.result(0) == 1
    for each in (queue, workshop.queue()):
        assert each.submit(threading.get_ident).result(0) == threading.get_ident()


@pytest.mark.parametrize("gate", ["checked", "put", "start"])
def test_the_end_against_a_submit_under_way(script, gate):
    """The process ends while a thread is in the middle of a submit: its request runs; nothing hangs."""
    program = script(
        """
def wait_for_the_end():
    while not shutdown.shutting_down():
        time.sleep(0.005)
class Gated(ProviderRequestQueue):
    def _enqueue(self, future):
        if gate == "checked":
            say("at"); wait_for_the_end(); time.sleep(0.05)
        super()._enqueue(future)
    def _put(self, future):
        if gate == "put" and future:
            say("at"); wait_for_the_end(); time.sleep(0.05)
        super()._put(future)
    def _start_thread(self, worker):
        if gate == "start":
            say("at"); at.set(); wait_for_the_end(); time.sleep(0.05)
        super()._start_thread(worker)
at = threading.Event()
gated = ConcurrentLLMManager(Gated)
def ask():
    try:
        say("answer", gated.call("a", Call("asked")))
    except ClientClosedError:
        say("closed")
"""
        f"gate = {gate!r}\nthreading.Thread(target=ask).start()\ntime.sleep(0.2)"
    )
    assert program.finish() == 0
    assert program.lines[0] == "at"
    assert program.lines[-1] == "answer asked"


def test_a_callback_that_exits_does_not_stop_the_drain(script):
    """SystemExit from a callback of a request cancelled at the end leaves the others cancelled and the process ending."""
    program = script(
        CTRL_C.format(stops=True)
        + """
def callback(_):
    raise SystemExit("from a callback")
for _ in range(3):
    manager.submit("b", Call("never")).add_done_callback(callback)
manager.submit("a", flying)
pause()
"""
    )
    program.read_until("start flying")
    program.interrupt()
    assert program.finish() in (-signal.SIGINT, 130)
    assert "end other" in program.lines
    assert "start never" not in program.lines


def test_no_thread_and_no_hook_at_import():
    """Importing the room starts nothing and registers nothing, and loads no network library and no event loop."""
    code = (
        "import os, sys, threading, atexit\n"
        "calls = []\n"
        "os.register_at_fork = lambda **_: calls.append('fork')\n"
        "threading_hooks = list(threading._threading_atexits)\n"
        "import concurrent.futures\n"
        "calls.clear()\n"
        "import llm_sync.dispatch.manager\n"
        "heavy = {'requests', 'urllib3', 'tenacity', 'cerberus', 'yaml', 'asyncio', 'concurrent.futures.thread'}\n"
        "heavy &= set(sys.modules)\n"
        "print(threading.active_count(), calls, threading._threading_atexits == threading_hooks, sorted(heavy))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(llm_sync.__file__).parents[1])}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True, timeout=20)
    assert said.stdout.split("\n")[0] == "1 [] True []"
