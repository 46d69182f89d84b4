"""Answers in the background: asked for once, fetched until they are there, never asked for again by themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.config.models import ModelEntry, Pricing
from llm_sync.events import Waiting
from llm_sync.models import AttemptOptions, ModelRequest, Reply
from llm_sync.models.background import BackgroundRequest
from llm_sync.providers import background
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import Pause

ID = "resp_06a562f31ab77033"
USUAL = AttemptOptions(deadline=100.0)
XAI = {"base_url": "https://api.x.ai/v1"}
LOST = errors.ProviderConnectionError("the connection broke", possibly_billed=1)
SLOW = errors.RequestTimeoutError("no answer in time", phase="headers", possibly_billed=1)


def response(status: str, **more: Any) -> dict[str, Any]:
    """A Response object."""
    return {"id": ID, "object": "response", "status": status, "store": True, "output": [], "usage": None, "error": None, **more}


QUEUED, RUNNING = response("queued"), response("in_progress")
DONE = response(
    "completed",
    output=[{"type": "message", "content": [{"type": "output_text", "text": "4"}]}],
    usage={"input_tokens": 15, "output_tokens": 9},
    service_tier="default",
)


class Clock:
    """Time that passes in pauses only."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        """As of runtime.clock."""
        return self.time


class Keeper:
    """A batch's journal."""

    def __init__(self, kept: Reply | None = None) -> None:
        self.notes: list[tuple[str, ...]] = []
        self._kept = kept

    def creating(self) -> None:
        """See Keeper."""

    def created(self, job: str) -> None:
        """Likewise."""
        self.notes.append(("created", job))

    def received(self, job: str, reply: Reply) -> None:
        """Likewise."""
        self.notes.append(("received", job, reply.content.decode()))

    def kept(self, job: str) -> Reply | None:
        """Likewise."""
        return self._kept

    def over(self, job: str) -> None:
        """Likewise."""
        self.notes.append(("over", job))


class Asked:
    """What came of one request: its ``pauses`` in seconds, and what was ``sent``."""

    def __init__(self, made: Any, events: list[Any]) -> None:
        self.pauses: list[float] = []
        self.events = events
        self.web = made.web
        self.answer: Any = None

    @property
    def sent(self) -> list[str]:
        """Verb and path of every exchange."""
        return [f"{sent.verb} {sent.url.partition('/v1')[2]}" for sent in self.web.sent]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The clock that background answers are timed by."""
    made = Clock()
    monkeypatch.setattr(background, "clock", made)
    return made


@pytest.fixture
def ask(provider: Any, reply: Any, clock: Clock) -> Callable[..., Asked]:
    """``ask(*replies, …)``: a request in the background; a number among the replies is a status, a mapping a good body."""

    def run(
        *replies: Any,
        kind: str = "openai-responses",
        job: str = "",
        keeper: Any = None,
        on_pause: Callable[[CallControl], Any] = lambda control: None,
        options: AttemptOptions = USUAL,
        fields: Any = None,
        **config: Any,
    ) -> Asked:
        made = [reply({"error": {"message": "no"}}, each) if isinstance(each, int) else each for each in replies]
        web = [reply(each) if isinstance(each, dict) else each for each in made]
        events: list[Any] = []
        one = provider(kind, *web, emit=events.append, **config)
        asked, control = Asked(one, events), CallControl()
        control.keeper = keeper
        prepared = one.prepare(ModelRequest("2+2?", **{"model": "gpt-5", **(fields or {})}), options)
        steps = one.steps(BackgroundRequest(**vars(prepared), job=job), control)
        try:
            need = next(steps)
            while True:
                if isinstance(need, Pause):
                    asked.pauses.append(round(need.seconds, 3))
                    clock.time += need.seconds
                    on_pause(control)
                    need = steps.send(None)
                    continue
                try:
                    result = need.run()
                except errors.LLMConnectorError as error:
                    need = steps.throw(error)
                else:
                    need = steps.send(result)
        except StopIteration as end:
            asked.answer = end.value
        except errors.LLMConnectorError as error:
            asked.answer = error
        return asked

    return run


def test_an_answer_is_asked_for_once_and_fetched_until_it_is_there(ask: Any) -> None:
    """With pauses that grow; stored, so that it outlives them; the record says which way it came."""
    asked = ask(QUEUED, *[RUNNING] * 6, DONE)
    assert (asked.answer.text, asked.answer.usage.output_tokens) == ("4", 9)
    assert asked.sent == ["POST /responses", *[f"GET /responses/{ID}"] * 7]
    assert {name: asked.web.sent[0].body[name] for name in ("background", "store", "stream")} == {
        "background": True,
        "store": True,
        "stream": False,
    }
    assert asked.pauses == [2.0, 3.0, 4.5, 6.75, 10.125, 15.0, 15.0]
    assert (asked.answer.metadata["via"], asked.answer.attempts) == ("background", 1)
    assert asked.answer.latency_ms == pytest.approx(1000 * sum(asked.pauses))
    assert [event.reason for event in asked.events if isinstance(event, Waiting)] == ["background"] * 7


def test_a_server_that_answers_at_once_is_taken_at_its_word(ask: Any) -> None:
    """It does not know the parameter."""
    asked = ask(DONE)
    assert (asked.answer.text, asked.sent, asked.pauses) == ("4", ["POST /responses"], [])


@pytest.mark.parametrize("trouble", [500, 503, 429, 408, 524, 404, LOST, SLOW])
def test_trouble_on_the_way_never_ends_the_wait_or_asks_again(ask: Any, trouble: Any) -> None:
    """The provider works on it all the same; a new answer may not be found for a moment."""
    asked = ask(QUEUED, trouble, trouble, RUNNING, trouble, DONE)
    assert asked.answer.text == "4"
    assert [sent[:4] for sent in asked.sent] == ["POST", *["GET "] * 5]


PAGE = Reply(200, {"content-type": "text/html"}, b"<html>Sign in to the network</html>")
HALF = Reply(200, {}, json.dumps(DONE).encode()[:-20])


@pytest.mark.parametrize("page", [PAGE, HALF, {}, Reply(200, {}, b""), Reply(200, {}, b"[]")])
def test_what_is_no_answer_of_the_api_is_looked_past(ask: Any, page: Any) -> None:
    """A proxy's page, half a body; but not for ever: then it is the error of a direct answer."""
    assert ask(QUEUED, page, page, RUNNING, page, DONE).answer.text == "4"
    asked = ask(QUEUED, page)
    assert isinstance(asked.answer, errors.UnusableAnswerError)
    assert len(asked.sent) == 6


def test_the_provider_says_when_to_look_again(ask: Any, reply: Any) -> None:
    """In a header of its answer; what is no time of minutes at most is not heard."""
    hinted = [reply(RUNNING, openai_poll_after_ms="500"), reply(RUNNING, retry_after="20"), reply(RUNNING, retry_after="9e9")]
    asked = ask(QUEUED, *hinted, DONE)
    assert asked.pauses == [2.0, 0.5, 20.0, 6.75]


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        ({"code": None, "message": "You exceeded your current quota, please check your plan"}, "QuotaExceededError", False),
        ({"code": "rate_limit_exceeded", "message": "Rate limit reached"}, "RateLimitError", True),
        ({"code": "server_error", "message": "The server had an error"}, "ProviderUnavailableError", True),
        ({"code": "invalid_prompt", "message": "Your prompt was flagged"}, "ContentBlockedError", False),
        ({"code": "never_heard_of", "message": "Something else"}, "ProviderError", False),
    ],
)
def test_a_failed_answer_is_judged_as_a_direct_one(ask: Any, error: Any, kind: str, retryable: bool) -> None:
    """By the same tables; whether it is asked again is the retry policy's to say, within its limits."""
    asked = ask(QUEUED, response("failed", error=error))
    assert (type(asked.answer).__name__, asked.answer.retryable) == (kind, retryable)
    assert len(asked.sent) == 2


@pytest.mark.parametrize("status", ["cancelled", "expired"])
def test_an_answer_that_somebody_ended_is_not_asked_for_again(ask: Any, status: str) -> None:
    """A new one is paid again, and Azure may still complete this one."""
    asked = ask(QUEUED, response(status))
    assert (isinstance(asked.answer, errors.ProviderError), asked.answer.retryable) == (True, False)


@pytest.mark.parametrize("replies", [[404] * 4, [410]])
def test_an_answer_that_is_gone_is_lost_and_said_to_be_perhaps_billed(ask: Any, replies: list[int]) -> None:
    """Nobody asks again by himself."""
    asked = ask(QUEUED, *replies)
    assert ID in str(asked.answer)
    assert (asked.answer.retryable, asked.answer.possibly_billed) == (False, 1)
    assert len(asked.sent) == 1 + len(replies)


def test_a_withdrawn_key_ends_the_wait_and_leaves_the_answer_where_it_is(ask: Any) -> None:
    """The keeper does not hear that it is over."""
    keeper = Keeper()
    asked = ask(QUEUED, 401, keeper=keeper)
    assert isinstance(asked.answer, errors.AuthenticationError)
    assert (asked.answer.retryable, keeper.notes) == (False, [("created", ID)])


def test_each_exchange_has_the_timeout_and_the_whole_the_deadline(ask: Any) -> None:
    """What is not there by then is cancelled, as nobody could fetch it."""
    asked = ask(QUEUED, *[RUNNING] * 3, response("cancelled"), options=AttemptOptions(timeout=7.0, deadline=10.0))
    assert isinstance(asked.answer, errors.RequestTimeoutError)
    assert "deadline of 10 s" in str(asked.answer)
    assert "it was cancelled" in str(asked.answer)
    assert (asked.answer.retryable, asked.answer.possibly_billed) == (False, 1)
    assert [sent.timeout for sent in asked.web.sent[1:]] == [7.0, 5.0, 0.5, 5.0]
    assert asked.sent[-1] == f"POST /responses/{ID}/cancel"
    assert sum(asked.pauses) == 10.0


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (response("cancelled"), "it was cancelled, and what was made until then may be billed"),
        (404, "it could not be cancelled"),
        (LOST, "could not be cancelled"),
    ],
)
def test_a_request_that_is_stopped_is_cancelled(ask: Any, end: Any, words: str) -> None:
    """By Ctrl-C, a closed client, or a caller who no longer waits."""
    asked = ask(QUEUED, end, on_pause=CallControl.abort)
    assert isinstance(asked.answer, errors.ClientClosedError)
    assert words in str(asked.answer)
    assert asked.answer.possibly_billed == 1
    assert asked.sent == ["POST /responses", f"POST /responses/{ID}/cancel"]


def test_a_look_that_is_aborted_cancels_the_answer_too(ask: Any) -> None:
    """The second Ctrl-C comes while an exchange is under way."""

    def aborted(sent: Any) -> Any:
        raise errors.ClientClosedError("the request was aborted")

    paused: list[CallControl] = []

    def stop_at_the_second(control: CallControl) -> None:
        paused.append(control)
        if len(paused) == 2:
            control.stop_retrying()

    asked = ask(QUEUED, aborted, response("cancelled"), on_pause=stop_at_the_second)
    assert isinstance(asked.answer, errors.ClientClosedError)
    assert asked.sent[-1] == f"POST /responses/{ID}/cancel"


def test_what_is_written_down_is_not_cancelled(ask: Any) -> None:
    """The next run fetches it."""
    keeper = Keeper()
    asked = ask(QUEUED, on_pause=CallControl.stop_retrying, keeper=keeper)
    assert "it is fetched by the next run" in str(asked.answer)
    assert (asked.sent, keeper.notes) == (["POST /responses"], [("created", ID)])


def test_the_id_is_written_down_before_anything_else(ask: Any) -> None:
    """If that fails, nothing follows."""

    class Full(Keeper):
        def created(self, job: str) -> None:
            raise errors.LLMConnectorError("no space left")

    asked = ask(QUEUED, keeper=Full())
    assert (asked.sent, str(asked.answer)) == (["POST /responses"], "p/gpt-5: no space left")


def test_an_answer_that_was_asked_for_before_is_fetched_at_once(ask: Any) -> None:
    """Without another create."""
    keeper = Keeper()
    asked = ask(DONE, job=ID, keeper=keeper)
    assert (asked.answer.text, asked.sent, asked.pauses) == ("4", [f"GET /responses/{ID}"], [])
    assert keeper.notes == [("over", ID)]


@pytest.mark.parametrize("trouble", [LOST, SLOW, 504, 408])
def test_a_create_of_unknown_fate_is_not_repeated_where_timeouts_are_not(ask: Any, trouble: Any) -> None:
    """It may be made, and cannot be found."""
    careful = AttemptOptions(retry_timeouts=False)
    asked = ask(trouble, options=careful)
    assert type(asked.answer) is errors.ProviderError
    assert (asked.answer.retryable, asked.answer.possibly_billed, asked.answer.status) == (False, 1, None)
    assert ask(trouble).answer.retryable is not False
    assert ask(429, options=careful).answer.retryable is True


def test_an_answer_that_comes_deferred_unasked_is_fetched(provider: Any, reply: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever made the server do so."""
    monkeypatch.setattr(background, "FIRST_PAUSE_S", 0.0)
    made = provider("openai-responses", reply(QUEUED), reply(DONE))
    assert made.generate_response(ModelRequest("x", "m")).text == "4"
    assert [sent.verb for sent in made.web.sent] == ["POST", "GET"]
    assert "background" not in made.web.sent[0].body


def test_one_that_does_not_come_within_an_attempts_time_is_refused_as_deferred(
    provider: Any, reply: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody who asked for an answer within a time waits for ever; it is cancelled, and may be billed."""
    monkeypatch.setattr(background, "FIRST_PAUSE_S", 0.01)
    made = provider("openai-responses", *[reply(QUEUED)] * 9, attempts=AttemptOptions(timeout=0.03, deadline=60.0))
    with pytest.raises(errors.StreamingNotSupportedError) as caught:
        made.generate_response(ModelRequest("x", "m"))
    assert (caught.value.possibly_billed, caught.value.retryable) == (1, False)
    assert [sent.url.rpartition("/")[2] for sent in made.web.sent][-1] == "cancel"


@pytest.mark.parametrize("body", [response("queued", id=None), response("queued", id="../files"), response("queued", id=7)])
def test_an_id_that_is_none_is_never_put_into_a_path(ask: Any, body: Any) -> None:
    """The answer is refused as deferred."""
    asked = ask(body)
    assert isinstance(asked.answer, errors.StreamingNotSupportedError)
    assert len(asked.sent) == 1


def test_a_window_is_asked_for_beside_it(ask: Any) -> None:
    """It may take hours: then looks are far between."""
    asked = ask(QUEUED, *[RUNNING] * 12, DONE, fields={"completion_window": "2h"}, options=AttemptOptions(deadline=9000.0))
    assert asked.web.sent[0].body["background_options"] == {"completion_window": "2h"}
    assert (max(asked.pauses), asked.answer.text) == (120.0, "4")


@pytest.mark.parametrize(("window", "cost"), [("2h", 4.2), ("8h", 3.6), ("soonest", 6.0), (None, 6.0), (["2h"], 6.0)])
def test_a_window_costs_less_if_the_answer_says_that_it_had_it(ask: Any, window: Any, cost: float) -> None:
    """Of the configured price."""
    usage = {"input_tokens": 1_000_000, "output_tokens": 500_000}
    done = {**DONE, "usage": usage, "background_options": {"completion_window": window}}
    asked = ask(QUEUED, done, models=(ModelEntry("gpt-5", pricing=Pricing(2.0, 8.0)),))
    assert asked.answer.cost_estimate == pytest.approx(cost)


def test_zero_retention_is_kept_where_it_is_asked_for(ask: Any) -> None:
    """``store: false`` of the request stays."""
    asked = ask(response("queued", store=False), DONE, fields={"provider_specific": {"store": False}})
    assert asked.web.sent[0].body["store"] is False
    assert asked.answer.text == "4"


# An API whose answers can be read once ---------------------------------------------------------------------------------

CHAT = {"id": "c", "choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}
EMPTY = Reply(202, {}, b"")


def test_xai_defers_and_is_asked_until_it_answers(ask: Any) -> None:
    """202 without a body until then; what came is written down before it is read."""
    keeper = Keeper()
    asked = ask({"request_id": "a-b-1"}, EMPTY, EMPTY, CHAT, kind="openai", keeper=keeper, **XAI)
    assert asked.answer.text == "4"
    assert asked.sent == ["POST /chat/completions", *["GET /chat/deferred-completion/a-b-1"] * 3]
    assert asked.web.sent[0].body["deferred"] is True
    assert keeper.notes == [("created", "a-b-1"), ("received", "a-b-1", json.dumps(CHAT)), ("over", "a-b-1")]


def test_what_was_read_and_not_understood_is_read_again_from_the_disk(ask: Any, reply: Any) -> None:
    """A kill between the two loses nothing, and nothing is sent."""
    asked = ask(500, kind="openai", keeper=Keeper(reply(CHAT)), job="a-b-1", **XAI)
    assert (asked.answer.text, asked.sent) == ("4", [])


def test_a_broken_look_at_an_answer_that_is_read_once_is_warned_of(ask: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It may be the one that was answered."""
    asked = ask({"request_id": "a-b-1"}, LOST, *[404] * 4, kind="openai", **XAI)
    assert "can be read once only" in caplog.text
    assert isinstance(asked.answer, errors.ProviderError)
    assert asked.answer.possibly_billed == 1


# Google's Interactions ---------------------------------------------------------------------------------------------------

INTERACTION = {"id": "v1_abc=", "status": "in_progress", "agent": "deep-research-pro"}
SAID = {"type": "model_output", "content": [{"type": "text", "text": "4"}]}
ASKED = {"type": "user_input", "content": [{"type": "text", "text": "2+2?"}]}


def test_an_interaction_is_stored_fetched_and_read_without_what_was_asked(ask: Any) -> None:
    """Only the background needs it stored; a look at it shows the question, too."""
    done = {**INTERACTION, "status": "completed", "steps": [ASKED, SAID]}
    asked = ask(INTERACTION, {**INTERACTION, "steps": [ASKED]}, done, kind="gemini-interactions")
    assert asked.answer.text == "4"
    assert [sent.url.partition("/v1beta")[2] for sent in asked.web.sent] == ["/interactions", *["/interactions/v1_abc%3D"] * 2]
    assert {name: asked.web.sent[0].body[name] for name in ("background", "store")} == {"background": True, "store": True}


def test_an_interaction_is_cancelled_by_its_id(ask: Any) -> None:
    """If nobody waits for it any more."""
    asked = ask(INTERACTION, {**INTERACTION, "status": "cancelled"}, kind="gemini-interactions", on_pause=CallControl.abort)
    assert asked.web.sent[-1].url.endswith("/interactions/v1_abc%3D/cancel")


# An API with a job around the request ----------------------------------------------------------------------------------

SONAR = {"base_url": "https://api.perplexity.ai"}


def sonar(status: str, **more: Any) -> dict[str, Any]:
    """Perplexity's job."""
    return {"id": "a1", "model": "sonar-deep-research", "status": status, "response": None, "error_message": None, **more}


def test_perplexity_takes_a_job_around_the_request(ask: Any) -> None:
    """And gives it around the answer; the same key goes with every create, so that it is made once."""
    fields = {"model": "sonar-deep-research"}
    asked = ask(sonar("CREATED"), sonar("IN_PROGRESS"), sonar("COMPLETED", response=CHAT), kind="openai", fields=fields, **SONAR)
    assert asked.answer.text == "4"
    assert [sent.url.partition(".ai")[2] for sent in asked.web.sent] == ["/v1/async/sonar", *["/v1/async/sonar/a1"] * 2]
    assert asked.web.sent[0].body["request"]["model"] == "sonar-deep-research"
    assert len(asked.web.sent[0].body["idempotency_key"]) == 32


def test_a_failed_job_of_perplexity_is_the_provider_s_failure(ask: Any) -> None:
    """With its message."""
    failed = sonar("FAILED", error_message="Search is down")
    asked = ask(sonar("CREATED"), failed, kind="openai", fields={"model": "sonar-deep-research"}, **SONAR)
    assert isinstance(asked.answer, errors.ProviderUnavailableError)
    assert asked.answer.message == "Search is down"
