"""Forks, in processes of their own: the child works, inherited futures end there, the parent is undisturbed."""

from __future__ import annotations

import multiprocessing
import os

import pytest

from llm_sync.errors import ClientClosedError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")

PATIENCE_S = 10.0

HELPERS = """
def wait_for(child, within=8):
    until = time.monotonic() + within
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"

def how(future):
    try:
        return future.result(timeout=2)
    except BaseException as error:
        return type(error).__name__
"""


def test_fork_with_every_lock_held(script):
    """Another thread holds each lock, condition and queue at the moment of the fork: the child works and ends normally."""
    program = script(
        HELPERS
        + """
from llm_sync.runtime import fork
from concurrent.futures import _base
flying = Call("flying", hold=True)
in_flight = manager.submit("a", flying)
queued = manager.submit("a", Call("queued"))
cancelled = manager.submit("a", Call("cancelled"))
flying.entered.wait()
for future in (in_flight, queued):
    future.add_done_callback(lambda f: say("callback in", "parent" if os.getpid() == parent else "child"))
parent = os.getpid()
queue = manager.queue("a")
waiter = _base._AsCompletedWaiter()
in_flight._waiters.append(waiter)
locks = [queue._counts._lock, waiter.lock,
         waiter.event._cond, in_flight._condition, queued._condition, cancelled._condition]
held, release = threading.Event(), threading.Event()
def hold():
    cancelled._state = "CANCELLED"     # as if cancel() were between two of its lines
    for lock in locks:
        lock.acquire()
    held.set()
    release.wait()
    for lock in reversed(locks):
        lock.release()
    cancelled._state = "PENDING"
holder = threading.Thread(target=hold)
holder.start()
held.wait()
child = os.fork()
if child == 0:
    say(how(in_flight), how(queued), how(cancelled), waiter.event.is_set())
    say("child", manager.call("a", lambda: "a"), manager.call("b", lambda: "b"), manager.status()["a"].done)
    manager.submit("a", Call("left"))
    sys.exit(7)
release.set()
holder.join()
say("exit", wait_for(child))
flying.go.set()
say(how(in_flight), how(queued), how(cancelled))
"""
    )
    assert program.finish(within=30) == 0
    assert program.lines == [
        "start flying",
        "ClientClosedError ClientClosedError CancelledError True",
        "child a b 1",
        "start left",
        "end left",
        "exit 7",
        "end flying",
        "callback in parent",
        "start queued",
        *program.lines[9:],
    ]
    assert sorted(program.lines[9:]) == [
        "callback in parent",
        "end cancelled",
        "end queued",
        "flying queued cancelled",
        "start cancelled",
    ]


@pytest.mark.parametrize("gate", ["checked", "put", "start", "empty", "retire"])
def test_fork_while_a_thread_stands_at(script, gate):
    """A thread in the middle of a submit, or a worker about to end, at the fork: child and parent both answer."""
    program = script(
        HELPERS
        + f"gate = {gate!r}\n"
        + """
import queue as stdlib_queue
at, go = threading.Event(), threading.Event()
parent = os.getpid()
def stand(where):
    if where == gate and os.getpid() == parent and not at.is_set():
        at.set()
        go.wait()
class Inbox:
    def __init__(self):
        self.inner = stdlib_queue.SimpleQueue()
        self.put, self.get, self.get_nowait = self.inner.put, self.inner.get, self.inner.get_nowait
    def empty(self):
        found = self.inner.empty()
        stand("retire")
        return found
class Gated(ProviderRequestQueue):
    def _reset(self):
        super()._reset()
        self._inbox = Inbox()
    def _enqueue(self, future):
        stand("checked")
        super()._enqueue(future)
    def _put(self, future):
        stand("put")
        super()._put(future)
    def _start_thread(self, worker):
        stand("start")
        super()._start_thread(worker)
    def take(self, worker):
        try:
            return super().take(worker)
        except stdlib_queue.Empty:
            stand("empty")
            raise
gated = ConcurrentLLMManager(lambda name: Gated(name, idle_timeout=0.01))
thread = threading.Thread(target=lambda: say("parent", gated.call("a", lambda: 1)))
thread.start()
at.wait()
inherited = list(gated._queues["a"]._waiting)
child = os.fork()
if child == 0:
    say("child", gated.call("a", lambda: 2), *map(how, inherited))
    sys.exit(0)
say("exit", wait_for(child))
go.set()
thread.join()
say("parent", gated.call("a", lambda: 3))
"""
    )
    assert program.finish(within=30) == 0
    inherited = [" ClientClosedError"] if gate in ("checked", "put", "start") else [""]
    assert sorted(program.lines) == sorted([f"child 2{inherited[0]}", "exit 0", "parent 1", "parent 3"])


def test_twenty_forks_under_load(script):
    """Four threads ask without pause while the main thread forks 20 times: every answer is its asker's own, none hangs."""
    program = script(
        HELPERS
        + """
stop = threading.Event()
wrong = []
def load(number):
    count = 0
    while not stop.is_set():
        mine = (os.getpid(), number, count)
        if manager.call("ab"[number % 2], lambda: mine) != mine:
            wrong.append(mine)
        count += 1
threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
children = []
for number in range(20):
    child = os.fork()
    if child == 0:
        good = all(manager.call("ab"[n % 2], lambda: (number, n)) == (number, n) for n in range(20))
        good = good and manager.run([("a", lambda n=n: n) for n in range(10)]) == list(range(10))
        sys.exit(0 if good else 1)
    children.append(child)
codes = [wait_for(child, 15) for child in children]
stop.set()
for thread in threads:
    thread.join()
say(codes == [0] * 20 or codes, len(wrong))
"""
    )
    assert program.finish(within=40) == 0
    assert program.lines == ["True 0"]


def test_as_completed_goes_on_in_the_child(script):
    """A child that was forked in the middle of waiting for several futures gets them all, as errors."""
    program = script(
        HELPERS
        + """
from concurrent.futures import as_completed
flying = Call("flying", hold=True)
futures = [manager.submit("a", lambda: 1), manager.submit("a", flying), manager.submit("a", lambda: 3)]
flying.entered.wait()
futures.append(manager.submit("a", lambda: 4))
futures[-1].cancel()
child = None
for future in as_completed(futures, timeout=5):
    if child is None:
        flying.entered.wait()
        child = os.fork()
        if child:
            say("exit", wait_for(child))
            flying.go.set()
        continue
    say("child" if child == 0 else "parent", how(future))
if child == 0:
    sys.exit(0)
"""
    )
    assert program.finish(within=30) == 0
    children = [line for line in program.lines if line.startswith("child")]
    assert sorted(children) == ["child CancelledError", *["child ClientClosedError"] * 2]
    assert [line for line in program.lines if line.startswith("parent")] == ["parent flying", "parent 3", "parent CancelledError"]


def test_fork_in_a_call_and_in_a_callback(script):
    """Worker threads may fork: the child is no worker any more, its client works, and the parent's answers are the parent's."""
    program = script(
        HELPERS
        + """
def split(where):
    child = os.fork()
    if child == 0:
        say(where, "child", manager.call("a", lambda: "own"))
        os._exit(0)
    return wait_for(child)
future = manager.submit("a", lambda: split("call"))
future.add_done_callback(lambda _: say("callback exit", split("callback")))
say("call exit", how(future))
say("after", manager.call("a", lambda: 1))
"""
    )
    assert program.finish(within=30) == 0
    assert sorted(program.lines) == [
        "after 1",
        "call child own",
        "call exit 0",
        "callback child own",
        "callback exit 0",
    ]


def test_resets_of_others_run_in_the_child_alone(script):
    """A function registered with after_fork runs once per child and grandchild, even when another reset fails."""
    program = script(
        HELPERS
        + """
def broken():
    raise ValueError("a broken reset")
manager.after_fork(broken)
manager.after_fork(lambda: say("reset in", "parent" if os.getpid() == parent else "child"))
parent = os.getpid()
child = os.fork()
if child == 0:
    say("child", manager.call("a", lambda: 1))
    grandchild = os.fork()
    if grandchild == 0:
        say("grandchild", manager.call("a", lambda: 2))
        os._exit(0)
    say("exit", wait_for(grandchild))
    os._exit(0)
say("exit", wait_for(child))
"""
    )
    assert program.finish(within=30) == 0
    assert program.lines == ["reset in child", "child 1", "reset in child", "grandchild 2", "exit 0", "exit 0"]
    assert "a broken reset" in program.errors


def test_children_end_in_every_way(script):
    """Return, sys.exit, an exception, os._exit: the child's queued work is done except by os._exit; the parent's is untouched."""
    program = script(
        HELPERS
        + """
flying = Call("flying", hold=True)
mine = manager.submit("a", flying)
flying.entered.wait()
for ending_ in ("sys.exit(0)", "1/0", "os._exit(5)", "manager.close(); sys.exit(3)", "manager.close(True); sys.exit(4)"):
    child = os.fork()
    if child == 0:
        sys.stderr = open(os.devnull, "w")
        manager.submit("a", lambda: time.sleep(0.05) or say("done"))
        exec(ending_)
    say("exit", wait_for(child))
flying.go.set()
say(how(mine))
"""
    )
    assert program.finish(within=30) == 0
    exits = [line for line in program.lines if line.startswith("exit")]
    assert exits == ["exit 0", "exit 1", "exit 5", "exit 3", "exit 4"]
    assert program.lines.index("exit 1") > program.lines.index("done")
    assert program.lines[-1] == "flying"


@pytest.mark.parametrize("method", [m for m in ("fork", "spawn", "forkserver") if m in multiprocessing.get_all_start_methods()])
def test_multiprocessing(script, tmp_path, method):
    """Processes of multiprocessing use a module's manager, drain what they leave queued, and end; pools too."""
    source = tmp_path / "program.py"
    source.write_text(
        f"""
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.dispatch.queue import ProviderRequestQueue

manager = ConcurrentLLMManager(ProviderRequestQueue)

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def ask(number):
    return manager.call("a", lambda: number * number)

def work(number):
    say("answer", ask(number))
    manager.submit("a", lambda: time.sleep(0.05) or say("left", number))

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    ask(1)
    children = [context.Process(target=work, args=(number,)) for number in (2, 3)]
    for child in children:
        child.start()
    for child in children:
        child.join(20)
        say("exit", child.exitcode)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        say(list(pool.map(ask, range(5))))
"""
    )
    program = script(
        f"import runpy\nrunpy.run_path({str(source)!r}, run_name='__main__')" if method == "fork" else _spawning(source)
    )
    assert program.finish(within=40) == 0
    assert sorted(program.lines) == sorted(
        ["answer 4", "answer 9", "left 2", "left 3", "exit 0", "exit 0", "[0, 1, 4, 9, 16]"]
    ), program.errors


def _spawning(source: object) -> str:
    """Spawned processes import the program's file, so it must be run as a file."""
    return f"os.execv(sys.executable, [sys.executable, {str(source)!r}])"


def test_a_prefork_loop(script):
    """A master that has used the client, and workers forked from it that serve tasks and are replaced, Celery-like."""
    program = script(
        HELPERS
        + """
manager.call("a", lambda: "warm")
for generation in range(3):
    workers = []
    for number in range(4):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            answers = [manager.call("a", lambda: (number, task)) for task in range(10)]
            os.write(write, repr(answers).encode())
            sys.exit(0)
        os.close(write)
        workers.append((number, child, read))
    for number, child, read in workers:
        said = os.read(read, 65536).decode()
        os.close(read)
        say(said == repr([(number, task) for task in range(10)]), wait_for(child))
    assert manager.call("a", lambda: generation) == generation
"""
    )
    assert program.finish(within=30) == 0
    assert program.lines == ["True 0"] * 12


def test_a_queue_of_its_own(script):
    """A queue without a manager is reset too: the child reads an inherited future before it uses the queue."""
    program = script(
        HELPERS
        + """
queue = ProviderRequestQueue("alone")
flying = Call("flying", hold=True)
future = queue.submit(flying)
flying.entered.wait()
child = os.fork()
if child == 0:
    say("child", how(future), queue.submit(lambda: 2).result(5))
    sys.exit(0)
say("exit", wait_for(child))
flying.go.set()
say("parent", how(future))
"""
    )
    assert program.finish(within=30) == 0
    assert program.lines == ["start flying", "child ClientClosedError 2", "exit 0", "end flying", "parent flying"]


def test_a_fork_without_hooks_is_noticed(workshop):
    """Where no hook ran (a fork made by C code), the first use in the child resets all: nothing inherited hangs or runs."""
    manager = workshop.manager(idle_timeout=0.01)  # here, unlike after a fork, the old workers live
    resets: list[int] = []
    manager.after_fork(lambda: resets.append(1))
    stuck = workshop.held()
    in_flight = manager.submit("a", stuck)
    assert stuck.entered.wait(PATIENCE_S)
    queued = manager.submit("a", lambda: pytest.fail("it is the parent's"))
    queue = manager.queue("a")
    queue._process = manager._process = -1
    assert manager.call("a", lambda: "own") == "own"
    assert resets == [1]
    for future in (in_flight, queued):
        with pytest.raises(ClientClosedError, match="belongs to the parent process"):
            future.result(0)
    queue._process = -1
    assert queue.status().done == 0
    assert queue.submit(lambda: 1).result(PATIENCE_S) == 1


def test_closed_stays_closed_in_the_child(workshop):
    """A client that was closed before the fork takes no work after it."""
    manager = workshop.manager()
    queue = manager.queue("a")
    manager.close()
    queue._process = manager._process = -1
    with pytest.raises(ClientClosedError):
        manager.submit("a", lambda: 1)
    with pytest.raises(ClientClosedError):
        queue.submit(lambda: 1)
