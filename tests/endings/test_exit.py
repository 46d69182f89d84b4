"""The end of a program, for real: every way out × what is under way × how the client is kept, made from one table."""

from __future__ import annotations

import itertools
import signal
import subprocess
import time

import pytest

WAYS = {  # the last statement, and the status that the process ends with
    "return": ("pass", (0,)),
    "sys.exit": ("sys.exit(3)", (3,)),
    "exception": ("raise ValueError('uncaught')", (1,)),
    "Ctrl-C": ("time.sleep(60)", (-signal.SIGINT, 130)),
    "os._exit in a child": ("leave_a_child()", (0,)),
}
WORK = {  # what is asked before the end; the first is in flight by then, or answered where the provider is idle
    "idle": ["first"],
    "in flight": ["first"],
    "queued": ["first", "second", "third"],
}
KEPT = {  # how the program keeps its client
    "closed": "client = LLMClient.from_config(CONFIG)\nwith client:\n    begin(ask)\n    {end}\n",
    "not closed": "client = LLMClient.from_config(CONFIG)\nbegin(ask)\n{end}\n",
    "module-level": "begin(ask_in_a_thread)\n{end}\n",
}
PROGRAM = """
import llm_sync.client.shared_clients
from llm_sync.dispatch import shutdown
shutdown.GRACE_S = {grace}

def begin(how):
    first, *rest = [lambda text=text: how(text) for text in {texts!r}]
    first()
    sys.stdin.readline()
    if {work!r} == "idle":
        while sum(status.done for status in llm_status()["a"]) < 1:
            time.sleep(0.002)
    for each in rest:
        each()
    while sum(status.queued for status in llm_status()["a"]) < len(rest):
        time.sleep(0.002)
    say("leaving")

def llm_status():
    clients = [client] if "client" in globals() else list(llm_sync.client.shared_clients._shared._clients.values())
    return {{"a": [each.status()["a"] for each in clients]}}

def ask_and_tell(text):
    ask(text).add_done_callback(lambda f: say("answer", "ClientClosedError" if f.cancelled() else outcome(f.result)))

def ask_in_a_thread(text):
    # As a web server's threads: each waits for its answer, from the process's own client.
    threading.Thread(target=lambda: say("answer", outcome(lambda: llm_sync.generate(text, "a/m", config=CONFIG)))).start()

def leave_a_child():
    child = os.fork()
    if child == 0:
        os._exit(7)
    say("child", wait_for(child))

"""


def expected_requests(way, work, kept):
    """What the server sees: a client that is left by an exception, and a program that Ctrl-C ends, drop what is queued."""
    dropped = way == "Ctrl-C" or (kept == "closed" and way in ("sys.exit", "exception"))
    return WORK[work][:1] if dropped else WORK[work]


TELLING = {
    ("return", "queued", "not closed"),
    ("sys.exit", "queued", "module-level"),
    ("exception", "queued", "closed"),
    ("Ctrl-C", "queued", "not closed"),
    ("Ctrl-C", "in flight", "module-level"),
    ("os._exit in a child", "queued", "not closed"),
    ("return", "idle", "not closed"),
}
MATRIX = [
    pytest.param(*corner, id=", ".join(corner), marks=[] if corner in TELLING else [pytest.mark.soak])
    for corner in itertools.product(WAYS, WORK, KEPT)
]


def begun(program, upstream, way, work, kept, grace=5.0):
    """A program of the table that is about to leave."""
    body = PROGRAM.format(texts=WORK[work], work=work, grace=grace) + KEPT[kept].format(end=WAYS[way][0]).replace(
        "begin(ask)", "begin(ask_and_tell)"
    )
    return program(upstream, body)


@pytest.mark.parametrize(("way", "work", "kept"), MATRIX)
def test_the_end(upstream, program, record_property, way, work, kept):
    """The process waits for what is in flight and ends by itself soon after, with its status; the server saw what it should."""
    hold = upstream.hold()
    running = begun(program, upstream, way, work, kept)
    hold.wait()
    if work == "idle":
        hold.open()
    running.go_on()
    running.read_until("leaving")
    if way == "Ctrl-C":
        running.interrupt()
    if work != "idle":
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(0.1)
    released = time.monotonic()
    hold.open()
    status = running.finish(within=20)
    took = time.monotonic() - released
    record_property("ended_after_s", round(took, 3))
    sent = upstream.texts()
    print(f"{way}, {work}, {kept}: status {status}, ended {took:.2f} s after the release, sent {sent}")
    assert status in WAYS[way][1], running.errors
    assert sent == expected_requests(way, work, kept)
    unsent = len(WORK[work]) - len(sent)
    outcomes = [line.removeprefix("answer ") for line in running.lines if line.startswith("answer")]
    assert sorted(outcomes) == sorted([*(f"echo {text}" for text in sent), *["ClientClosedError"] * unsent])
    assert ("child 7" in running.lines) == way.startswith("os._exit")
    assert took < 4.5  # less than the grace of Ctrl-C, which nothing here is to wait for


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("grace", [0.4, pytest.param(5.0, marks=pytest.mark.soak)])
def test_ctrl_c_before_a_silent_server(upstream, program, grace, kept):
    """What is in flight has its grace and no longer; then its socket is shut, and the process ends."""
    upstream.hold()
    running = begun(program, upstream, "Ctrl-C", "queued", kept, grace=grace)
    upstream.wait_for(1)
    running.go_on()
    running.read_until("leaving")
    started = time.monotonic()
    running.interrupt()
    status = running.finish(within=grace + 4)
    took = time.monotonic() - started
    print(f"Ctrl-C before a silent server, {kept}: ended after {took:.2f} s of a grace of {grace:g} s")
    assert status in WAYS["Ctrl-C"][1], running.errors
    assert grace <= took < grace + 4
    assert upstream.texts() == ["first"]
    assert sorted(line for line in running.lines if line.startswith("answer")) == ["answer ClientClosedError"] * 3


@pytest.mark.parametrize("kept", ["closed", "not closed"])
def test_ctrl_c_while_the_end_waits(upstream, program, kept):
    """Ctrl-C after a normal return, while queued work is done: the rest is dropped, and what is in flight has its grace still."""
    upstream.hold()
    running = begun(program, upstream, "return", "queued", kept, grace=0.5)
    upstream.wait_for(1)
    running.go_on()
    running.read_until("leaving")
    with pytest.raises(subprocess.TimeoutExpired):  # it waits by now
        running.process.wait(0.3)
    started = time.monotonic()
    running.interrupt()
    status = running.finish(within=5)
    assert 0.5 <= time.monotonic() - started < 4.5
    assert status in (WAYS["Ctrl-C"] if kept == "closed" else WAYS["return"])[1], running.errors
    assert upstream.texts() == ["first"]
    assert sorted(line for line in running.lines if line.startswith("answer")) == ["answer ClientClosedError"] * 3


LATE = """
import atexit
from concurrent.futures import ThreadPoolExecutor
from llm_sync.dispatch import shutdown
{before}
def late(where):
    say(where, outcome(lambda: llm_sync.generate(where, model="a/m", config=CONFIG)))
def outlive(where):
    while not shutdown.shutting_down():
        time.sleep(0.005)
    late(where)
class Held:
    def __del__(self):
        late("__del__")
held = [Held()]
executor = ThreadPoolExecutor(2)
for number in range(6):
    executor.submit(outlive, f"executor {{number}}")
threading.Timer(0.05, outlive, ["timer"]).start()
threading.Thread(target=outlive, args=["thread"]).start()
atexit.register(held.clear)
atexit.register(late, "atexit")
"""
CALLERS = ["__del__", "atexit", *(f"executor {number}" for number in range(6)), "thread", "timer"]


@pytest.mark.parametrize("before", ["", "late = llm_sync.generate('before', model='a/m', config=CONFIG)"], ids=["first", "later"])
def test_calls_after_the_main_thread_are_answered(upstream, program, before):
    """An executor that is never shut down, a Timer, a thread nobody joins, an exit handler and ``__del__`` get answers."""
    running = program(upstream, LATE.format(before=before))
    assert running.finish() == 0, running.errors
    assert sorted(running.lines) == [f"{caller} echo {caller}" for caller in CALLERS]
    assert sorted(upstream.texts()) == sorted([*CALLERS, *(["before"] if before else [])])


def test_several_requests_in_an_exit_handler(upstream, program):
    """generate_responses_concurrent, map and submit answer all of theirs there, in order."""
    running = program(
        upstream,
        """
import atexit
from llm_sync import ModelRequest
client = LLMClient.from_config(CONFIG)
def handler():
    requests = [ModelRequest(text, model) for text, model in (("1", "a/m"), ("2", "b/m"), ("3", "a/m"))]
    say(*(answer.text for answer in client.generate_responses_concurrent(requests)))
    say(*(answer.text for answer in client.map(requests)))
    say(*(future.result().text for future in [client.submit(request) for request in requests]))
atexit.register(handler)
""",
    )
    assert running.finish() == 0, running.errors
    assert running.lines == ["echo 1 echo 2 echo 3"] * 3


def test_a_wait_timeout_in_an_exit_handler(upstream, program):
    """A server that does not answer is waited for no longer than the call allows, though no thread could give the call up."""
    upstream.hold()
    running = program(
        upstream,
        """
import atexit
client = LLMClient.from_config(CONFIG)
atexit.register(lambda: say(outcome(lambda: client.generate("x", "a/m", wait_timeout=0.3))))
""",
    )
    assert running.finish() == 0, running.errors
    assert running.lines == ["RequestTimeoutError"]
