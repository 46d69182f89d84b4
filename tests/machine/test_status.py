"""Status files: there while a process lives, told of at most once a second, and never at a request's cost."""

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
    """Clients of two providers that publish their status."""
    return lambda **options: open_client(CONFIG, **{"publish_status": True, **options})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens is told at once."""
    monkeypatch.setattr(status, "INTERVAL_S", 0.001)
    monkeypatch.setattr(status, "SETTLE_S", 0.001)


@pytest.fixture
def files(runtime: Path) -> Callable[[], list[Path]]:
    """All status files, those half-written too."""
    return lambda: sorted((runtime / "running").iterdir()) if (runtime / "running").exists() else []


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The providers told of, one entry a write."""
    found: list[str] = []
    write = locks.FileLock.write

    def counted(self: locks.FileLock, content: bytes) -> None:
        found.append(json.dumps(json.loads(content)["providers"]))
        write(self, content)

    monkeypatch.setattr(locks.FileLock, "write", counted)
    return found


def only() -> RunningProcess:
    """The one that runs."""
    (found,) = running_processes()
    return found


def test_a_client_is_shown_from_the_start_on(
    make: Callable[..., LLMClient], files: Callable[[], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its process's number and its program's name; it has no thread for it yet."""
    monkeypatch.setattr("sys.argv", ["/opt/bin/nightly", "arg"])
    threads = set(threading.enumerate())
    make()
    found = only()
    assert (found.pid, found.providers) == (os.getpid(), {})
    assert found.command == "nightly"
    assert set(threading.enumerate()) <= threads
    (path,) = files()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_client_that_does_not_ask_for_it_is_not_shown(open_client: Callable[..., LLMClient], runtime: Path) -> None:
    """Nothing is made anywhere."""
    open_client(CONFIG).generate("hi")
    assert not runtime.exists()


@pytest.mark.usefixtures("quick")
def test_what_happens_is_told(make: Callable[..., LLMClient], upstream: Simulator, soon: Callable[..., None]) -> None:
    """Providers that were asked, with what waits, what runs and since when, what was answered."""
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
    """To the first provider."""
    from llm_sync import ModelRequest

    return [ModelRequest(f"the prompt {number}", "openai/m") for number in range(count)]


@pytest.fixture
def failing() -> Iterator[Simulator]:
    """Every request comes too early, by an hour."""
    with Simulator(
        on_request=lambda _: Response(
            429, {"error": {"message": "slow down"}}, (("content-type", "application/json"), ("retry-after", "3600"))
        )
    ) as started:
        yield started


@pytest.mark.usefixtures("quick")
def test_failures_and_cool_downs_are_told(failing: Simulator, soon: Callable[..., None]) -> None:
    """By class, and until when."""
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
def test_what_waits_for_a_slot_is_told_apart(
    make: Callable[..., LLMClient], open_client: Callable[..., LLMClient], soon: Callable[..., None], upstream: Simulator
) -> None:
    """It is with a worker, but nobody has it yet."""
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
    """However much happens in it (here it lasts for ever): the first state, and the first that was worth telling."""
    monkeypatch.setattr(status, "INTERVAL_S", 3600)
    client = make()
    for _ in range(30):
        client.generate("hi")
    assert len(writes) <= 2


@pytest.mark.usefixtures("quick")
def test_no_write_while_nothing_changes(
    make: Callable[..., LLMClient], writes: list[str], soon: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking is not writing."""
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


def test_requests_per_minute_fade_though_nothing_happens(
    make: Callable[..., LLMClient], soon: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an idle process would look busy for ever."""
    monkeypatch.setattr(status, "INTERVAL_S", 0.001)
    monkeypatch.setattr(status, "RATE_REFRESH_S", 0.001)
    client = make()
    client.generate("hi")
    soon(lambda: only().providers and only().providers["openai"].requests_per_minute == 1 and only().providers["openai"].done)
    monkeypatch.setattr("llm_sync.dispatch.status.MINUTE_S", -60)  # as if a minute had gone by
    soon(lambda: only().providers["openai"].requests_per_minute == 0)


def test_closing_removes_it(make: Callable[..., LLMClient], files: Callable[[], list[Path]], soon: Callable[..., None]) -> None:
    """And ends its thread; closing again does no harm."""
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
    """The threads that keep status files."""
    return [thread for thread in threading.enumerate() if thread.name == "llm-sync-status"]


def test_a_client_that_nobody_has_any_more_is_not_shown(
    make: Callable[..., LLMClient], files: Callable[[], list[Path]], write_config: Callable[[str], str], soon: Callable[..., None]
) -> None:
    """The file does not keep it alive."""
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
    """Of one process."""
    make(), make()
    assert [found.pid for found in running_processes()] == [os.getpid()] * 2


def test_pickling_keeps_it(
    make: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch, write_config: Callable[[str], str]
) -> None:
    """The copy is shown beside the first one."""
    monkeypatch.setenv("MACHINE_TEST_KEY", "x")
    text = CONFIG.replace("sk-secret-0123456789", "${MACHINE_TEST_KEY}")
    with (
        LLMClient(ConfigLoader().load_text(write_config(text)), publish_status=True) as client,
        pickle.loads(pickle.dumps(client)),  # noqa: S301  (made here)
    ):
        assert len(running_processes()) == 2
    assert running_processes() == []


@pytest.mark.usefixtures("quick")
def test_no_secret_and_no_prompt_is_told(
    make: Callable[..., LLMClient], files: Callable[[], list[Path]], soon: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of the configuration nor of the command line."""
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
def test_a_process_is_called_by_its_program(monkeypatch: pytest.MonkeyPatch, argv: list[str], name: str) -> None:
    """In one line of bounded length."""
    monkeypatch.setattr("sys.argv", argv)
    assert status._process_name() == name


def test_a_process_may_call_itself(make: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch) -> None:
    """As commands do."""
    monkeypatch.setattr(status, "_command", [])
    status.set_process_name("llm-sync generate")
    make()
    assert only().command == "llm-sync generate"


# Several threads


class Gate:
    """Whoever comes first stops here until the test lets it go."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()

    def pass_through(self) -> None:
        """Called by who passes."""
        if not self.reached.is_set():
            self.reached.set()
            assert self.go.wait(PATIENCE_S)


def test_an_end_while_the_file_is_written_waits_for_it(
    make: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch, files: Callable[[], list[Path]], soon: Callable[..., None]
) -> None:
    """Else the file would appear after it was to be removed, and stay."""
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


def test_two_workers_that_begin_at_once_start_one_thread(make: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two would write in turns."""
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
def test_trouble_costs_no_request_and_is_told_once(
    make: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: str, runtime: Path
) -> None:
    """Whatever keeps the file from being written."""
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
    """Raises it."""

    def raising(*_: Any, **__: Any) -> Any:
        raise error

    return raising


def test_a_command_does_not_complain(
    make: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody asked it for the file: cron mail about it would be noise."""
    monkeypatch.setattr(status, "_command", ["llm-sync generate"])
    monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", "/dev/null/llm-sync")
    caplog.set_level(logging.DEBUG, "llm_sync.machine")
    make()
    assert [record.levelname for record in caplog.records if record.name == "llm_sync.machine"] == ["DEBUG"]


def test_a_failed_write_leaves_no_half_a_file(
    make: Callable[..., LLMClient], monkeypatch: pytest.MonkeyPatch, files: Callable[[], list[Path]]
) -> None:
    """Nor the lock on it."""
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


def test_a_killed_process_is_not_shown(program, shared_config: str, files: Callable[[], list[Path]]) -> None:
    """Nobody tidied up after it; the next one who looks does."""
    started = program(PUBLISHING, shared_config)
    started.read_until("ready")
    assert only().pid == started.process.pid
    started.process.kill()
    started.process.wait()
    assert len(files()) == 1
    assert running_processes() == []
    assert files() == []


def test_a_process_that_never_closes_tidies_up(program, shared_config: str, files: Callable[[], list[Path]]) -> None:
    """At its end, which the file does not put off."""
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
    """From its first request on, with its own counts; its end leaves the parent's alone."""
    started = program(FORKING, shared_config)
    pids = dict(started.next_line().split() for _ in range(2))
    soon(lambda: {str(found.pid) for found in running_processes()} == set(pids.values()))
    child = next(found for found in running_processes() if str(found.pid) == pids["child"])
    soon(lambda: all("openai" in found.providers and found.providers["openai"].done == 1 for found in running_processes()))
    os.kill(child.pid, 9)
    soon(lambda: [str(found.pid) for found in running_processes()] in ([pids["parent"]], []))
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


def test_a_child_that_asks_nothing_has_none_and_removes_none(program, shared_config: str) -> None:
    """It inherits what its parent would do at its end."""
    started = program(UNUSED, shared_config)
    started.read_until("child 0")
    assert [found.pid for found in running_processes()] == [started.process.pid]


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
    """Another thread holds its lock: the child has one of its own."""
    started = program(LOCKED_FORK, shared_config)
    assert started.finish() == 0
    assert started.lines[-1] == "child 0"


OFF = """
client = LLMClient.from_config(CONFIG)
client.generate("hi")
say([name for name in sys.modules if name.startswith("llm_sync.machine")])
"""


def test_who_does_not_ask_for_it_does_not_pay_for_it(tmp_path: Path, write_config: Callable[[str], str]) -> None:
    """Not even the import."""
    path = tmp_path / "plain.yaml"
    path.write_text(write_config(CONFIG))
    plain = Program(OFF, str(path))
    assert plain.finish() == 0
    assert plain.lines == ["[]"]
