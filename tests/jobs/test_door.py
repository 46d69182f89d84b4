"""The exchanges about jobs, and what is read of them and of the journal: keys that are renewed, values that are none."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from llm_sync.errors import ResponseValidationError
from llm_sync.jobs.anthropic_batches import AnthropicBatches
from llm_sync.jobs.door import JobDoor, required
from llm_sync.jobs.gemini_batches import GeminiBatches
from llm_sync.jobs.job import Job
from llm_sync.jobs.mistral_batches import MistralBatches
from llm_sync.jobs.openai_batches import OpenAIBatches
from llm_sync.jobs.wire import BatchWire, count
from llm_sync.models import Reply


class AlwaysNew:
    """A credential whose command prints another key each time."""

    def __init__(self) -> None:
        self.made = 0

    def headers(self) -> dict[str, str]:
        """The present key."""
        return {"Authorization": f"Bearer key-{self.made}"}

    def renew(self, refused: Any) -> bool:
        """There is always another one."""
        assert refused == self.headers()
        self.made += 1
        return True


class Refusing:
    """An HTTP client whose server refuses every key."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def transfer(self, method: str, url: str, headers: Any, **options: Any) -> Reply:
        """A 401, a few times."""
        self.sent.append(headers["Authorization"])
        assert len(self.sent) < 5
        return Reply(401, {}, b"{}", 0.0)


def test_a_key_that_is_refused_is_renewed_once() -> None:
    """Also where the command for it always has another one: else the exchange would go on for ever."""
    config = SimpleNamespace(headers={}, attempts=SimpleNamespace(timeout=1.0))
    credential = AlwaysNew()
    provider: Any = SimpleNamespace(
        credential=SimpleNamespace(get=lambda: credential), config=config, dialect=SimpleNamespace(fixed_headers={})
    )
    http: Any = Refusing()
    control: Any = None
    reply = JobDoor(provider, http, control).exchange("GET", "https://example.org/batches")
    assert (reply.status, http.sent) == (401, ["Bearer key-0", "Bearer key-1"])


@pytest.mark.parametrize("answer", [{"error": "sk-secret is no good"}, ["sk-secret"], "sk-secret", None])
def test_an_answer_without_an_id_is_not_quoted(answer: Any) -> None:
    """It may repeat the key."""
    with pytest.raises(ResponseValidationError, match="has no id") as caught:
        required(answer, "id")
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", '"many"', "null", "[]"])
def test_a_count_that_is_none_is_zero(value: str) -> None:
    """JSON has numbers that no integer is."""
    assert count(json.loads(value)) == 0


@pytest.mark.parametrize(
    "edit",
    [{"provider": ["p"]}, {"model": {}}, {"settings": 7}, {"requests": "2"}, {"created_at": None}, {"others": "j"}, {"id": 1}],
)
def test_a_note_whose_values_are_of_another_kind_is_damaged(edit: dict[str, Any]) -> None:
    """A journal that somebody has edited; what reads it leaves such a note out."""
    noted = {"step": "created", "provider": "p", "model": "m", "requests": 2, "id": "job", "others": [], "created_at": 1.5}
    job = Job("ls-1", "p", "m")
    job.read(noted)
    assert (job.remote, job.requests, job.others) == ("job", 2, ())
    before = dict(vars(job))
    with pytest.raises(TypeError):
        job.read({**noted, "step": "collected", **edit})
    assert vars(job) == before


JOBS: dict[type[BatchWire], dict[str, Any]] = {
    OpenAIBatches: {
        "id": "b",
        "status": "failed",
        "output_file_id": "o",
        "input_file_id": "i",
        "metadata": {"llm_sync_job": "j"},
        "request_counts": {"total": 3, "completed": 2},
        "errors": {"data": [{"code": "x", "message": "m", "line": 1}]},
    },
    AnthropicBatches: {"id": "b", "processing_status": "ended", "request_counts": {"processing": 0, "succeeded": 1}},
    GeminiBatches: {
        "name": "batches/b",
        "done": True,
        "response": {"responsesFile": "f"},
        "error": {"code": 8, "message": "m"},
        "metadata": {"state": "BATCH_STATE_FAILED", "inputConfig": {"fileName": "f"}, "batchStats": {"requestCount": "3"}},
    },
    MistralBatches: {
        "id": "b",
        "status": "FAILED",
        "output_file": "o",
        "input_files": ["i"],
        "metadata": {"llmsync_job": "j"},
        "completed_requests": 1,
        "errors": [{"message": "m"}],
    },
}
ROWS: dict[type[BatchWire], dict[str, Any]] = {
    OpenAIBatches: {
        "custom_id": "j-0",
        "response": {"status_code": 200, "request_id": "r", "body": "{}"},
        "error": {"code": "x"},
    },
    AnthropicBatches: {"custom_id": "j-0", "result": {"type": "errored", "error": {"error": {"type": "x", "message": "m"}}}},
    GeminiBatches: {"key": "j-0", "metadata": {"key": "k"}, "error": {"code": 3, "message": "m"}},
    MistralBatches: {"custom_id": "j-0", "response": {"status_code": 200, "body": "{}"}, "error": {"message": "x"}},
}
ODD: list[Any] = [None, True, -1, 1.5, float("inf"), 10**30, "", "x", [], [1], ["x"], [None], {}, {"a": 1}]


def with_odd_values(value: Any) -> Iterator[Any]:
    """Copies with one value each, at any depth, replaced by an odd one."""
    yield from ODD
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        for odd in with_odd_values(value[key]):
            changed = copy.copy(value)
            changed[key] = odd
            yield changed


@pytest.mark.parametrize("kind", JOBS, ids=lambda kind: kind.__name__)
def test_whatever_is_said_of_a_job_is_read_or_refused(kind: type[BatchWire]) -> None:
    """Commands that look at jobs end in no other error."""
    said: list[Any] = []
    door: Any = SimpleNamespace(look=lambda path: (said[-1], None))
    for answer in with_odd_values(JOBS[kind]):
        said.append(answer)
        with contextlib.suppress(ResponseValidationError):
            assert kind(door).look("b").id


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.__name__)
def test_whatever_stands_in_a_row_is_read_or_left_out(kind: type[BatchWire]) -> None:
    """None for a line that is no row, ValueError for one that cannot be read."""
    wire = kind.without_door()
    for value in with_odd_values(ROWS[kind]):
        with contextlib.suppress(ValueError):
            row = wire.row(json.dumps(value).encode())
            assert row is None or isinstance(row.custom_id, str)
