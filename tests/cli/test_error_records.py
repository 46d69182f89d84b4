"""Every error that the command line can end with has a record, from which a program, or the batch, goes on."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from llm_sync import Usage, errors
from llm_sync.batch.state.records import Key, RequestIdentity, head_of, head_of_record, journal_line, read_head, record_of
from llm_sync.cli.outcome import status_of
from llm_sync.models.responses import UnusableResponse
from llm_sync.simulator import Response

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.LLMConnectorError)]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
AT = datetime(2026, 11, 30, tzinfo=timezone.utc)
FIELDS = {"type", "message", "provider", "model", "status", "retryable", "retry_after", "guidance", "attempts", "text"}


def failure(status: int, **error: Any) -> Response:
    """An OpenAI error."""
    return Response(status, {"error": {"message": "it fails", **error}})


def completion(text: str, finish: str = "stop") -> Response:
    """A chat completion that is billed."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return Response(200, {"model": "m", "choices": [choice], "usage": usage})


class Provoked(NamedTuple):
    """A reply that leads to an error. ``text``: what the model had written. ``again``: whether a later run of a batch asks again
    by itself. ``billed``: whether it is known to be."""

    reply: Response
    text: str | None = None
    again: bool = False
    billed: bool = False


STREAM = Response(200, b"data: {}\n\n", (("Content-Type", "text/event-stream"),))
PROVOKED: dict[type[errors.LLMConnectorError], Provoked] = {
    errors.AuthenticationError: Provoked(failure(401), again=True),
    errors.PermissionDeniedError: Provoked(failure(403), again=True),
    errors.QuotaExceededError: Provoked(failure(429, code="insufficient_quota"), again=True),
    errors.RateLimitError: Provoked(failure(429), again=True),
    errors.ModelNotFoundError: Provoked(failure(404, code="model_not_found"), again=True),
    errors.InvalidRequestError: Provoked(failure(400)),
    errors.ContextLengthExceededError: Provoked(failure(400, code="context_length_exceeded")),
    errors.ProviderUnavailableError: Provoked(failure(503), again=True),
    errors.RequestTimeoutError: Provoked(failure(504), again=True),
    errors.ProviderError: Provoked(Response(302, "", (("Location", "/elsewhere"),)), again=True),
    errors.StreamingNotSupportedError: Provoked(STREAM),
    errors.ContentBlockedError: Provoked(completion("so far", "content_filter"), "so far", billed=True),
    errors.ResponseValidationError: Provoked(completion('{"town": "Bern"}'), '{"town": "Bern"}', billed=True),
    errors.EmptyResponseError: Provoked(completion(""), billed=True),
    errors.TruncatedResponseError: Provoked(completion('{"ci', "length"), '{"ci', billed=True),
}
# Why no reply of a server leads to the others
OTHERWISE: dict[str, str] = {
    "LLMConnectorError": "the root; on the command line, a bug in a dialect",
    "BatchError": "the library's, of generate_responses_concurrent",
    "BudgetExceededError": "a budget is needed",
    "CacheMissError": "a cache that must have the answer is needed",
    "ClientClosedError": "after Ctrl-C and --fail-fast",
    "ConfigurationError": "before anything is sent",
    "ProviderConnectionError": "no server answers",
    "QueueFullError": "the command line waits for room",
    "ToolRunError": "the library's, of run_tools",
    "UnusableAnswerError": "the base of four others",
}


@pytest.fixture
def schema(tmp_path: Path) -> str:
    """A file with a JSON Schema."""
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    return str(path)


def test_every_class_is_walked() -> None:
    """A class that is added to the tree is provoked here, or has a reason why it cannot be."""
    assert {kind.__name__ for kind in TREE} <= {kind.__name__ for kind in PROVOKED} | OTHERWISE.keys()


@pytest.mark.parametrize("kind", PROVOKED, ids=lambda kind: kind.__name__)
def test_generate_prints_a_record_of_the_error(ask: Any, script: Any, schema: str, kind: type[errors.LLMConnectorError]) -> None:
    """Once on standard output, in its place, and once on standard error; with the text that was paid for, and its cost."""
    case = PROVOKED[kind]
    script.send(case.reply)
    ran = ask("-m", "first/m", "--json", "--id", "7", "--schema", schema, "--max-retries", "0", "where?")
    record = json.loads(ran.out)
    assert json.loads(ran.err.splitlines()[-1]) == record
    assert ran.status == status_of(kind("x", status=record["error"]["status"]))
    assert (record["id"], record["provider"], record["model"], record["response"]) == ("7", "first", "m", None)
    assert record["error"].keys() >= FIELDS
    assert (record["error"]["type"], record["error"]["text"]) == (kind.__name__, case.text)
    assert isinstance(record["error"]["retryable"], bool)
    billed = record.get("billed")
    assert (billed is not None and (billed["input_tokens"], billed["output_tokens"]) == (1, 2)) is case.billed


@pytest.mark.parametrize("kind", PROVOKED, ids=lambda kind: kind.__name__)
def test_a_batch_goes_on_from_the_record(
    llm: Callable[..., Any], config: str, script: Any, schema: str, tmp_path: Path, kind: type[errors.LLMConnectorError]
) -> None:
    """Its output has the same record; the next run asks again what may succeed by now, and --retry-failed everything."""
    case = PROVOKED[kind]
    given, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    given.write_text('{"prompt": "where?", "model": "first/m"}\n')
    command = ("batch", str(given), "-o", str(output), "--config", config, "--schema", schema, "--max-retries", "0")
    script.send(case.reply)
    llm(*command)
    record = json.loads(output.read_text())
    assert record["error"].keys() >= FIELDS
    assert (record["error"]["type"], record["error"]["text"]) == (kind.__name__, case.text)
    assert (record.get("billed", {}).get("output_tokens") == 2) is case.billed
    script.send(completion('{"city": "Bern"}'))
    llm(*command)
    assert (json.loads(output.read_text())["error"] is None) is case.again
    assert llm(*command, "--retry-failed").status == 0
    assert json.loads(output.read_text())["response"]["text"] == '{"city": "Bern"}'


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("openai", [False, True])
def test_every_class_is_read_back_from_its_record(kind: type[errors.LLMConnectorError], openai: bool) -> None:
    """From the journal and from a finished output: what decides about asking again, and what was billed."""
    error = kind("it fails", provider="p", model="m", attempts=1)
    if isinstance(error, errors.UnusableAnswerError):
        error.response = UnusableResponse("so far", "m", "p", "stop", Usage(3, 4), AT, 1.0)
    identity = RequestIdentity(Key(0, "p", "m"), "00ff00ff00ff00ff", "ab", openai=openai, id="7", max_tokens=9)
    head = head_of(identity, error)
    record = record_of(identity, error, head)
    assert read_head(journal_line(head, record)) == head
    assert head_of_record(json.dumps(record).encode()) == head
    assert "so far" in json.dumps(record) or not isinstance(error, errors.UnusableAnswerError)
