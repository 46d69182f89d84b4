"""Programs of gevent and eventlet: patched before or after the import, over http and https."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import PATIENCE_S

BEFORE, AFTER, CLIENT = "before the import", "after the import", "after a client was made"
IMPORT = (
    "import os, sys, time, threading\nCONFIG = sys.argv[1]\nfrom llm_sync import LLMClient, LLMConnectorError, ModelRequest\n"
)
MAKE = "client = LLMClient.from_config(CONFIG)\n"
PATCHES = {
    "gevent": """
from gevent import monkey; monkey.patch_all()
import gevent
from gevent import Timeout, sleep, spawn
wait_for = gevent.joinall
""",
    "eventlet": """
import eventlet; eventlet.monkey_patch()
from eventlet import Timeout, sleep, spawn
wait_for = lambda greenlets: [each.wait() for each in greenlets]
""",
}
ORDERS = {
    BEFORE: lambda patch: patch + IMPORT + MAKE,
    AFTER: lambda patch: IMPORT + patch + MAKE,
    CLIENT: lambda patch: IMPORT + MAKE + patch,
}


@pytest.fixture(params=[name for name in PATCHES if importlib.util.find_spec(name)])
def library(request: pytest.FixtureRequest) -> str:
    """Each library that is installed."""
    return str(request.param)


@pytest.fixture(params=list(ORDERS))
def beginning(request: pytest.FixtureRequest, library: str) -> str:
    """The first lines of a program, in each order."""
    return ORDERS[request.param](PATCHES[library])


@pytest.fixture
def run(start: Callable[..., Any]) -> Callable[[str, str], list[str]]:
    """Run a program to its end; gives the lines it printed."""

    def finish(program: str, config: str) -> list[str]:
        process = start("-c", program, config)
        out, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, errors
        return out.splitlines()

    return finish


def test_greenlets_run_while_calls_wait(tls_server, configure, start, beginning):
    """Four requests are in flight at once, over TLS, and another greenlet runs meanwhile: the server answers when it has."""
    program = """
def ask(number):
    print(client.generate(f"hold {number}", "p/m", timeout=30).text)
asking = [spawn(ask, number) for number in range(4)]
def watch():
    while client.status()["p"].in_flight < 4:
        sleep(0.01)
    print("four in flight", flush=True)
wait_for([spawn(watch)])
wait_for(asking)
"""
    process = start("-c", beginning + program, configure(tls_server, concurrency=4))
    tls_server.wait_for(4)
    assert process.stdout.readline() == "four in flight\n"
    tls_server.go.set()
    out, errors = process.communicate(timeout=PATIENCE_S)
    assert sorted(out.splitlines()) == [f"re hold {number}" for number in range(4)], errors


def test_a_timeout_of_the_library_ends_the_call(server, configure, run, beginning):
    """It is raised out of the call, whose request is aborted, so that the worker is free for the next one."""
    program = """
try:
    with Timeout(0.3):
        client.generate("hold", "p/m")
except Timeout:
    print("Timeout")
print(client.generate("next", "p/m").text)
"""
    assert run(beginning + program, configure(server)) == ["Timeout", "re next"]


def test_the_time_limits_of_a_request_hold(tls_server, configure, run, beginning):
    """``timeout`` and ``wait_timeout``."""
    program = """
for limit in ({"timeout": 0.3, "max_retries": 0}, {"wait_timeout": 0.3}):
    try:
        client.generate("hold", "p/m", **limit)
    except LLMConnectorError as error:
        print(type(error).__name__, flush=True)
os._exit(0)  # without waiting for the answer that nobody wants
"""
    assert run(beginning + program, configure(tls_server)) == ["RequestTimeoutError"] * 2


def test_a_forked_child_asks_by_itself(tls_server, configure, run, beginning):
    """After os.fork client and connections are the child's own; the parent goes on."""
    program = """
print(client.generate("parent", "p/m").text, flush=True)
child = os.fork()
if child == 0:
    print(client.generate("child", "p/m").text, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(client.generate("parent again", "p/m").text)
"""
    assert run(beginning + program, configure(tls_server)) == ["re parent", "re child", "re parent again"]


def test_a_call_on_its_own_worker_is_refused(server, configure, run, beginning):
    """A done-callback runs on a worker greenlet, and the client knows it."""
    program = """
told = []
def callback(_):
    try:
        client.generate("inner", "p/m")
    except RuntimeError:
        told.append("RuntimeError")
future = client.submit(ModelRequest("outer", "p/m"))
future.add_done_callback(callback)
print(future.result().text)
while not told:
    sleep(0.01)
print(*told)
"""
    assert run(beginning + program, configure(server)) == ["re outer", "RuntimeError"]


def test_what_is_queued_is_sent_before_the_program_ends(server, configure, run, beginning):
    """As in any program that does not close its client."""
    program = """
for number in range(6):
    client.submit(ModelRequest(str(number), "p/m"))
"""
    run(beginning + program, configure(server))
    assert server.prompts() == [str(number) for number in range(6)]


def test_ctrl_c_ends_a_call(server, configure, start, beginning):
    """KeyboardInterrupt comes out of the call at once, and the client can be used afterwards."""
    program = """
print("asking", flush=True)
try:
    client.generate("hold", "p/m")
except KeyboardInterrupt:
    print("KeyboardInterrupt")
print(client.generate("next", "p/m").text)
"""
    process = start("-c", beginning + program, configure(server))
    assert process.stdout.readline() == "asking\n"
    server.wait_for(1)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=PATIENCE_S)
    assert out.splitlines() == ["KeyboardInterrupt", "re next"], errors


def test_a_patch_while_workers_run_says_so(server, configure, run, library):
    """Threads that were started before cannot wake greenlets: the error names the cause, and nothing is sent."""
    program = (
        """
print(client.generate("first", "p/m").text)
"""
        + PATCHES[library]
        + """
try:
    client.generate("second", "p/m")
except LLMConnectorError as error:
    print(error)
os._exit(0)
"""
    )
    lines = run(IMPORT + MAKE + program.replace("os._exit", "sys.stdout.flush(); os._exit"), configure(server))
    assert lines[0] == "re first"
    assert "was patched (by gevent or eventlet) after the first request" in lines[1]
    assert server.prompts() == ["first"]
