"""The request log: over HTTP in pages, and as a file of JSON Lines."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import threading

import pytest

from llm_sync.simulator import Simulator
from llm_sync.simulator.server.log_file import LogFile

NOISY = {
    "rules": [
        {"when": {"prompt": "cut"}, "reset": "before_status"},
        {"when": {"prompt": "half"}, "reset": "mid_body"},
        {"when": {"prompt": "busy"}, "error": "overloaded"},
        {"when": {"prompt": "late"}, "latency": 0.01},
    ]
}


def lines(path):
    """Every line of a log file, parsed."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def outcomes(simulator, connect):
    """Sends one request of each kind."""
    wire = connect(simulator)
    for prompt in ("plain", "busy", "late"):
        wire.prompt("openai", prompt)
    wire.ask("openai", b"{")
    for prompt in ("cut", "half"):
        with pytest.raises((OSError, Exception)):
            wire.prompt("openai", prompt)
        wire.connection.close()
    wire.send("GET", "/nowhere")
    simulator.wait_for_requests(7, ended=True)


EXPECTED = [
    ("ok", 200, True, ()),
    ("overloaded", 503, False, ("error",)),
    ("ok", 200, True, ("latency",)),
    ("refused", 400, False, ()),
    ("reset", None, False, ("reset",)),
    ("reset", 200, True, ("reset",)),
    ("refused", 404, False, ()),
]


def test_every_request_is_in_it_with_its_outcome(connect):
    """Every request is logged with its outcome, cut ones too, billed or not."""
    with Simulator(script=NOISY) as simulator:
        outcomes(simulator, connect)
        assert [(record.outcome, record.status, record.billed, record.rules) for record in simulator.requests] == EXPECTED
        summary = simulator.summary()
    openai = summary["providers"]["openai"]
    assert openai["outcomes"] == {"ok": 2, "overloaded": 1, "refused": 1, "reset": 2}
    assert openai["statuses"] == {"200": 3, "400": 1, "503": 1, "none": 1}
    assert openai["billed"] == 3
    assert openai["requests"] == 6


def test_pages(simulator, connect):
    """A page begins after an index, has a size, may leave out payloads, and says whether there is more."""
    wire = connect(simulator)
    for n in range(5):
        wire.prompt("openai", f"request {n}")

    def page(query):
        body = wire.send("GET", f"/_simulator/log?{query}").body
        return [entry["index"] for entry in body["requests"]], body["more"]

    assert page("") == ([1, 2, 3, 4, 5], False)
    assert page("limit=2") == ([1, 2], True)
    assert page("since=2&limit=2") == ([3, 4], True)
    assert page("since=4&limit=2") == ([5], False)
    assert page("since=5") == ([], False)
    assert page("since=99999999999999") == ([], False)
    assert page("limit=0") == ([], False)
    (entry,) = wire.send("GET", "/_simulator/log?since=4&payload=false").body["requests"]
    assert entry["payload"] is None
    assert entry["model"] == "gpt-4o-mini"
    assert entry["billed"] is True
    assert entry["ended_at"] >= entry["arrived_at"]
    for wrong in ("since=x", "since=-1", "limit=1.5", "since=" + "9" * 40):
        assert wire.send("GET", f"/_simulator/log?{wrong}").status == 400


def test_a_page_never_holds_more_than_ten_thousand(simulator, wire, monkeypatch):
    """The size of a page is limited."""
    monkeypatch.setattr("llm_sync.simulator.server.admin._MAX_PAGE", 2)
    for _ in range(3):
        wire.prompt("openai")
    body = wire.send("GET", "/_simulator/log?limit=999999").body
    assert (len(body["requests"]), body["more"]) == (2, True)


def test_the_log_file_has_a_line_for_every_request_that_ended(connect, tmp_path):
    """The file has the same records as the log over HTTP, and no key."""
    path = tmp_path / "log.jsonl"
    with Simulator(script=NOISY, log=path) as simulator:
        outcomes(simulator, connect)
        told = connect(simulator).send("GET", "/_simulator/log").body["requests"]
    written = lines(path)
    assert sorted(written, key=lambda entry: entry["index"]) == told
    assert [(entry["outcome"], entry["status"], entry["billed"], tuple(entry["rules"])) for entry in told] == EXPECTED
    assert "good-key" not in path.read_text()
    assert len({entry["key_hash"] for entry in told}) == 2  # one, and none
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_line_is_there_before_the_answer(connect, tmp_path):
    """A client that has an answer finds it in the log file."""
    path = tmp_path / "log"
    with Simulator(log=path) as simulator:
        wire = connect(simulator)
        for count in range(1, 21):
            wire.prompt("openai")
            assert len(lines(path)) == count


@pytest.mark.skipif(os.name != "posix", reason="modes as on POSIX")
def test_an_old_log_goes_on_and_becomes_private(connect, tmp_path):
    """An existing log is appended to, after an incomplete line too, and its mode becomes 0600."""
    path = tmp_path / "log"
    path.write_bytes(b'{"index":1}\n{"ind')
    path.chmod(0o644)
    with Simulator(log=path) as simulator:
        connect(simulator).prompt("openai")
    assert path.read_bytes().startswith(b'{"index":1}\n{"ind\n{"index":1,')
    assert path.read_bytes().endswith(b"}\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_simulators_may_share_a_log(connect, tmp_path):
    """Two simulators may append to one file; all lines are whole."""
    path = tmp_path / "log"
    with Simulator(log=path) as one, Simulator(log=path) as other:

        def ask(simulator):
            wire = connect(simulator)
            for n in range(15):
                wire.prompt("openai", "x" * (1 + n * 5000))

        threads = [threading.Thread(target=ask, args=(simulator,)) for simulator in (one, other) * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(lines(path)) == 90


def test_a_log_that_cannot_be_written(tmp_path):
    """A log that cannot be opened is reported before anything starts."""
    with pytest.raises(IsADirectoryError):
        Simulator(log=tmp_path).start()
    with pytest.raises(FileNotFoundError):
        Simulator(log=tmp_path / "no" / "log").start()


def test_a_full_disk_is_the_simulators_trouble_not_the_clients(connect, tmp_path, monkeypatch):
    """With a full disk the client gets its answer, and the error is an internal one."""

    def full(entry):
        raise OSError(errno.ENOSPC, "No space left on device")

    with Simulator(log=tmp_path / "log") as simulator:
        monkeypatch.setattr(simulator._log.file, "append", full)
        assert connect(simulator).prompt("openai").status == 200
        assert simulator.summary()["providers"]["openai"]["outcomes"] == {"ok": 1}
        assert [error.errno for error in simulator.faults] == [errno.ENOSPC]


def test_a_payload_that_cannot_be_written_is_left_out(tmp_path):
    """A payload that is nested too deeply to be written is left out."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    log = LogFile(tmp_path / "log")
    log.append({"index": 1, "payload": deep})
    log.close()
    log.close()
    log.append({"index": 2})
    assert lines(tmp_path / "log") == [{"index": 1, "payload": None}]
    while deep:  # or freeing it would nest as deep
        deep = deep.pop()


def test_the_command_line_writes_one(tmp_path):
    """``simulate --log FILE --script NAME -- COMMAND`` writes a log."""
    path = tmp_path / "log"
    arguments = ["simulate", "--log", str(path), "--script", "calm", "--", sys.executable, "-m", "llm_sync", "generate", "Hi"]
    subprocess.run([sys.executable, "-m", "llm_sync", *arguments], check=True, timeout=60, stdout=subprocess.DEVNULL)
    (entry,) = lines(path)
    assert (entry["outcome"], entry["rules"], entry["payload"]["messages"][0]["content"]) == ("ok", ["latency"], "Hi")


def test_a_first_request_under_way_is_counted(simulator, connect):
    """The summary includes a provider whose first request is in flight."""
    with simulator.hold() as hold:
        asking = threading.Thread(target=connect(simulator).prompt, args=("openai",))
        asking.start()
        hold.wait(1)
        counts = simulator.summary()["providers"]["openai"]
        hold.close()
        asking.join(10)
    assert (counts["requests"], counts["in_flight"], counts["max_concurrency"]) == (0, 1, 1)
    assert simulator.summary()["providers"]["openai"]["requests"] == 1
