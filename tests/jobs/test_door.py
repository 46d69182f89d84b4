"""The exchanges about jobs, and what is read of them and of the journal: keys that are renewed, values that are none."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from llm_sync.errors import ResponseValidationError
from llm_sync.jobs.door import JobDoor, required
from llm_sync.jobs.job import Job
from llm_sync.jobs.wire import count
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
