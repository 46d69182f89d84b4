"""What is imported by the first request that needs it, while another thread forks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FORKED_MEANWHILE = """
import os, signal, sys, threading

begun, go_on = threading.Event(), threading.Event()

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1] and not begun.is_set():  # the import system's lock on it is held
            begun.set()
            go_on.wait()

def use():
    exec(sys.argv[2], {})

sys.meta_path.insert(0, Slow())
loading = threading.Thread(target=use)
loading.start()
assert begun.wait(30)
threading.Timer(0.2, go_on.set).start()
child = os.fork()
if child == 0:
    signal.alarm(15)
    use()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
loading.join()
"""
USES = {
    "cerberus": "from llm_sync.validation import ResponseValidator as V; V({'a': {'type': 'string'}}).check({'a': 1})",
    "jsonschema": "from llm_sync.validation.json_schema import misfits; misfits(1, {'type': 'integer'})",
    "google.auth": "from llm_sync.providers.google_credential import _google_auth; _google_auth()",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("module", USES)
def test_a_fork_waits_for_what_is_being_imported(module: str) -> None:
    """The import system's lock on half a module belongs to a thread that the child does not have."""
    pytest.importorskip(module)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED_MEANWHILE, module, USES[module]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("7", 0), done.stderr


FORKED_WITH_A_LOCK = """
import os, threading

import llm_sync.runtime.import_lock

forking, loading = threading.Event(), threading.Event()
os.register_at_fork(before=forking.set)  # between what is registered before and after it

import logging

def load():
    with llm_sync.runtime.import_lock.import_lock:
        loading.set()
        forking.wait()
        logging.getLogger("some.module")  # as modules do

threading.Thread(target=load, daemon=True).start()
loading.wait()
child = os.fork()
if child == 0:
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_fork_that_waits_holds_no_lock_of_logging() -> None:
    """Modules that create a logger take logging's lock: an import would wait for the fork and the fork for the import."""
    done = subprocess.run([sys.executable, "-c", FORKED_WITH_A_LOCK], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.returncode) == ("7", 0), done.stderr


LEFT_BY_AN_EXCEPTION = """
import threading

from llm_sync.runtime.import_lock import import_lock

import_lock.__enter__()  # and the block is never left: an exception came just before
done = threading.Event()

def load():
    with import_lock:
        done.set()

threading.Thread(target=load, daemon=True).start()
print(done.wait(30))
"""


def test_a_block_that_was_never_left_keeps_nobody_from_importing() -> None:
    """An exception of a signal handler may come between the last line of a block and its end."""
    done = subprocess.run([sys.executable, "-c", LEFT_BY_AN_EXCEPTION], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr


FORKED_WHILE_NESTED = """
import os, threading

from llm_sync.runtime.import_lock import import_lock

with import_lock, import_lock:
    child = os.fork()
    if child == 0:
        threading.Thread(target=lambda: import_lock.__enter__() or os._exit(7)).start()
        threading.Event().wait(30)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_thread_that_imports_may_fork() -> None:
    """It does not wait for itself, and the child's threads may import."""
    done = subprocess.run([sys.executable, "-c", FORKED_WHILE_NESTED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.returncode) == ("7", 0), done.stderr


LEFT_AND_FORKED = """
import os, threading, time

from llm_sync.runtime.import_lock import import_lock

def leave_it_open():
    import_lock.__enter__()

leave_it_open()
begun = time.monotonic()

def fork():
    child = os.fork()
    if child == 0:
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), time.monotonic() - begun < 8)

thread = threading.Thread(target=fork)
thread.start()
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_fork_waits_for_no_block_that_was_never_left() -> None:
    """The function that was in the block has ended."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LEFT_AND_FORKED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("7 True", 0), done.stderr
