"""What any server must do for its users of llm-sync: one check a row of the table in docs/providers.md.

A check raises if the server, or llm-sync with it, does not do it. It fits real models, whose words nobody can foresee, and
simulated ones alike. ``run_check`` compares the result with the limits that are documented for the server.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_sync import LLMClient, Message, ModelRequest, ToolCall
from llm_sync.config import ConfigLoader
from llm_sync.errors import (
    AuthenticationError,
    ContextLengthExceededError,
    LLMConnectorError,
    ModelNotFoundError,
)

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c636000000002000148afa471"
    "0000000049454e44ae426082"
)
# A boolean: a small model may write digits without end
ADULT = {"type": "object", "properties": {"adult": {"type": "boolean"}}, "required": ["adult"], "additionalProperties": False}
ADD = {
    "name": "add",
    "description": "Adds two numbers.",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
}
ADA = (
    Message("user", "My name is Ada."),
    Message("assistant", "Hello, Ada."),
    Message("user", "What is my name?"),
)
LINES = 24  # of the batch that is killed


@dataclass(frozen=True)
class Limit:
    """What a server cannot do: the error that shows it, as a regular expression, and what the documentation calls it."""

    error: str
    note: str


@dataclass(frozen=True)
class Server:
    """A far end that runs.

    ``type``: the dialect; ``headers``: of its provider entry; ``limits``: by the name of the check; ``objections``: what the
    server objected to since the last call, though it answered.
    """

    name: str
    type: str
    base_url: str
    key: str
    model: str
    unknown_model: str = "no-such-model"
    headers: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    context_words: int = 6000
    few_tokens: int = 16
    limits: dict[str, Limit] = field(default_factory=dict)
    objections: Callable[[], list[str]] = list

    def configuration(self, key: str | None = None, **settings: Any) -> str:
        """The text of a configuration (JSON is YAML) with this server as its only provider, ``far``, with ``settings``."""
        entry: dict[str, Any] = {"type": self.type, "base_url": self.base_url, "api_key": key or self.key}
        entry |= self.settings | settings
        entry |= {"timeout": 300, "max_retries": 1}
        if self.headers:
            entry["headers"] = self.headers
        return json.dumps({"defaults": {"model": f"far/{self.model}"}, "providers": {"far": entry}})

    @contextmanager
    def client(self, **settings: Any) -> Iterator[LLMClient]:
        """A client of this server; ``settings`` as for ``configuration``."""
        with LLMClient(ConfigLoader().load_text(self.configuration(**settings))) as client:
            yield client


Check = Callable[[Server, Path], None]


def generate(server: Server, folder: Path) -> None:
    """A prompt: an answer with its text, model, finish reason and token counts"""
    with server.client() as client:
        answer = client.generate("Say hello.", max_tokens=8, temperature=0)
    assert answer.text.strip(), answer
    assert answer.finish_reason in ("stop", "length"), answer.finish_reason
    assert answer.usage.input_tokens, answer.usage
    assert answer.usage.output_tokens, answer.usage


def system_prompt(server: Server, folder: Path) -> None:
    """A system prompt reaches the model"""
    with server.client() as client:
        bare = client.generate("Say hello.", max_tokens=8, temperature=0, system_prompt="Be brief.")
        longer = client.generate("Say hello.", max_tokens=8, temperature=0, system_prompt="Be brief. " * 12)
    assert longer.usage.input_tokens > bare.usage.input_tokens + 20, (bare.usage, longer.usage)


def multi_turn(server: Server, folder: Path) -> None:
    """A conversation of several turns"""
    with server.client() as client:
        whole = client.generate(messages=ADA, max_tokens=8, temperature=0)
        last = client.generate(messages=ADA[-1:], max_tokens=8, temperature=0)
    assert whole.text.strip()
    assert whole.usage.input_tokens > last.usage.input_tokens, (whole.usage, last.usage)


def stop(server: Server, folder: Path) -> None:
    """An answer ends at a stop sequence"""
    with server.client() as client:
        free = client.generate("Count from one to ten, in words.", max_tokens=24, temperature=0, seed=1).text
        word = free.split()[2]
        answer = client.generate("Count from one to ten, in words.", max_tokens=24, temperature=0, seed=1, stop_sequences=[word])
    assert not [each for each in answer.adjustments if each.parameter == "stop_sequences"], answer.adjustments
    assert word not in answer.text, (word, answer.text)
    assert answer.finish_reason == "stop", answer.finish_reason


def seed(server: Server, folder: Path) -> None:
    """The same seed gives the same answer"""
    with server.client() as client:
        first, second = (client.generate("Name a colour.", max_tokens=8, seed=7, temperature=1.0) for _ in range(2))
    assert not [each for each in first.adjustments if each.parameter == "seed"], first.adjustments
    assert first.text == second.text


def max_tokens(server: Server, folder: Path) -> None:
    """An answer that is cut at max_tokens is marked as cut"""
    with server.client() as client:
        answer = client.generate("Count from one to a hundred, in words, with a comma after each.", max_tokens=16, temperature=0)
    assert answer.truncated, answer
    assert answer.usage.output_tokens <= 16, answer.usage


def structured(server: Server, folder: Path) -> None:
    """An answer has the form of a JSON Schema"""
    _structured(server)


def structured_json_mode(server: Server, folder: Path) -> None:
    """The same with `structured_output: json_object`"""
    _structured(server, structured_output="json_object")


def structured_tool(server: Server, folder: Path) -> None:
    """The same with `structured_output: tool`"""
    _structured(server, structured_output="tool")


def structured_prompt(server: Server, folder: Path) -> None:
    """The same with `structured_output: prompt`"""
    _structured(server, structured_output="prompt")


def _structured(server: Server, **settings: Any) -> None:
    with server.client(**settings) as client:
        answer = client.generate("Anna is 31. Is she an adult? As JSON:", response_schema=ADULT, max_tokens=60, temperature=0)
    assert isinstance(answer.metadata["parsed"]["adult"], bool), answer.text


def tool_call(server: Server, folder: Path) -> None:
    """A tool that must be called is called, with arguments that fit its schema"""
    with server.client() as client:
        call = _call(client)
    assert call.id
    assert {name: type(value) for name, value in call.arguments.items()} == {"a": int, "b": int}, call


def tool_result(server: Server, folder: Path) -> None:
    """The result of a tool is taken, and answered"""
    with server.client() as client:
        call = ToolCall("call_000000001", "add", {"a": 2, "b": 3})
        turns = [Message("user", "What is 2 + 3?"), Message("assistant", "", tool_calls=[call])]
        turns.append(Message("tool", "5", tool_call_id=call.id))
        answer = client.generate(messages=turns, tools=[ADD], max_tokens=16, temperature=0)
    assert answer.text.strip() or answer.tool_calls, answer


def _call(client: LLMClient) -> Any:
    answer = client.generate("What is 2 + 3?", tools=[ADD], tool_choice="required", max_tokens=30, temperature=0)
    assert answer.tool_calls, f"no call: {answer.text!r}"
    return answer.tool_calls[0]


def context_overflow(server: Server, folder: Path) -> None:
    """A prompt beyond the context is a ContextLengthExceededError"""
    with server.client() as client:
        _raises(ContextLengthExceededError, lambda: client.generate("word " * server.context_words, max_tokens=16))


def unknown_model(server: Server, folder: Path) -> None:
    """A model that does not exist is a ModelNotFoundError"""
    with server.client() as client:
        _raises(ModelNotFoundError, lambda: client.generate("Say hello.", f"far/{server.unknown_model}", max_tokens=16))


def wrong_key(server: Server, folder: Path) -> None:
    """A wrong key is an AuthenticationError, after one attempt"""
    with server.client(key="sk-wrong-0123456789abcdef") as client:
        error = _raises(AuthenticationError, lambda: client.generate("Say hello.", max_tokens=16))
    assert error.attempts in (None, 1), error.attempts


def image(server: Server, folder: Path) -> None:
    """A picture is taken with a prompt"""
    with server.client() as client:
        assert client.generate("What is this?", images=[PIXEL], max_tokens=30, temperature=0).text.strip()


def listing(server: Server, folder: Path) -> None:
    """The listing of models has the one that is used"""
    with server.client() as client:
        listed = client.list_all_models()["far"]
    assert listed.error is None, listed.error
    assert server.model in listed.models, listed.models


def many(server: Server, folder: Path) -> None:
    """64 requests, eight at a time, are all answered"""
    config = ConfigLoader().load_text(server.configuration().replace('"max_retries"', '"concurrency": 8, "max_retries"'))
    with LLMClient(config) as client:
        answers = list(client.map(ModelRequest(f"Say {number}.", max_tokens=server.few_tokens) for number in range(64)))
    assert len(answers) == 64
    assert all(answer.text for answer in answers)


def batch(server: Server, folder: Path) -> None:
    """A batch that is killed (SIGKILL) and run again has each line once, and sends no answered line again"""
    config, lines, output = folder / "config.yaml", folder / "in.jsonl", folder / "out.jsonl"
    config.write_text(server.configuration(), "utf-8")
    requests = [{"id": number, "prompt": f"Say {number}.", "max_tokens": server.few_tokens} for number in range(LINES)]
    lines.write_text("".join(json.dumps(request) + "\n" for request in requests), "utf-8")
    command = [sys.executable, "-I", "-m", "llm_sync", "batch", str(lines), "-o", str(output), "--config", str(config)]
    command += ["--json", "--requests-per-minute", "900"]
    _kill_when_some_are_answered(command, folder)
    assert not output.exists()
    again = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert again.returncode == 0, again.stderr
    records = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [record["id"] for record in records] == list(range(LINES))
    assert not [record["error"] for record in records if record["error"]]
    summary = json.loads(again.stdout)
    assert 0 < summary["sent"] < LINES, summary


def _kill_when_some_are_answered(command: list[str], folder: Path) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    journal = folder / "out.jsonl.part"
    try:
        until = time.monotonic() + 120
        while not journal.exists() or journal.read_bytes().count(b"\n") < 6:
            assert process.poll() is None, process.stderr.read()  # type: ignore[union-attr]
            assert time.monotonic() < until, "no answers within two minutes"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL, "the batch had ended before it was killed"


def embeddings(server: Server, folder: Path) -> None:
    """A request for embeddings in a batch is refused by name, before anything is sent"""
    config, lines = folder / "config.yaml", folder / "embeddings.jsonl"
    config.write_text(server.configuration(), "utf-8")
    line = {"custom_id": "1", "method": "POST", "url": "/v1/embeddings", "body": {"model": server.model, "input": "hello"}}
    lines.write_text(json.dumps(line) + "\n", "utf-8")
    command = [sys.executable, "-I", "-m", "llm_sync", "batch", str(lines), "-o", str(folder / "embeddings.out")]
    done = subprocess.run([*command, "--config", str(config)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (2, 7), (done.returncode, done.stderr)
    assert "/v1/embeddings" in done.stderr, done.stderr
    assert not (folder / "embeddings.out").exists()


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        generate,
        system_prompt,
        multi_turn,
        stop,
        seed,
        max_tokens,
        structured,
        structured_json_mode,
        structured_tool,
        structured_prompt,
        tool_call,
        tool_result,
        context_overflow,
        unknown_model,
        wrong_key,
        image,
        listing,
        many,
        batch,
        embeddings,
    )
}


def run_check(name: str, server: Server, folder: Path) -> str:
    """The cell of the table: "yes", or the note of a limit. Raises AssertionError for anything that is not right.

    A limit must show: a check that succeeds in spite of one is an error, too, so that no limit outlives its server's fault.
    """
    limit = server.limits.get(name)
    try:
        CHECKS[name](server, folder)
        objections = server.objections()
        assert not objections, "; ".join(objections)
    except (AssertionError, LLMConnectorError) as error:
        told = f"{type(error).__name__}: {error}"
        if limit is None or not re.search(limit.error, told, re.DOTALL):
            raise AssertionError(f"{server.name}: {name}: {told}") from error
        return limit.note
    assert limit is None, f"{server.name}: {name} has no limit any more: {limit}"
    return "yes"


def _raises(kind: type[LLMConnectorError], call: Callable[[], Any]) -> LLMConnectorError:
    """The error that ``call`` raises, which must be of this very class."""
    try:
        answer = call()
    except kind as error:
        if type(error) is not kind:
            raise AssertionError(f"{type(error).__name__} instead of {kind.__name__}: {error}") from error
        return error
    raise AssertionError(f"answered instead of {kind.__name__}: {answer.text[:80]!r}")
