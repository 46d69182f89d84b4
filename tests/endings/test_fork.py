"""Forks of a process that uses a client: the child answers and ends, whatever was going on; the parent is undisturbed."""

from __future__ import annotations

import os
import socket
import time

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")

EVERY_LOCK = """
import gc, types
import llm_sync.client.shared_clients
from concurrent.futures import _base
from llm_sync.config import key_command
from llm_sync.dispatch import shutdown
from llm_sync.runtime import fork
from llm_sync.transport import tls

LOCKS = tuple({type(threading.Lock()), type(threading.RLock())})
CLOSED = (type, types.ModuleType, types.FrameType, types.CodeType, str, bytes, int, float)

def reachable(roots):
    # Every lock that can be reached from the roots, with the path to it. Functions by their closures, not their globals.
    seen, found, pending = set(), [], list(roots.items())
    while pending:
        path, thing = pending.pop()
        if id(thing) in seen or isinstance(thing, CLOSED):
            continue
        seen.add(id(thing))
        if isinstance(thing, LOCKS):
            found.append((path, thing))
        elif isinstance(thing, types.FunctionType):
            pending += [(path + ".cell", cell.cell_contents) for cell in thing.__closure__ or () if cell != types.CellType()]
        elif isinstance(thing, dict):
            pending += [(f"{path}[{key}]" if isinstance(key, str) else path + "[]", each) for key, each in list(thing.items())]
            pending += [(path + ".key", key) for key in list(thing)]
        else:
            own = getattr(thing, "__dict__", None)
            pending += [(path + "<" + type(each).__name__ + ">", each) for each in gc.get_referents(thing) if each is not own]
            pending += [(f"{path}.{name}", each) for name, each in own.items()] if isinstance(own, dict) else []
    return found

client = LLMClient.from_config(CONFIG)
client.generate("idle", "b/m")              # leaves a connection in the pool
client._endpoints["c"].provider.credential.get()  # about to fetch its key for the first time
flying = ask("flying")
sys.stdin.readline()
queued, cancelled = ask("queued"), ask("cancelled")
waiter = _base._AsCompletedWaiter()
flying._waiters.append(waiter)
parent = os.getpid()
for future in (flying, queued, cancelled):
    future.add_done_callback(lambda f: say("callback in", "parent" if os.getpid() == parent else "child"))
    future._condition, future.call.control._lock  # made when they are asked for
roots = {"client": client, "flying": flying, "queued": queued, "cancelled": cancelled, "ending": shutdown._state,
         "fork": vars(fork), "tls": tls._contexts, "key commands": key_command._runs,
         "shared": llm_sync.client.shared_clients._shared}
locks = reachable(roots)
held, release = threading.Event(), threading.Event()
taken = []

def hold():
    for path, lock in locks:
        # What its own thread holds for as long as it lives, or who waits on a condition, is held at the fork anyway.
        if lock.acquire(blocking=False):
            taken.append(lock)
    cancelled._state = "CANCELLED"         # as if cancel() stood between two of its lines
    held.set()
    release.wait()
    cancelled._state = "PENDING"
    for lock in reversed(taken):
        lock.release()

threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    say("inherited", *(outcome(lambda: future.result(timeout=2)) for future in (flying, queued, cancelled)))
    say("child", client.generate("child", "a/m").text, client.generate("child", "b/m").text)
    say("child", client.generate("key", "c/m").text)
    say("child", *(each.text for each in client.generate_responses_concurrent([ModelRequest("list", "a/m")])))
    say("child", client.status()["a"].done, len(client.list_all_models()))
    say("child", llm_sync.generate("shared", config=CONFIG).text)
    ask("left")
    sys.exit(7)
status = wait_for(child, within=8)
release.set()
for path, lock in sorted(locks):
    print("lock", path)
say("taken", len(taken), "of", len(locks))
say("exit", status)
say("parent", *(outcome(lambda: future.result(timeout=15)) for future in (flying, queued, cancelled)))
"""

KNOWN = [  # some that must be among those found, or the walk has lost its way
    "._counts._lock",
    "gate._lock",
    "http._lock",
    "poolmanager.pools.lock",
    "credential.made._renewing",
    ".control._once[lock]",
    "current._once[lock].",
    "_AsCompletedWaiter",
    "shared._lock",
]


def answers(peer, seen):
    """Listings; all else is echoed."""
    if seen.text == "":
        peer.reply(b'{"data": [{"id": "m"}]}')
        return True
    return None


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_every_lock_held_at_the_fork(serve, program, authority, secure):
    """Another thread holds every lock, condition and queue that a client leads to: the child answers and ends; so the parent."""
    upstream = serve(answers, authority.context() if secure else None)
    hold = upstream.hold(lambda seen: seen.text == "flying")
    running = program(upstream, EVERY_LOCK, providers="a b c", **({"ca_bundle": authority.path} if secure else {}))
    hold.wait()
    running.go_on()
    while not running.next_line().startswith("exit"):
        pass
    hold.open()
    assert running.finish() == 0, running.errors
    locks = [line.removeprefix("lock ") for line in running.lines if line.startswith("lock ")]
    assert [known for known in KNOWN if not any(known in lock for lock in locks)] == [], locks
    assert len(locks) > 25
    said = [line for line in running.lines if not line.startswith(("lock", "taken"))]
    assert said[:7] == [
        "inherited ClientClosedError ClientClosedError CancelledError",
        "child echo child echo child",
        "child echo key",
        "child echo list",
        "child 2 3",
        "child echo shared",
        "exit 7",
    ]
    assert sorted(said[7:]) == ["callback in parent"] * 3 + ["parent echo flying echo queued echo cancelled"]
    assert sorted(set(upstream.texts()) - {""}) == sorted(
        ["idle", "flying", "child", "key", "list", "shared", "left", "queued", "cancelled"]
    )


UNDER_LOAD = """
import itertools
FORKS = {forks}
client = LLMClient.from_config(CONFIG)
over, wrong, asked = threading.Event(), [], itertools.count()
def load(thread):
    while not over.is_set():
        text = "t%d-%d" % (thread, next(asked))
        said = outcome(lambda: client.generate(text, "ab"[thread % 2] + "/m"))
        if said != "echo " + text:
            wrong.append((text, said))
threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
while next(asked) < 20:
    time.sleep(0.001)
statuses = []
for fork in range(FORKS):
    child = os.fork()
    if child == 0:
        texts = ["c%d-%d" % (fork, n) for n in range(3)]
        said = [client.generate(text, provider + "/m").text for text, provider in zip(texts, "aba")]
        good = said == ["echo " + text for text in texts]
        over.set()
        if fork % 2:
            os._exit(0 if good else 1)
        sys.exit(0 if good else 1)
    statuses.append(wait_for(child))
over.set()
for thread in threads:
    thread.join()
say("statuses", sorted(map(str, set(statuses))), len(statuses))
say("wrong", wrong)
say("asked", next(asked) > 4 * 20)
"""


def forks_under_load(upstream, program, forks, **settings):
    """Fork so often while four threads ask; what the program said."""
    started = time.monotonic()
    running = program(upstream, UNDER_LOAD.format(forks=forks), concurrency=2, **settings)
    assert running.finish(within=50 + forks) == 0, running.errors
    print(f"{forks} forks, {len(upstream.log)} requests, {upstream.connections} connections, {time.monotonic() - started:.1f} s")
    assert running.lines == [f"statuses ['0'] {forks}", "wrong []", "asked True"], running.errors
    texts = upstream.texts()
    assert len(texts) == len(set(texts))
    assert len([text for text in texts if text.startswith("c")]) == 3 * forks


@pytest.mark.parametrize(
    ("secure", "forks"),
    [
        pytest.param(False, 20, id="plain"),
        pytest.param(True, 20, id="tls"),  # each child loads the certificates
        pytest.param(True, 100, id="tls, a hundred", marks=pytest.mark.soak),
    ],
)
def test_forks_under_load(serve, program, authority, secure, forks):
    """Four threads ask while the process forks: each answer of children and parent is its own, and none hangs."""
    upstream = serve(tls=authority.context() if secure else None)
    forks_under_load(upstream, program, forks, **({"ca_bundle": authority.path} if secure else {}))


HALF_IMPORTED = """
import importlib.machinery
at, go = threading.Event(), threading.Event()
class Slow(importlib.machinery.SourceFileLoader):
    def exec_module(self, module):
        at.set()
        go.wait(15)
        super().exec_module(module)
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "tenacity":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        spec.loader = Slow(name, spec.origin)
        return spec
sys.meta_path.insert(0, Finder)
client = LLMClient.from_config(CONFIG)
first = ask("down parent")
at.wait()
threading.Timer(0.3, go.set).start()
child = os.fork()
if child == 0:
    say("child", outcome(lambda: client.generate("down child", wait_timeout=5)))
    os._exit(0)
say(wait_for(child))
say("parent", first.result(15).text)
"""


def test_a_fork_while_a_thread_imports(serve, program):
    """The first failed request loads what retrying needs; a fork in the middle of it leaves the child with a whole one."""
    down = set()

    def once_down(peer, seen):
        if seen.text in down:
            return None
        down.add(seen.text)
        peer.reply(b"{}", "503 Down")
        return True

    running = program(serve(once_down), HALF_IMPORTED)
    assert running.finish() == 0, running.errors
    assert running.lines == ["child echo down child", "0", "parent echo down parent"]


PARKING = """
import ssl
from llm_sync.transport import tls
client = LLMClient.from_config(CONFIG)
callers = []
begun, go_on, inside = threading.Event(), threading.Event(), threading.Event()
sleep = time.sleep
def waiting(seconds):
    go_on.set()
    sleep(seconds)
time.sleep = waiting                             # the fork waits
os.register_at_fork(after_in_parent=go_on.set)   # or it does not

def parking(function):
    def parked(*args, **kwargs):
        if begun.is_set():
            return function(*args, **kwargs)
        callers.append(sys._getframe(1).f_code.co_name)
        inside.set()
        begun.set()
        assert go_on.wait(20)
        try:
            return function(*args, **kwargs)
        finally:
            inside.clear()
    return parked

def fork_meanwhile(start=lambda: ask("parent"), shown=lambda answer: answer.text):
    started = start()
    assert begun.wait(20)
    child = os.fork()
    if child == 0:
        say("inside" if inside.is_set() else "before or after", client.generate("child").text)
        os._exit(0)
    say(wait_for(child))
    say(shown(started.result(20)))
"""
DURING_TLS = """
{operation} = parking({operation})
fork_meanwhile()
"""
DURING_LOOK = """
from concurrent.futures import ThreadPoolExecutor
from llm_sync.client import connection_check
provider = client.config.providers["a"]
{operation} = parking({operation})
pool = ThreadPoolExecutor(1)
fork_meanwhile(lambda: pool.submit(connection_check.look, provider, provider.base_url, 10), lambda seen: seen.failed)
"""
DURING_MULTIPLEXED_READ = """
ask("first").result(20)
held = ask("held")              # over the connection that is there: the next request opens a new one
sys.stdin.readline()
ssl.SSLSocket.recv_into = parking(ssl.SSLSocket.recv_into)
fork_meanwhile()
say(*callers)
sys.stdin.readline()
say(held.result(20).text)
"""


in_openssl = pytest.mark.parametrize(
    "operation", ["tls._load", "ssl.SSLContext.wrap_socket", "ssl.SSLSocket.do_handshake", "ssl.SSLSocket.recv_into"]
)


@in_openssl
def test_a_fork_waits_while_a_thread_is_in_openssl(serve, program, authority, operation):
    """Contexts, handshakes and the first read take OpenSSL's locks: held at the fork, they would stay locked in the child."""
    body = PARKING + DURING_TLS.format(operation=operation)
    running = program(serve(tls=authority.context()), body, ca_bundle=authority.path)
    assert running.finish() == 0, running.errors
    assert running.lines == ["before or after echo child", "0", "echo parent"]


@in_openssl
def test_a_fork_waits_while_doctor_is_in_openssl(serve, program, authority, operation):
    """Its look at a server takes the same locks."""
    body = PARKING + DURING_LOOK.format(operation=operation)
    running = program(serve(tls=authority.context()), body, ca_bundle=authority.path)
    assert running.finish() == 0, running.errors
    assert running.lines == ["before or after echo child", "0", "None"]


def test_a_fork_waits_for_the_first_read_of_many_in_flight(serve, program, authority):
    """The thread that serves many requests reads their sockets by itself."""
    upstream = serve(tls=authority.context())
    hold = upstream.hold(lambda seen: seen.text == "held")
    running = program(upstream, PARKING + DURING_MULTIPLEXED_READ, ca_bundle=authority.path, concurrency=100)
    hold.wait()
    running.go_on()
    running.read_until("receive")
    hold.open()
    running.go_on()
    assert running.finish() == 0, running.errors
    assert running.lines == ["before or after echo child", "0", "echo parent", "receive", "echo held"]


SILENT_PEER = """
client = LLMClient.from_config(CONFIG)
asked = ask("never answered")
sys.stdin.readline()
began = time.monotonic()
child = os.fork()
if child == 0:
    os._exit(7)
say(wait_for(child), time.monotonic() - began < 8, asked.done())
sys.stdin.readline()
say(outcome(asked.result))
"""


def test_a_fork_does_not_wait_for_the_peer_of_a_handshake(program):
    """A server that accepts connections and says nothing delays no fork: the handshake's wait holds no lock."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        running = program(f"https://127.0.0.1:{listener.getsockname()[1]}", SILENT_PEER, max_retries=0)
        peer, _ = listener.accept()
        with peer:
            assert peer.recv(1)  # the handshake has begun, and now waits for an answer
            running.go_on()
            assert running.next_line() == "7 True False"
        running.go_on()
        assert running.finish() == 0, running.errors
        assert running.lines[1:] == ["ProviderConnectionError"]


MULTIPROCESSING = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

def work(client, text):
    return client.generate(text).text

def leave_queued(client, text):
    client.submit(ModelRequest(text, "a/m"))

if __name__ == "__main__":
    client = LLMClient.from_config(CONFIG)
    say(client.generate("parent").text)
    context = multiprocessing.get_context({method!r})
    with context.Pool(2) as pool:
        say(*pool.starmap(work, [(client, "pool%d" % n) for n in range(4)]))
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        say(*executor.map(work, [client] * 4, ["executor%d" % n for n in range(4)]))
    process = context.Process(target=leave_queued, args=(client, "queued in a child"))
    process.start()
    process.join(15)
    say("ended", process.exitcode)
    say(client.generate("parent again").text)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(upstream, program, method):
    """Pools, executors and processes, forked and spawned: a client handed to them answers; work left queued there is done."""
    running = program(upstream, MULTIPROCESSING.format(method=method), file=True)
    assert running.finish(within=40) == 0, running.errors
    assert running.lines == [
        "echo parent",
        " ".join(f"echo pool{n}" for n in range(4)),
        " ".join(f"echo executor{n}" for n in range(4)),
        "ended 0",
        "echo parent again",
    ]
    assert "queued in a child" in upstream.texts()


PREFORK = """
import select
client = LLMClient.from_config(CONFIG)
say(client.generate("master").text)
tasks, results = os.pipe(), os.pipe()
def worker():
    # As Celery's prefork pool with max_tasks_per_child=3: takes tasks until it is replaced.
    for _ in range(3):
        task = os.read(tasks[0], 8)
        if task == b"stop....":
            os._exit(0)
        text = task.decode().strip(".")
        os.write(results[1], client.generate(text).text.ljust(16, ".").encode())
    os._exit(42)
def fork():
    child = os.fork()
    if child == 0:
        worker()
    return child
workers = {fork() for _ in range(3)}
for number in range(24):
    os.write(tasks[1], ("task%d" % number).ljust(8, ".").encode())
said = []
while len(said) < 24:
    if select.select([results[0]], [], [], 0.01)[0]:
        said.append(os.read(results[0], 16).decode().strip("."))
    for pid in list(workers):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            assert os.waitstatus_to_exitcode(status) == 42, status
            workers.remove(pid)
            workers.add(fork())
            assert client.generate("master %d" % pid).text == "echo master %d" % pid
for _ in workers:
    os.write(tasks[1], b"stop....")
assert {wait_for(pid) for pid in workers} <= {0, 42}
say("answered", sorted(said) == sorted("echo task%d" % number for number in range(24)))
"""


def test_a_prefork_loop_as_celery_has(upstream, program):
    """The master uses its client, forks workers that use it, replaces those that have done their share, and asks in between."""
    running = program(upstream, PREFORK)
    assert running.finish() == 0, running.errors
    assert running.lines == ["echo master", "answered True"]


GUNICORN = """
import gunicorn.app.base
client = LLMClient.from_config(CONFIG)
client.generate("master")
def app(environ, start_response):
    text = environ["PATH_INFO"].strip("/")
    said = client.generate(text).text + " by %d" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [said.encode()]
class Application(gunicorn.app.base.BaseApplication):
    def load_config(self):
        for name, value in {"bind": "127.0.0.1:0", "workers": 4, "preload_app": True, "timeout": 20, "graceful_timeout": 5,
                            "when_ready": lambda server: say("port", server.LISTENERS[0].sock.getsockname()[1])}.items():
            self.cfg.set(name, value)
    def load(self):
        return app
Application().run()
"""


def test_gunicorn_with_preload(upstream, program):
    """Four workers forked from a master that has used its client serve a hundred requests; SIGTERM ends all of it."""
    pytest.importorskip("gunicorn")
    import signal
    from concurrent.futures import ThreadPoolExecutor
    from urllib.request import urlopen

    running = program(upstream, GUNICORN)
    while not (running.lines and running.lines[-1].startswith("port")):
        running.next_line()
    port = running.lines[-1].split()[1]

    def get(number):
        with urlopen(f"http://127.0.0.1:{port}/n{number}", timeout=20) as reply:
            return reply.read().decode().split(" by ")

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(get, range(100)))
    assert [text for text, _ in said] == [f"echo n{number}" for number in range(100)]
    print(f"gunicorn: 100 requests by {len({pid for _, pid in said})} workers")
    assert len({pid for _, pid in said}) > 1
    running.process.send_signal(signal.SIGTERM)
    assert running.finish() == 0, running.errors
    assert sorted(upstream.texts()) == sorted(["master", *(f"n{number}" for number in range(100))])
