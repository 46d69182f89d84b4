"""Many processes and one provider: the server checks the limit, and killed processes leave nothing behind."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_sync import LLMClient, ModelRequest, RateLimitError
from llm_sync.machine.running import running_processes
from llm_sync.simulator import RequestRecord, Response, Simulator

PATIENCE_S = 20.0

needs_xargs = pytest.mark.skipif(shutil.which("xargs") is None, reason="there is no xargs")

ASK = """
client = LLMClient.from_config(CONFIG)
sys.stdin.readline()
say(client.generate(sys.argv[2]).text)
client.close()
"""


def prompts(upstream: Simulator) -> list[str]:
    """The prompts in order of arrival."""
    return [record.payload["messages"][-1]["content"] for record in upstream.requests]


def commands(config: str, output: Path, count: int, at_once: int) -> subprocess.Popen[bytes]:
    """Run ``seq COUNT | xargs -P AT_ONCE llm-sync generate`` with all answers appended to one file."""
    words = [sys.executable, "-m", "llm_sync", "generate", "--json", "--config", config, "--append", "--output", str(output)]
    line = f"seq {count} | xargs -P{at_once} -I{{}} sh -c '\"$@\" || exit 0' sh {shlex.join(words)} 'the prompt {{}}'"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(["sh", "-c", line], cwd=output.parent, env=environ, stdin=subprocess.DEVNULL)


def answered(output: Path) -> list[int]:
    """The numbers of the prompts that were answered, each in a complete line."""
    answers = [json.loads(line)["response"]["text"] for line in output.read_text().splitlines()]
    return sorted(int(answer.partition("the prompt ")[2].partition('"')[0]) for answer in answers)


@pytest.fixture
def upstream() -> Iterator[Simulator]:
    """A simulator that answers slowly enough to see two requests at once if they were sent."""
    with Simulator(latency=0.03) as started:
        yield started
        assert started.faults == []


@needs_xargs
@pytest.mark.timeout(180)  # forty starts of Python, on a machine that may be busy
def test_forty_commands_eight_at_a_time(shared_config: str, tmp_path: Path, upstream: Simulator) -> None:
    """Forty commands are answered once each, and the server never sees two requests at once."""
    output = tmp_path / "answers.jsonl"
    assert commands(shared_config, output, 40, 8).wait(timeout=170) == 0
    assert answered(output) == list(range(1, 41))
    assert sorted(prompts(upstream)) == sorted(f"the prompt {number}" for number in range(1, 41))
    assert upstream.summary()["max_concurrency"] == 1
    assert running_processes() == []


def test_requests_arrive_in_the_order_of_asking(program, in_line, soon, shared_config: str, upstream: Simulator) -> None:
    """Requests arrive in the order in which they were made, not in the order in which the programs started."""
    with upstream.hold() as hold:
        started = {name: program(ASK, shared_config, name) for name in ("a", "b", "c", "d", "e", "f")}
        order = ["d", "a", "f", "c", "b", "e"]
        started["d"].go_on()
        hold.wait()
        for count, name in enumerate(order[1:], 1):
            started[name].go_on()
            soon(lambda count=count: in_line() == count)
        for _ in order:
            hold.wait(1, PATIENCE_S)
            hold.release()
        for each in started.values():
            assert each.finish() == 0
    assert prompts(upstream) == order
    assert upstream.summary()["max_concurrency"] == 1


def test_killed_processes_stop_none_of_the_others(program, in_line, soon, shared_config: str, upstream: Simulator) -> None:
    """Killing the holder of the slot and a waiting process stops none of the others."""
    with upstream.hold(lambda record: record.payload["messages"][-1]["content"] == "holds") as hold:
        holder, killed, last = (program(ASK, shared_config, name) for name in ("holds", "killed", "last"))
        holder.go_on()
        hold.wait()
        for count, each in enumerate((killed, last), 1):
            each.go_on()
            soon(lambda count=count: in_line() == count)
        for each in (killed, holder):
            each.process.kill()
            each.process.wait()
        assert last.finish() == 0
    assert prompts(upstream) == ["holds", "last"]


ENDING = """
client = LLMClient.from_config(CONFIG)
for text in "before", "after":
    client.submit(ModelRequest(text)).add_done_callback(lambda future: say(future.exception() or "answered"))
say("ending")
"""


def test_requests_queued_at_the_end_wait_for_their_slot(
    program, in_line, soon, open_client: Callable[..., LLMClient], shared_config: str, upstream: Simulator
) -> None:
    """Requests that are queued at the end of the program wait for their slot."""
    with upstream.hold() as hold:
        ending = program(ENDING, shared_config)
        ending.read_until("ending")
        hold.wait()
        between = open_client(Path(shared_config).read_text()).submit(ModelRequest("between"))
        soon(lambda: in_line() == 1)
        hold.release()
        ending.read_until("answered")
        hold.wait()
        soon(lambda: in_line() == 1)  # "after" waits for "between"
        hold.release()
        hold.wait()
        hold.release()
        assert ending.finish() == 0
    assert between.result(PATIENCE_S).text
    assert ending.lines.count("answered") == 2
    assert prompts(upstream) == ["before", "between", "after"]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_several_slots_are_shared_by_all_clients(
    open_client: Callable[..., LLMClient], upstream: Simulator, concurrency: int
) -> None:
    """Several slots are shared by all clients, whatever their configurations name the provider."""
    text = "providers: {NAME: {type: openai, api_key: k, base_url: '<openai>', machine_wide: true, concurrency: COUNT}}"
    clients = [open_client(text.replace("NAME", f"name{number}").replace("COUNT", str(concurrency))) for number in range(4)]
    futures = [
        client.submit(ModelRequest(f"{name} {number}", f"{name}/m"))
        for client in clients
        for name in client.config.providers
        for number in range(10)
    ]
    with upstream.hold() as hold:
        hold.wait(concurrency)
        for _ in range(10):
            hold.release(len(hold.wait(concurrency)))
    for future in futures:
        future.result(PATIENCE_S)
    assert upstream.summary()["max_concurrency"] == concurrency


def test_other_keys_and_providers_without_the_option_do_not_wait(
    open_client: Callable[..., LLMClient], upstream: Simulator
) -> None:
    """Other keys, and providers without the option, do not wait."""
    text = "providers: {p: {type: openai, api_key: KEY, base_url: '<openai>', machine_wide: true}}"
    with upstream.hold() as hold:
        clients = [
            open_client(text.replace("KEY", "one")),
            open_client(text.replace("KEY", "other")),
            open_client(text.replace("KEY", "one").replace("true", "false")),
        ]
        futures = [client.submit(ModelRequest("hi", "p/m")) for client in clients]
        hold.wait(3)
    for future in futures:
        future.result(PATIENCE_S)


# Cool-downs


class Limited:
    """A handler that answers the first request with 429 and a Retry-After of ``seconds``."""

    def __init__(self) -> None:
        self.seconds = "3600"
        self.refused = False

    def __call__(self, record: RequestRecord) -> Response | None:
        """Return the 429 once."""
        if self.refused or record.method == "GET":
            return None
        self.refused = True
        headers = (("content-type", "application/json"), ("retry-after", self.seconds))
        return Response(
            429, {"error": {"message": "tokens of org-17 used up", "type": "x", "code": "rate_limit_exceeded"}}, headers
        )


@pytest.fixture
def limited() -> Limited:
    """The handler of the server below."""
    return Limited()


@pytest.fixture
def server(limited: Limited) -> Iterator[Simulator]:
    """A server that rejects the first request."""
    with Simulator(on_request=limited) as started:
        yield started


@pytest.fixture
def config(server: Simulator, shared_config: str, upstream: Simulator) -> str:
    """A configuration for that server."""
    path = Path(shared_config)
    path.write_text(path.read_text().replace(upstream.url("openai"), server.url("openai")))
    return str(path)


REFUSED = """
from llm_sync import LLMConnectorError
client = LLMClient.from_config(CONFIG)
try:
    say(client.generate("again").text)
except LLMConnectorError as error:
    say(type(error).__name__, error.attempts, error.retry_after > 3000)
"""


def test_a_long_cool_down_fails_other_processes_unsent(program, config: str, server: Simulator) -> None:
    """A cool-down that is longer than max_retry_after fails other processes at once, with the same class."""
    with LLMClient.from_config(config) as client, pytest.raises(RateLimitError):
        client.generate("first")
    other = program(REFUSED, config)
    assert other.finish() == 0
    assert other.lines == ["RateLimitError 0 True"]
    assert prompts(server) == ["first"]


def test_a_short_cool_down_is_waited_for_by_other_processes(program, config: str, server: Simulator, limited: Limited) -> None:
    """A shorter cool-down is waited for by other processes."""
    limited.seconds = "1"
    with LLMClient.from_config(config) as client, pytest.raises(RateLimitError):
        client.generate("first")
    other = program(REFUSED, config)
    assert other.finish() == 0
    assert "again" in other.lines[0]
    first, again = server.requests
    assert first.ended is not None
    assert again.arrived - first.ended > 0.99


def test_without_the_option_no_other_process_is_held_back(program, config: str, server: Simulator) -> None:
    """Without the option, other processes are not held back, and no file is written."""
    path = Path(config)
    path.write_text(path.read_text().replace(", machine_wide: true", ""))
    with LLMClient.from_config(config) as client, pytest.raises(RateLimitError):
        client.generate("first")
    other = program(REFUSED, config)
    assert other.finish() == 0
    assert "again" in other.lines[0]


# At length


@needs_xargs
@pytest.mark.soak
@pytest.mark.timeout(600)
def test_two_hundred_commands_twenty_at_a_time(shared_config: str, tmp_path: Path, upstream: Simulator) -> None:
    """Two hundred commands are answered once each, and the server never sees two requests at once."""
    output = tmp_path / "answers.jsonl"
    began = time.monotonic()
    assert commands(shared_config, output, 200, 20).wait(timeout=500) == 0
    print(f"\n200 commands in {time.monotonic() - began:.0f} s: {upstream.summary()['max_concurrency']} at once at the server")
    assert answered(output) == list(range(1, 201))
    assert len(prompts(upstream)) == 200
    assert upstream.summary()["max_concurrency"] == 1


@needs_xargs
@pytest.mark.soak
@pytest.mark.timeout(600)
def test_ten_of_two_hundred_are_killed(shared_config: str, tmp_path: Path, upstream: Simulator) -> None:
    """Ten of two hundred are killed at any point: all others are answered, and nothing of the killed stays."""
    output = tmp_path / "answers.jsonl"
    started = commands(shared_config, output, 200, 20)
    killed: set[int] = set()
    pause = threading.Event()
    while started.poll() is None:
        # One that waits, then one that has the slot, and so on; by their status files, which tell
        for each in running_processes():
            waits = any(provider.waiting.get("slot") for provider in each.providers.values())
            if len(killed) < 10 and each.pid not in killed and waits == bool(len(killed) % 2) and each.providers:
                os.kill(each.pid, signal.SIGKILL)
                killed.add(each.pid)
                break
        pause.wait(0.1)
    assert len(killed) == 10
    done = answered(output)
    print(f"\n10 of 200 killed: {len(done)} answered")
    assert len(done) >= 190
    assert set(prompts(upstream)) >= {f"the prompt {number}" for number in done}
    assert running_processes() == []
