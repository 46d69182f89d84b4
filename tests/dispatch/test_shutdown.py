"""The end of the process, in processes of their own: what is queued is done or cancelled, and the process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import llm_sync
from llm_sync.dispatch import shutdown as module
from llm_sync.errors import ClientClosedError

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
def attempt(where):
    try:
        manager.submit("a", Call(where))
        say(where, "accepted")
    except ClientClosedError as error:
        say(where, "refused", "ending" in str(error))
"""


def test_submitting_at_the_end_is_refused(script):
    """From an exit hook, from a thread that outlives the main thread, and from a callback of the last request."""
    body = (
        SUBMIT
        + """
import atexit
threading._register_atexit(attempt, "hook before")
last = Call("last", hold=True)
future = manager.submit("a", last)
future.add_done_callback(lambda _: attempt("callback"))
threading._register_atexit(attempt, "hook after")
atexit.register(attempt, "atexit")
def outlive():
    threading.main_thread().join()
    attempt("thread")
def release():
    while not shutdown.shutting_down():
        time.sleep(0.01)
    last.go.set()
threading.Thread(target=outlive).start()
threading.Thread(target=release).start()
last.entered.wait()
"""
    )
    program = script(body)
    assert program.finish() == 0
    for where in ("hook before", "hook after", "callback", "thread", "atexit"):
        assert f"{where} refused True" in program.lines
    assert program.lines[:2] == ["start last", "hook after refused True"]
    assert "end last" in program.lines


def test_first_use_at_the_end_is_refused(script):
    """A client first used during shutdown cannot start a thread, and its error says so."""
    program = script(SUBMIT + "import atexit\natexit.register(attempt, 'atexit')")
    assert program.finish() == 0
    assert program.lines == ["atexit refused True"]


def test_the_drain_closes_for_good(workshop, monkeypatch):
    """Once the drain has begun nothing is taken, by queues made before or after, whatever the interpreter calls its end."""
    monkeypatch.setattr(module, "_state", module._ShutdownState())
    queue = workshop.queue()
    future = queue.submit(lambda: 1)
    module._drain_all()
    assert future.result(0) == 1
    for each in (queue, workshop.queue()):
        with pytest.raises(ClientClosedError, match="program is ending"):
            each.submit(lambda: 2)


@pytest.mark.parametrize("gate", ["checked", "put", "start"])
def test_the_end_against_a_submit_under_way(script, gate):
    """The process ends while a thread is in the middle of a submit: its request runs or submit raises; nothing hangs."""
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
    assert program.lines[-1] in (["closed"] if gate == "checked" else ["answer asked", "closed"])


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
