"""Status files: they exist while the process lives, are written once a second at most, and never delay a request."""

from __future__ import annotations

import gc
import json
import logging
import os
import pickle
import stat
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from endings_apparatus import Program  # type: ignore[import-not-found]

from llm_sync import LLMClient, RateLimitError
from llm_sync.config import ConfigLoader
from llm_sync.machine import locks, status
from llm_sync.machine.running import RunningProcess, running_processes
from llm_sync.simulator import Response, Simulator

PATIENCE_S = 10.0

CONFIG = """
defaults: {model: openai/m, retry_base: 0, max_retries: 0}
providers:
  openai: {api_key: "sk-secret-0123456789", base_url: "<openai>", models: [m]}
  anthropic: {api_key: "sk-secret-0123456789", base_url: "<anthropic>", models: [c]}
"""


@pytest.fixture
def make(open_client: Callable[..., LLMClient]) -> Callable[..., LLMClient]:
    """Makes clients of two providers that publish their status."""
    return lambda **options: open_client(CONFIG, **{"publish_status": True, **options})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write status files without delay."""
    monkeypatch.setattr(status, "INTERVAL_S", 0.001)
    monkeypatch.setattr(status, "SETTLE_S", 0.001)


@pytest.fixture
def files(runtime: Path) -> Callable[[], list[Path]]:
    """All status files, unfinished ones included."""
    return lambda: sorted((runtime / "running").iterdir()) if (runtime / "running").exists() else []


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The providers of each write."""
    written: list[str] = []
    write = locks.FileLock.write

    def counted(self: locks.FileLock, content: bytes) -> None:
        written.append(json.dumps(json.loads(content)["providers"]))
        write(self, content)

    monkeypatch.setattr(locks.FileLock, "write", counted)
    return written


def only() -> RunningProcess:
    """The only running process."""
    (found,) = running_processes()
    return found


def test_a_new_client_is_listed(
    make: Callable[..., LLMClient], files: Callable[[], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new client is listed with process number and program name, without a thread so far."""
    monkeypatch.setattr("sys.argv", ["/opt/bin/nightly", "arg"])
    threads = set(threading.enumerate())
    make()
    only_one = only()
    assert (only_one.pid, only_one.providers) == (os.getpid(), {})
    assert only_one.command == "nightly"
    assert set(threading.enumerate()) <= threads
    (path,) = files()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_without_the_option_there_is_no_file(open_client: Callable[..., LLMClient], runtime: Path) -> None:
    """Without publish_status no file is created."""
    open_client(CONFIG).generate("hi")
    assert not runtime.exists()


@pytest.mark.usefixtures("quick")
def test_requests_are_counted(make: Callable[..., LLMClient], upstream: Simulator, soon: Callable[..., None]) -> None:
    """The file contains each used provider with queued, running and answered requests."""
    client = make()
    with upstream.hold() as hold:
        futures = [client.submit(request) for request in requests(3)]
        hold.wait()
        soon(lambda: only().providers and only().providers["openai"].requests_per_minute == 1)
        provider = only().providers["openai"]
        assert (provider.queued, provider.in_flight, provider.done) == (2, 1, 0)
        assert provider.oldest_in_flight_since is not None
        assert provider.waiting == {}
        assert list(only().providers) == ["openai"]
    for future in futures:
        future.result(PATIENCE_S)
    soon(lambda: only().providers["openai"].done == 3)
    provider = only().providers["openai"]
    assert (provider.queued, provider.in_flight, provider.oldest_in_flight_since) == (0, 0, None)


def requests(count: int) -> list[Any]:
    """The number of requests to the first provider."""
    from llm_sync import ModelRequest

    return [ModelRequest(f"the prompt {number}", "openai/m") for number in range(count)]


@pytest.fixture
def failing() -> Iterator[Simulator]:
    """A simulator that rejects every request with a Retry-After of an hour."""
    with Simulator(
        on_request=lambda _: Response(
            429, {"error": {"message": "slow down"}}, (("content-type", "application/json"), ("retry-after", "3600"))
        )
    ) as started:
        yield started


@pytest.mark.usefixtures("quick")
def test_failures_and_cool_downs_are_written(failing: Simulator, soon: Callable[..., None]) -> None:
    """Failures are counted by class, and cool-downs have an end."""
    with LLMClient(
        ConfigLoader().load_text(
            CONFIG.replace("<openai>", failing.url("openai")).replace("<anthropic>", failing.url("anthropic"))
        ),
        publish_status=True,
    ) as client:
        for _ in range(2):
            with pytest.raises(RateLimitError):
                client.generate("hi")
        soon(lambda: only().providers and sum(only().providers["openai"].failed.values()) == 2)
        provider = only().providers["openai"]
        assert provider.failed == {"RateLimitError": 2}
        assert provider.cooling_down_until is not None
        left = provider.cooling_down_until - only().started
        assert 3590 < left.total_seconds() < 3700


@pytest.mark.usefixtures("quick")
def test_waiting_for_a_slot_is_counted(
    make: Callable[..., LLMClient], open_client: Callable[..., LLMClient], soon: Callable[..., None], upstream: Simulator
) -> None:
    """A request that waits for a slot is counted as waiting."""
    text = CONFIG.replace("models: [m]", "models: [m], machine_wide: true")
    with upstream.hold() as hold:
        first = open_client(text).submit(requests(1)[0])
        hold.wait()
        second = open_client(text, publish_status=True).submit(requests(1)[0])
        soon(lambda: only().providers and only().providers["openai"].waiting)
        assert only().providers["openai"].waiting == {"slot": 1}
        assert only().providers["openai"].requests_per_minute == 0
    first.result(PATIENCE_S)
    second.result(PATIENCE_S)
    soon(lambda: only().providers["openai"].waiting == {})


def test_at_most_one_write_a_second(make: Callable[..., LLMClient], writes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Within one interval (here endless) the file is written twice at most: at the start and after the first event."""
    monkeypatch.setattr(status, "INTERVAL_S", 3600)
    client = make()
    for _ in range(30):
        client.generate("hi")
    assert len(writes) <= 2


@pytest.mark.usefixtures("quick")
def test_no_write_while_nothing_changes(
    make: Callable[..., LLMClient], writes: list[str], soon: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is not written while nothing changes."""
    looks: list[int] = []
    client = make()
    client.generate("hi")
    soon(lambda: writes and '"done": 1' in writes[-1] and '"in_flight": 0' in writes[-1])
    real = client.status
    monkeypatch.setattr(LLMClient, "status", lambda self: (looks.append(1), real())[1])
    before = len(writes)
    for _ in range(20):
        looks.clear()
        assert client._status_file is not None
        client._status_file._wake.put(None)
        soon(lambda: looks)
    assert len(writes) == before


def test_requests_per_minute_fall_without_events(
    make: Callable[..., LLMClient], soon: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests per minute fall in the file without further events."""
    monkeypatch.setattr(status, "INTERVAL_S", 0.001)
    monkeypatch.setattr(status, "RATE_REFRESH_S", 0.001)
    client = make()
    client.generate("hi")
    soon(lambda: only().providers and only().providers["openai"].requests_per_minute == 1 and only().providers["openai"].done)
    monkeypatch.setattr("llm_sync.dispatch.status.MINUTE_S", -60)  # as if a minute had gone by
    soon(lambda: only().providers["openai"].requests_per_minute == 0)


def test_closing_removes_it(make: Callable[..., LLMClient], files: Callable[[], list[Path]], soon: Callable[..., None]) -> None:
    """Closing removes the file and ends the thread; it may be repeated."""
    client = make()
    client.generate("hi")
    soon(writers)
    client.close()
    assert files() == []
    soon(lambda: not writers())
    client.close()
    assert running_processes() == []
    assert not locks._registry.locks


def writers() -> list[threading.Thread]:
    """The threads that write status files."""
    return [thread for thread in threading.enumerate() if thread.name == "llm-sync-status"]


def test_the_file_does_not_keep_its_client_alive(
    make: Callable[..., LLMClient], files: Callable[[], list[Path]], write_config: Callable[[str], str], soon: Callable[..., None]
) -> None:
    """The status file does not keep its client alive."""
    client = LLMClient(ConfigLoader().load_text(write_config(CONFIG)), publish_status=True)
    client.generate("hi")
    soon(writers)
    gone = weakref.ref(client)
    client._manager.queue("openai").close()  # an idle worker knows its client
    del client
    gc.collect()
    assert gone() is None
    assert files() == []
    soon(lambda: not writers())


def test_two_clients_have_two_files(make: Callable[..., LLMClient]) -> None:
    """Two clients of one process have two files."""
    make(), make()
    assert [each.pid for each in running_processes()] == [os.getpid()] * 2


def test_pickling_keeps_it(
    make: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch, write_config: Callable[[str], str]
) -> None:
    """A pickled copy publishes its status, too."""
    monkeypatch.setenv("MACHINE_TEST_KEY", "x")
    text = CONFIG.replace("sk-secret-0123456789", "${MACHINE_TEST_KEY}")
    with (
        LLMClient(ConfigLoader().load_text(write_config(text)), publish_status=True) as client,
        pickle.loads(pickle.dumps(client)),  # noqa: S301  (made here)
    ):
        assert len(running_processes()) == 2
    assert running_processes() == []


@pytest.mark.usefixtures("quick")
def test_the_file_contains_no_secret_and_no_prompt(
    make: Callable[..., LLMClient], files: Callable[[], list[Path]], soon: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file contains neither secrets nor prompts, from the configuration or the command line."""
    monkeypatch.setattr("sys.argv", ["/opt/bin/report", "--api-key", "sk-secret-0123456789", "the prompt"])
    client = make()
    client.generate("the prompt")
    soon(lambda: only().providers and only().providers["openai"].done == 1)
    (path,) = files()
    told = path.read_text()
    assert "secret" not in told
    assert "prompt" not in told
    assert "127.0.0.1" not in told
    assert only().command == "report"


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["/usr/bin/llm-report"], "llm-report"),
        (["script.py", "arg"], "script.py"),
        (["-c"], "python -c"),
        ([""], "python"),
        ([], "python"),
        (["/site-packages/celery/__main__.py"], "python -m celery"),
        (["/x/\x1b[31mred\n.py"], "?[31mred?.py"),
        (["/x/" + "y" * 300], "y" * 100),
    ],
)
def test_a_process_is_named_after_its_program(monkeypatch: pytest.MonkeyPatch, argv: list[str], name: str) -> None:
    """A process is named after its program, in one line of limited length."""
    monkeypatch.setattr("sys.argv", argv)
    assert status._process_name() == name


def test_a_process_may_set_its_name(make: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may set its name, as commands do."""
    monkeypatch.setattr(status, "_command", [])
    status.set_process_name("llm-sync generate")
    make()
    assert only().command == "llm-sync generate"


# Several threads


class Gate:
    """The first caller waits here until the test releases it."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()

    def pass_through(self) -> None:
        """Called in place of the patched function."""
        if not self.reached.is_set():
            self.reached.set()
            assert self.go.wait(PATIENCE_S)


def test_close_waits_for_a_write_in_progress(
    make: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch, files: Callable[[], list[Path]], soon: Callable[..., None]
) -> None:
    """close waits for a write in progress: otherwise the file would appear after it."""
    gate, write = Gate(), locks.FileLock.write
    client = make()
    monkeypatch.setattr(locks.FileLock, "write", lambda self, content: (gate.pass_through(), write(self, content))[1])
    client.generate("hi")
    assert gate.reached.wait(PATIENCE_S)
    ending = threading.Thread(target=client.close)
    ending.start()
    ending.join(0.2)
    gate.go.set()
    ending.join(PATIENCE_S)
    soon(lambda: not writers())
    assert files() == []
    assert not locks._registry.locks


def test_two_workers_start_one_thread(make: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers that start at the same time start one thread."""
    gate, made = Gate(), []

    class Slow(threading.Thread):
        def __init__(self, *args: Any, **options: Any) -> None:
            made.append(options.get("name"))
            gate.pass_through()
            super().__init__(*args, **options)

    client = make()
    file = client._status_file
    assert file is not None
    beginning = [threading.Thread(target=file._start) for _ in range(2)]
    monkeypatch.setattr(status.threading, "Thread", Slow)
    beginning[0].start()
    assert gate.reached.wait(PATIENCE_S)
    beginning[1].start()
    beginning[1].join(0.2)
    gate.go.set()
    for each in beginning:
        each.join(PATIENCE_S)
    assert made == ["llm-sync-status"]


# Trouble


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("trouble", ["full disk", "no folder", "open folder", "no thread", "a bug"])
def test_a_failure_to_write_is_logged_once(
    make: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: str, runtime: Path
) -> None:
    """A failure to write the file fails no request, and is logged once."""
    if trouble == "full disk":
        monkeypatch.setattr(locks.FileLock, "write", fail(OSError(28, "No space left on device")))
    elif trouble == "no folder":
        monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", "/dev/null/llm-sync")
    elif trouble == "open folder":
        runtime.mkdir()
        runtime.chmod(0o777)
    elif trouble == "no thread":
        start = threading.Thread.start
        monkeypatch.setattr(
            threading.Thread,
            "start",
            lambda self: start(self) if self.name != "llm-sync-status" else fail(RuntimeError("can't start new thread"))(),
        )
    else:
        monkeypatch.setattr(status, "_provider_state", fail(ZeroDivisionError("a bug")))
    caplog.set_level(logging.DEBUG, "llm_sync.machine")
    client = make()
    for _ in range(5):
        assert client.generate("hi").text
    client.close()
    told = [record for record in caplog.records if record.name == "llm_sync.machine"]
    assert [record.levelname for record in told] == ["WARNING"]
    assert "cannot show this process" in told[0].getMessage()


def fail(error: Exception) -> Callable[..., Any]:
    """Raise the error."""

    def raising(*_: Any, **__: Any) -> Any:
        raise error

    return raising


def test_a_command_logs_the_failure_for_debugging_only(
    make: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A command logs the failure at debug level only."""
    monkeypatch.setattr(status, "_command", ["llm-sync generate"])
    monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", "/dev/null/llm-sync")
    caplog.set_level(logging.DEBUG, "llm_sync.machine")
    make()
    assert [record.levelname for record in caplog.records if record.name == "llm_sync.machine"] == ["DEBUG"]


def test_a_failed_write_leaves_nothing_behind(
    make: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch, files: Callable[[], list[Path]]
) -> None:
    """A failed write leaves neither a file nor a lock."""
    monkeypatch.setattr(locks.FileLock, "write", fail(OSError(28, "No space left on device")))
    make()
    assert files() == []
    assert not locks._registry.locks


# Other processes

PUBLISHING = """
client = LLMClient.from_config(CONFIG, publish_status=True)
client.generate("hi")
say("ready")
sys.stdin.readline()
"""


def test_a_killed_process_is_not_listed(program, shared_config: str, files: Callable[[], list[Path]]) -> None:
    """The file of a killed process is removed by the next reader."""
    started = program(PUBLISHING, shared_config)
    started.read_until("ready")
    assert only().pid == started.process.pid
    started.process.kill()
    started.process.wait()
    assert len(files()) == 1
    assert running_processes() == []
    assert files() == []


def test_a_process_that_never_closes_removes_its_file(program, shared_config: str, files: Callable[[], list[Path]]) -> None:
    """A process that never closes its client removes the file at its end, without delay."""
    started = program(PUBLISHING, shared_config)
    started.read_until("ready")
    assert len(files()) == 1
    started.go_on()
    assert started.finish() == 0
    assert files() == []
    assert started.errors == ""


FORKING = """
client = LLMClient.from_config(CONFIG, publish_status=True)
client.generate("before")
child = os.fork()
if child == 0:
    client.generate("in the child")
    say("child", os.getpid())
    sys.stdin.readline()
    sys.exit(0)
say("parent", os.getpid())
sys.exit(wait_for(child))
"""


def test_a_forked_child_has_its_own(
    program, shared_config: str, files: Callable[[], list[Path]], soon: Callable[..., None]
) -> None:
    """A forked child has a file of its own from its first request on, and leaves the parent's alone."""
    started = program(FORKING, shared_config)
    pids = dict(started.next_line().split() for _ in range(2))
    soon(lambda: {str(each.pid) for each in running_processes()} == set(pids.values()))
    child = next(each for each in running_processes() if str(each.pid) == pids["child"])
    soon(lambda: all("openai" in each.providers and each.providers["openai"].done == 1 for each in running_processes()))
    os.kill(child.pid, 9)
    soon(lambda: [str(each.pid) for each in running_processes()] in ([pids["parent"]], []))
    started.finish()
    assert running_processes() == []


UNUSED = """
client = LLMClient.from_config(CONFIG, publish_status=True)
child = os.fork()
if child == 0:
    sys.exit(0)         # with atexit's functions, inherited ones too
say("child", wait_for(child))
sys.stdin.readline()
"""


def test_a_child_without_requests_has_no_file(program, shared_config: str) -> None:
    """A forked child without requests creates no file and removes none."""
    started = program(UNUSED, shared_config)
    started.read_until("child 0")
    assert [each.pid for each in running_processes()] == [started.process.pid]


LOCKED_FORK = """
client = LLMClient.from_config(CONFIG, publish_status=True)
file = client._status_file
held, go = threading.Event(), threading.Event()
def hold():
    with file._lock:
        held.set()
        go.wait(20)
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    say(client.generate("in the child").text[:4])
    client.close()
    os._exit(0)
say("child", wait_for(child, within=8))
go.set()
"""


def test_a_fork_while_the_file_is_written(program, shared_config: str) -> None:
    """A child that is forked during a write has a lock of its own."""
    started = program(LOCKED_FORK, shared_config)
    assert started.finish() == 0
    assert started.lines[-1] == "child 0"


OFF = """
client = LLMClient.from_config(CONFIG)
client.generate("hi")
say([name for name in sys.modules if name.startswith("llm_sync.machine")])
"""


def test_without_the_option_nothing_is_imported(tmp_path: Path, write_config: Callable[[str], str]) -> None:
    """Without publish_status the module is not imported."""
    path = tmp_path / "plain.yaml"
    path.write_text(write_config(CONFIG))
    plain = Program(OFF, str(path))
    assert plain.finish() == 0
    assert plain.lines == ["[]"]
