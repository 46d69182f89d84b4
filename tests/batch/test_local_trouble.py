"""Trouble between here and the provider costs no line: the provider is paused, and the same command asks again."""

from __future__ import annotations

import errno
import json
from typing import Any

import pytest
from batch_apparatus import Batch, Far, completion, failure

from llm_sync import errors
from llm_sync.batch.local_trouble import is_local_trouble
from llm_sync.client import request_files
from llm_sync.simulator import Response

HTML = "<html>Please log in</html>"
TROUBLE = {
    "a login page with 200": Response(200, HTML, (("Content-Type", "text/html"),)),
    "JSON of another program": Response(200, {"login": "required"}),
    "an empty body": Response(200, ""),
    "a redirect": Response(302, "", (("Location", "http://portal.example/login"),)),
    "a path that a gateway does not know": Response(404, "no healthy upstream", (("Content-Type", "text/plain"),)),
    "a gateway's JSON": Response(404, {"message": "no Route matched with those values"}),
    "a wrong method": Response(405, HTML, (("Content-Type", "text/html"),)),
    "a web server's 400": Response(400, f" {HTML}", (("Content-Type", "text/html"),)),
    "network login": Response(511, HTML, (("Content-Type", "text/html"),)),
}
NO_TROUBLE = {
    "a bad request": failure(400),
    "a bad request in plain text": Response(400, "temperature is too high", (("Content-Type", "text/plain"),)),
    "a form of its own": Response(422, {"detail": [{"loc": ["body"], "msg": "too long"}]}),
    "too large": Response(413, HTML, (("Content-Type", "text/html"),)),
    "a refusal": completion("", "content_filter"),
    "an empty answer": completion(" "),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_a_provider_is_paused_after_a_few_in_a_row(job: Batch, far: Far, kind: str) -> None:
    """The rest is not burned; when all is well again, the same command asks everything without an answer."""
    prompts = [f"p{number}" for number in range(60)]
    for prompt in prompts[10:]:
        far.script(prompt, *[TROUBLE[kind]] * 3)
    job.lines(*prompts, {"prompt": "other", "model": "b/m2"})
    summary = job.run(max_retries=0)
    assert (summary.complete, summary.tally.answered) == (False, 11)
    assert summary.held["a"].startswith("5 requests in a row failed on the way to the provider: ")
    assert summary.tally.failed.total() <= 5 + 6
    assert len(far.asked) <= 11 + 5 + 6
    far.scripted.clear()
    assert (job.run().tally.answered, job.texts()[:60]) == (61, [f"echo {prompt}" for prompt in prompts])


@pytest.mark.parametrize("kind", TROUBLE)
def test_a_single_one_is_asked_again_from_the_output(job: Batch, far: Far, kind: str) -> None:
    """Too few to pause the provider: the record says that it is."""
    far.script("q", TROUBLE[kind])
    job.lines("p", "q", "r")
    assert (job.run(max_retries=0).complete, job.records()[1].get("again")) == (True, True)
    summary = job.run()
    assert (summary.again, job.texts(), job.records()[1].get("again")) == (1, ["echo p", "echo q", "echo r"], None)


def test_the_same_holds_for_openais_results(job: Batch, far: Far) -> None:
    """Which have it among the other keys of their own."""
    bodies = [{"model": "a/m", "messages": [{"role": "user", "content": prompt}]} for prompt in "pq"]
    line = {"method": "POST", "url": "/v1/chat/completions"}
    job.lines(*({**line, "custom_id": body["messages"][0]["content"], "body": body} for body in bodies))
    far.script("q", TROUBLE["a redirect"])
    job.run()
    assert job.records()[1]["llm_sync"]["again"] is True
    assert (job.run().again, job.run().again) == (1, 0)


@pytest.mark.parametrize("kind", NO_TROUBLE)
def test_what_the_provider_itself_says_stays(job: Batch, far: Far, kind: str) -> None:
    """Each line fails for itself, and is not asked again."""
    prompts = [f"p{number}" for number in range(12)]
    for prompt in prompts:
        far.script(prompt, *[NO_TROUBLE[kind]] * 9)
    job.lines(*prompts)
    summary = job.run(max_retries=0)
    assert (summary.complete, summary.failed, summary.held) == (True, 12, {})
    assert job.run(max_retries=0).sent == 0


def test_a_provider_is_not_paused_where_that_is_switched_off(job: Batch, far: Far) -> None:
    """``give_up_after=0``; or sooner, where it is less than five."""
    prompts = [f"p{number}" for number in range(12)]
    for prompt in prompts:
        far.script(prompt, *[TROUBLE["a redirect"]] * 9)
    job.lines(*prompts)
    assert job.run(give_up_after=0).complete
    assert "2 requests in a row" in job.run(give_up_after=2, restart=True).held["a"]


def with_cause(error: errors.LLMConnectorError, cause: BaseException, *, wrapped: bool = False) -> errors.LLMConnectorError:
    """An error that has a cause, as urllib3's errors have it in their arguments or in a chain."""
    error.__context__ = OSError("pool", cause) if wrapped else cause
    return error


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.EPERM])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_machine_without_descriptors_or_ports_is_trouble(number: int, wrapped: bool) -> None:
    """Wherever the system's error is in the chain."""
    cause = OSError(number, "no more")
    assert is_local_trouble(with_cause(errors.ProviderConnectionError("x"), cause, wrapped=wrapped))
    assert is_local_trouble(with_cause(errors.LLMConnectorError("an unexpected OSError"), cause, wrapped=wrapped))
    assert not is_local_trouble(with_cause(errors.ProviderConnectionError("x"), OSError(errno.ECONNRESET, "reset")))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.ProviderConnectionError("the certificate is refused", retryable=False), True),
        (errors.ProviderConnectionError("the connection broke"), False),
        (errors.ConfigurationError("the runtime folder was removed"), True),
        (errors.RequestTimeoutError("late", phase="body"), False),
        (errors.RateLimitError("slow down", status=429, body="slow down"), False),
        (errors.ProviderUnavailableError("busy", status=503, body=HTML), False),
        (errors.ProviderError("too large", status=200), False),
        (errors.ClientClosedError("closed"), False),
        (errors.LLMConnectorError("an unexpected KeyError"), False),
    ],
)
def test_errors_are_classified(error: errors.LLMConnectorError, expected: bool) -> None:
    """By class, status and body."""
    assert is_local_trouble(error) is expected


def test_an_image_that_is_gone_is_left_for_the_next_run(job: Batch, far: Far) -> None:
    """It was there when the line was checked; then nothing of the line is sent, and the run says so."""
    image = job.input.with_name("a.png")
    image.write_bytes(b"\x89PNG\r\n\x1a\nx")
    lines = [{"prompt": f"p{number}", "model": "a/m", "images": [str(image)]} for number in range(30)]

    def remove() -> Any:
        image.unlink()
        return completion("echo p3")

    far.script("p3", remove)
    job.lines(*lines)
    summary = job.run()
    assert not summary.complete
    assert "cannot be sent as planned" in summary.held["a"]
    assert "a.png" in summary.held["a"]
    asked = len(far.asked)
    image.write_bytes(b"\x89PNG\r\n\x1a\nx")
    assert job.run().sent == 30 - asked


def test_no_descriptors_left_for_an_image_stops_the_run(job: Batch, far: Far, monkeypatch: Any) -> None:
    """The line is not at fault: nothing is recorded of it."""
    image = job.input.with_name("a.png")
    image.write_bytes(b"\x89PNG\r\n\x1a\nx")
    job.lines("p", {"prompt": "q", "model": "a/m", "images": [str(image)]})
    job.run(limit=1)
    real = request_files.read_regular_file
    calls: list[int] = []

    def exhausted(*arguments: Any, **options: Any) -> bytes:
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.EMFILE, "Too many open files", str(image))
        return real(*arguments, **options)

    monkeypatch.setattr(request_files, "read_regular_file", exhausted)
    with pytest.raises(errors.LLMConnectorError, match="Too many open files"):
        job.run()
    assert (job.run().sent, far.asked) == (1, ["p", "q"])
    assert json.loads(job.output.read_text().splitlines()[1])["response"] is not None
