"""A scripted server, and a batch with its input and output, for the tests of batches."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ClassVar

from llm_sync import LLMClient, LLMConnectorError, ModelResponse, Usage, batch
from llm_sync.providers import Dialect, LLMProvider
from llm_sync.simulator import RequestRecord, Response

JSON = ("Content-Type", "application/json")
CONFIG = """
defaults: {retry_base: 0, max_retries: 2}
providers:
  a: {type: openai, api_key: k, base_url: "<openai>", models: [m, {name: n, pricing: {input: 1, output: 2}, max_tokens: 50}]}
  b: {type: openai, api_key: k, base_url: "<openai>", models: [m2]}
  c: {type: anthropic, api_key: k, base_url: "<anthropic>", models: [claude-haiku-4-5]}
"""


def completion(text: str = "an answer", finish: str = "stop", **more: Any) -> Response:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **more}, "finish_reason": finish}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return Response(200, {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})


def failure(status: int, message: str = "it fails", *headers: tuple[str, str], **error: Any) -> Response:
    """An OpenAI error."""
    return Response(status, {"error": {"message": message, "type": "error", "code": None, **error}}, (JSON, *headers))


class Far:
    """The server: answers each prompt with ``echo PROMPT``, after the replies that are scripted for it.

    ``asked`` are the prompts in the order of arrival; ``answered`` counts those that were answered, and so billed; ``billed``
    are the indexes of their requests. ``last`` accounts for what a kill catches in flight.
    """

    def __init__(self) -> None:
        self.scripted: dict[str, list[Response | Callable[[], Response]]] = defaultdict(list)
        self.asked: list[str] = []
        self.contents: list[Any] = []  # of the last message of each request
        self.answered: Counter[str] = Counter()
        self.billed: set[int] = set()
        self.last = LastRequests()
        self._lock = threading.Lock()  # guards all of them
        self.arrived = threading.Condition(self._lock)  # notified of each request, and of a new ``most``
        self.most: int | None = None  # answer so many requests in all; hold the others back

    def allow(self, most: int | None) -> None:
        """Answer so many requests in all."""
        with self.arrived:
            self.most = most
            self.arrived.notify_all()

    def wait(self, count: int, timeout: float = 20.0) -> bool:
        """Until so many requests have come in all; whether they have."""
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.asked) >= count, timeout)

    def script(self, prompt: str, *replies: Response | Callable[[], Response]) -> None:
        """What the next requests with this prompt get; a function is called on the thread that answers."""
        self.scripted[prompt] += replies

    def __call__(self, record: RequestRecord) -> Response | None:
        """The reply to a request; None for the simulator's own."""
        if record.method == "GET":
            return None
        self.last(record)
        content = record.payload["messages"][-1]["content"]
        prompt = content if isinstance(content, str) else next(part["text"] for part in content if part["type"] == "text")
        with self._lock:
            self.asked.append(prompt)
            self.contents.append(content)
            self.arrived.notify_all()
            turn = len(self.asked)
            self.arrived.wait_for(lambda: self.most is None or turn <= self.most, 20)
            scripted = self.scripted.get(prompt)
            reply = scripted.pop(0) if scripted else completion(f"echo {prompt}")
        reply = reply() if callable(reply) else reply
        with self._lock:
            if reply.status == 200 and "choices" in reply.body:
                self.answered[prompt] += 1
                self.billed.add(record.index)
        return None if record.dialect == "anthropic" else reply


class LastRequests:
    """What was in flight when a process was killed, by the server's account: the last request of each connection that its
    death closed, unless it came to nothing that is billed.

    Also one whose answer was sent: a server cannot know how far that came. A worker that has written its answer down and goes
    on does so over the same connection, so only a next request there tells that the one before it ended well.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[threading.Thread, RequestRecord] = {}  # guarded by it; the simulator has a thread for each connection

    def __call__(self, record: RequestRecord) -> None:
        """Take in a request, on the thread that answers it."""
        with self._lock:
            self._last[threading.current_thread()] = record

    def forget_closed(self) -> None:
        """Connections that are closed by now were not closed by the kill that follows."""
        with self._lock:
            self._last = {thread: record for thread, record in self._last.items() if thread.is_alive()}

    def closed(self, is_billed: Callable[[RequestRecord], bool]) -> int:
        """How many were in flight at a kill, after which all connections have closed."""
        with self._lock:
            last = list(self._last.values())
            self._last.clear()
        return sum(map(is_billed, last))


class StubDialect(Dialect):
    """A dialect without a wire."""

    type = "stub"
    default_base_url = "http://127.0.0.1:9"

    def prepare_request(self, request: Any, adjustments: Any) -> dict[str, Any]:
        """Nothing that anybody reads."""
        return {}

    def read_answer(self, body: Any) -> Any:
        """There is never a body."""
        raise NotImplementedError


class Stub(LLMProvider):
    """A provider without a wire: answers ``echo PROMPT`` (its beginning) at once, or raises what is in ``faults`` for it."""

    dialect_class = StubDialect
    asked: ClassVar[list[str]] = []
    faults: ClassVar[dict[str, LLMConnectorError]] = {}

    def send(self, prepared: Any, control: Any = None) -> ModelResponse:
        """The echo."""
        request = prepared.request
        prompt = request.conversation()[-1].content
        self.asked.append(prompt)
        if prompt in self.faults:
            raise self.faults[prompt]
        return ModelResponse(f"echo {prompt[:99]}", request.model, self.name, "stop", Usage(1, 1), STUB_TIME, 1.0, id=request.id)

    def check(self) -> None:
        """It needs nothing."""


STUB_TIME = datetime(2026, 1, 2, tzinfo=timezone.utc)
STUB_CONFIG = "providers: {a: {type: stub, api_key: k, models: [m]}, b: {type: stub, api_key: k, models: [m2]}}"


class Batch:
    """One input and one output, run as often as asked."""

    def __init__(self, folder: Path, client: LLMClient) -> None:
        self.client = client
        self.input = folder / "in.jsonl"
        self.output = folder / "out.jsonl"
        self.part = folder / "out.jsonl.part"

    def lines(self, *lines: Any, end: str = "\n") -> None:
        """Write the input: prompts to a/m, or objects."""
        objects = [{"prompt": line, "model": "a/m"} if isinstance(line, str) else line for line in lines]
        self.input.write_text("".join(json.dumps(each) + end for each in objects), "utf-8", newline="")

    def run(self, **options: Any) -> batch.Summary:
        """Run it."""
        return batch.run(options.pop("requests", self.input), self.output, options.pop("client", self.client), **options)

    def dry_run(self, **options: Any) -> batch.DryRun:
        """Dry-run it."""
        return batch.dry_run(self.input, self.output, self.client, **options)

    def records(self, path: Path | None = None) -> list[dict[str, Any]]:
        """The output."""
        return [json.loads(line) for line in (path or self.output).read_text("utf-8").splitlines()]

    def texts(self) -> list[Any]:
        """Each record in short: the answer's text or the error's class."""
        return [each["response"]["text"] if each["response"] else each["error"]["type"] for each in self.records()]
