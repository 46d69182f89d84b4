"""gunicorn with the workers of gevent and of eventlet."""

from __future__ import annotations

import concurrent.futures
import importlib.util
import signal
import urllib.request

import pytest

from .conftest import PATIENCE_S

APP = """
import os
import llm_sync

def app(environ, start_response):
    text = llm_sync.generate(environ["QUERY_STRING"], "p/m", config=os.environ["CONFIG"], timeout=30).text.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]
"""
# Passed on to gunicorn: it says the port once it listens.
SETTINGS = """
def when_ready(server):
    print(server.LISTENERS[0].sock.getsockname()[1], flush=True)
"""
REQUESTS = 500


@pytest.mark.parametrize("preload", [False, True], ids=["", "preload"])
@pytest.mark.parametrize("worker", ["gevent", "eventlet"])
def test_gunicorn_serves_five_hundred_requests(server, configure, start, tmp_path, worker, preload):
    """Two workers, thirty-two requests at a time: each gets its own answer, and the server ends when it is asked to."""
    for package in ("gunicorn", worker):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    if importlib.util.find_spec(f"gunicorn.workers.g{worker}") is None:
        pytest.skip(f"this gunicorn has no workers of {worker}")
    (tmp_path / "served.py").write_text(APP)
    (tmp_path / "settings.py").write_text(SETTINGS)
    options = ["-c", str(tmp_path / "settings.py"), "-k", worker, "-w", "2", "-b", "127.0.0.1:0", "--chdir", str(tmp_path)]
    options += ["--preload"] if preload else []
    process = start("-m", "gunicorn", *options, "served:app", CONFIG=configure(server, concurrency=16))

    port = process.stdout.readline().strip()
    assert port, process.communicate()[1]

    def get(number: int) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/?{number}", timeout=PATIENCE_S) as answer:
            return answer.read().decode()

    with concurrent.futures.ThreadPoolExecutor(32) as callers:
        assert list(callers.map(get, range(REQUESTS))) == [f"re {number}" for number in range(REQUESTS)]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
