"""Ids that several lines have are reported before anything is sent."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from batch_apparatus import Batch, Stub

from llm_sync.batch.input import line_ids
from llm_sync.errors import InvalidRequestError

REQUEST = {"prompt": "p", "model": "a/m"}


def test_a_repeated_id_is_a_warning_with_line_numbers(stub: Batch, caplog: pytest.LogCaptureFixture) -> None:
    """Numbers and strings are different ids; lines without one, and one line for several models, repeat nothing."""
    ids = ["x", 1, "1", None, None, "x", "y", "x"]
    stub.lines(*({**REQUEST, "id": each} for each in ids))
    with caplog.at_level(logging.WARNING, "llm_sync"):
        stub.run(models=["a/m", "b/m2"])
    assert len(Stub.asked) == 2 * len(ids)
    (message,) = caplog.messages
    assert message.endswith("has ids that occur before, in line 6 (as line 1), 8 (as line 1)")


def test_a_repeated_custom_id_is_an_error(stub: Batch) -> None:
    """As it is for OpenAI: a result is found by nothing else."""
    body = {"model": "a/m", "messages": [{"role": "user", "content": "p"}]}
    line: dict[str, Any] = {"custom_id": "r", "method": "POST", "url": "/v1/chat/completions", "body": body}
    stub.lines(line, {**line, "custom_id": "s"}, line)
    with pytest.raises(InvalidRequestError, match=r"in line 3 \(as line 1\). Give each request a custom_id of its own"):
        stub.run()
    assert Stub.asked == []
    assert "line 3" in str(stub.dry_run().problems[0])


def test_many_ids_are_compared_in_parts(stub: Batch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Each part with its own repetitions; the message names the first ones and counts the others."""
    monkeypatch.setattr(line_ids, "_MAX_IN_MEMORY", 7)
    stub.lines(*({**REQUEST, "id": number % 50} for number in range(100)))
    with caplog.at_level(logging.WARNING, "llm_sync"):
        stub.run()
    (message,) = caplog.messages
    assert message.count("(as line ") == 10
    assert message.endswith("and 40 more")
