"""Streaming switches in the lines of a batch: removed with one warning, refused where that is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from batch_apparatus import CONFIG, Batch, Far  # type: ignore[import-not-found]

from llm_sync import InvalidRequestError


def line(prompt: str, **more: Any) -> dict[str, Any]:
    """A line to a/m."""
    return {"prompt": prompt, "model": "a/m", **more}


def test_a_switch_in_every_line_is_warned_of_once(job: Batch, far: Far, caplog: pytest.LogCaptureFixture) -> None:
    """In the words of a single request; each record has its adjustment."""
    job.lines(*(line(str(number), provider_specific={"stream": True}) for number in range(3)))
    job.run()
    warnings = [record.getMessage() for record in caplog.records if "stripped" in record.getMessage()]
    assert warnings == ["a: stripped from provider_specific, as llm-sync never streams: stream"]
    assert far.asked == ["0", "1", "2"]
    made = [[each["parameter"] for each in record["response"]["adjustments"]] for record in job.records()]
    assert made == [["stream"]] * 3


def test_another_switch_is_warned_of_too(job: Batch, caplog: pytest.LogCaptureFixture) -> None:
    """Also one that the whole run sets."""
    job.lines(line("p", provider_specific={"stream": True}), line("q"))
    job.run(fields={"provider_specific": {"background": True}})
    warnings = [record.getMessage().partition("streams: ")[2] for record in caplog.records if "stripped" in record.getMessage()]
    assert sorted(warnings) == ["background", "background, stream"]


def test_streaming_that_is_off_is_no_error(job: Batch, caplog: pytest.LogCaptureFixture) -> None:
    """Scripts write it into every request."""
    job.lines(line("p", stream=False), line("q", stream=None, stream_options=None))
    job.run()
    assert job.texts() == ["echo p", "echo q"]
    assert caplog.records == []


def test_streaming_that_is_asked_for_is_refused(job: Batch, far: Far) -> None:
    """As by a call: the line is named, and nothing is sent."""
    job.lines(line("p"), line("q", stream=True))
    with pytest.raises(InvalidRequestError, match=r"line 2: stream was asked for, but llm-sync never streams"):
        job.run()
    assert far.asked == []
    job.run(skip_bad_lines=True)
    assert job.texts() == ["echo p", "StreamingNotSupportedError"]


@pytest.mark.parametrize("option", ["strict", "strict_streaming"])
def test_strict_clients_refuse_switches(job: Batch, far: Far, open_client: Any, option: str) -> None:
    """The lines are named before anything is sent."""
    job.lines(line("p", provider_specific={"stream": True}))
    with pytest.raises(InvalidRequestError, match=r"line 1: a: provider_specific asks for streaming \(stream\)"):
        job.run(client=open_client(CONFIG, **{option: True}))
    assert far.asked == []
