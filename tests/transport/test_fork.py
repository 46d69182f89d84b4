"""After a fork the child opens its own connections without waiting for a lock, and the parent is not affected."""

from __future__ import annotations

import gc
import os
import signal
import threading
import traceback

import pytest

from llm_sync.transport import tls

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    pytest.mark.blocking_driver,  # a loop is not inherited; tests/endings forks whole clients
]


def in_child(work):
    """Run ``work`` in a forked child for at most 10 s, and return its exit status, which is what ``work`` returns."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10)
            status = work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_child_and_parent_use_connections_of_their_own(serve, open_client, authority, secure):
    """The child uses a new connection, the parent the one that it had."""
    server, client = serve(tls=authority.context() if secure else None), open_client(ca_bundle=authority.path)
    client.post(server.url, b"1", {}, timeout=5)

    def child():
        client.reset_after_fork()
        return 0 if client.post(server.url, b"child", {}, timeout=5).content == b"child" else 1

    assert in_child(child) == 0
    assert client.post(server.url, b"2", {}, timeout=5).content == b"2"
    assert server.connections == 2
    assert [received.body for received in server.requests] == [b"1", b"child", b"2"]


def test_a_lock_held_at_the_fork_does_not_hold_up_the_child(serve, open_client):
    """The child can call and close although another thread held the client's lock during the fork."""
    server, client = serve(), open_client()
    client.post(server.url, b"1", {}, timeout=5)
    held, done = threading.Event(), threading.Event()

    def hold():
        manager = client._session.get_adapter("http://").poolmanager
        with client._lock, manager.pools.lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(5)

    def child():
        client.reset_after_fork()
        gc.collect()
        content = client.post(server.url, b"child", {}, timeout=5).content
        client.close()
        return 0 if content == b"child" else 1

    status = in_child(child)
    done.set()
    thread.join()
    assert status == 0


def test_the_child_gives_up_its_copies_of_the_parents_descriptors(serve, open_client):
    """If the parent closes a connection, the server sees that although the child lives on."""
    taken, closed = threading.Semaphore(0), threading.Event()

    def script(peer):
        received = peer.request()
        if received.body == b"idle":
            peer.reply()
        taken.release()
        peer.until_closed()
        if received.body == b"busy":
            peer.server.over.wait()
        else:
            closed.set()

    server, client = serve(script), open_client(pool_size=2)
    client.post(server.url, b"idle", {}, timeout=5)
    assert taken.acquire(timeout=5)
    ready, live = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(10)
            client.reset_after_fork()
            os.write(ready[1], b"x")
            os.close(live[1])
            os.read(live[0], 1)
        finally:
            os._exit(0)
    os.read(ready[0], 1)
    client.close()
    seen = closed.wait(5)
    os.write(live[1], b"x")
    os.waitpid(pid, 0)
    for descriptor in (*ready, *live):
        os.close(descriptor)
    assert seen


def test_the_child_makes_a_tls_context_of_its_own(serve, open_client, authority):
    """The child creates its own TLS context: threads that it does not have may hold locks inside the parent's."""
    server, client = serve(tls=authority.context()), open_client(ca_bundle=authority.path)
    client.post(server.url, b"1", {}, timeout=5)
    inherited = tls.shared_context(authority.path)

    def child():
        client.reset_after_fork()
        client.post(server.url, b"child", {}, timeout=5)
        return int(tls.shared_context(authority.path) is inherited)

    assert in_child(child) == 0


def test_a_closed_client_stays_closed_in_the_child(serve, open_client):
    """A client that was closed before the fork stays closed in the child."""
    client = open_client()
    client.close()

    def child():
        client.reset_after_fork()
        try:
            client.post("http://127.0.0.1:1/", b"{}", {}, timeout=1)
        except Exception as error:
            return int(type(error).__name__ != "ClientClosedError")
        return 1

    assert in_child(child) == 0
