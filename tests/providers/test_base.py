"""One attempt's story apart from any dialect: facts told, limits kept, hostile replies survived."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.config.models import Unset
from llm_sync.events import Adjusted, AttemptEnded, AttemptStarted, Event
from llm_sync.models import AttemptOptions, ModelRequest

GOOD = {"choices": [{"message": {"content": "Hi"}}]}
PING = ModelRequest("x", "m")


def test_facts_of_an_attempt(provider: Any, reply: Any) -> None:
    """Each exchange is told when it starts and when it ends, by provider, key and number."""
    told: list[Event] = []
    provider("openai", reply(GOOD, 200), emit=told.append).generate_response(PING, control=type("Control", (), {"key": 7})())
    started, ended = told
    assert isinstance(started, AttemptStarted)
    assert isinstance(ended, AttemptEnded)
    assert (started.provider, started.key, started.number, started.timeout) == ("p", 7, 1, 10.0)
    assert (ended.provider, ended.key, ended.status, ended.error) == ("p", 7, 200, None)


def test_facts_of_a_broken_attempt(provider: Any) -> None:
    """Without a status the error's class is told, never its text."""
    told: list[Event] = []
    made = provider("openai", errors.ProviderConnectionError("at https://secret"), emit=told.append)
    with pytest.raises(errors.ProviderConnectionError):
        made.generate_response(PING)
    assert isinstance(told[-1], AttemptEnded)
    assert (told[-1].status, told[-1].error) == (None, "ProviderConnectionError")


def test_facts_of_adjustments(provider: Any, reply: Any) -> None:
    """Every adjustment is told, and whether something is lost by it."""
    told: list[Event] = []
    request = ModelRequest("x", "o3", max_tokens=9, seed=1, temperature=0.5)
    provider("openai", reply(GOOD), emit=told.append).generate_response(request)
    adjusted = {event.text.partition("=")[0]: event.lost for event in told if isinstance(event, Adjusted)}
    assert adjusted == {"temperature": True, "max_tokens": False}


def test_the_retry_handler_is_given_what_it_needs(provider: Any, reply: Any) -> None:
    """Options and control go to it, number and timeout come from it, and what it raises is described."""
    seen: list[Any] = []

    class Third:
        def steps(self, attempt: Any, options: Any, control: Any, request: Any = None) -> Any:
            seen.extend((options, control))
            return attempt(3, 4.5)

    made = provider("openai", reply(GOOD), retry=Third())
    options = AttemptOptions(timeout=9)
    assert made.generate_response(PING, options, "control").attempts == 3
    assert seen == [options, "control"]
    assert made.web.sent[0].timeout == 4.5


def test_retryable_bad_answers_reach_the_retry_handler(provider: Any, reply: Any) -> None:
    """Truncated JSON, an empty body and errors inside a 200 are raised within the attempt, where they can be tried again."""

    class Stubborn:
        def steps(self, attempt: Any, options: Any, control: Any, request: Any = None) -> Any:
            for number in range(1, 9):
                try:
                    return (yield from attempt(number, 1.0))
                except errors.LLMConnectorError as error:  # noqa: PERF203  (trying again is what it is about)
                    if error.retryable is not True:
                        raise
            raise AssertionError("never answered")

    bad = (reply('{"choices": ['), reply(b""), reply({"error": {"code": 502, "message": "m"}}), reply("<html>", 503))
    assert provider("openai", *bad, reply(GOOD), retry=Stubborn()).generate_response(PING).attempts == 5


def test_unset_variables_are_told_before_anything_is_sent(provider: Any, reply: Any) -> None:
    """A header that needs a variable is as good as a key."""
    made = provider("openai", reply(GOOD), unset=(Unset("TEAM", "providers.p.headers.X-Team", 3),))
    with pytest.raises(errors.AuthenticationError, match="TEAM"):
        made.generate_response(PING)
    with pytest.raises(errors.AuthenticationError, match="TEAM"):
        made.check()
    assert made.web.sent == []


def test_many_threads_share_a_provider(provider: Any, reply: Any) -> None:
    """Good and bad answers at once: each thread gets its own."""
    together = threading.Barrier(8, timeout=20)

    def endpoint(sent: Any) -> Any:
        together.wait()
        text = sent.body["messages"][0]["content"]
        return reply({"choices": [{"message": {"content": text if text != "7" else 7}}]})

    made = provider("openai", endpoint)
    found: dict[int, Any] = {}

    def ask(number: int) -> None:
        try:
            found[number] = made.generate_response(ModelRequest(str(number), "m")).text
        except errors.ResponseValidationError as error:
            found[number] = error.fields[0].path

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == {**{number: str(number) for number in range(7)}, 7: "choices[0].message.content"}


def test_a_listing_of_endless_new_pages_ends(provider: Any, reply: Any) -> None:
    """A server that invents a next page for ever is left after some hundred."""
    pages = iter(range(10**6))
    made = provider("gemini", lambda sent: reply({"models": [], "nextPageToken": str(next(pages))}))
    assert made.list_models() == []
    assert len(made.web.sent) <= 200


def test_a_told_adjustment_shows_no_text(provider: Any, reply: Any) -> None:
    """What is told ends in logs, where prompts have no place; the response's adjustments hold it."""
    told: list[Event] = []
    request = ModelRequest("x", "o1-mini", system_prompt="the secret recipe", max_tokens=9)
    response = provider("openai", reply(GOOD), emit=told.append).generate_response(request)
    texts = [event.text for event in told if isinstance(event, Adjusted)]
    assert any(text.startswith("system_prompt is sent otherwise") for text in texts)
    assert any(text.startswith("max_tokens=9 is sent as") for text in texts)
    assert not any("recipe" in text for text in texts)
    assert any(adjustment.asked == "the secret recipe" for adjustment in response.adjustments)


def test_models_of_a_url_with_the_model_in_it_are_not_listed(provider: Any) -> None:
    """Classic Azure URLs name one deployment: there is nothing to ask, and the error says where the names stand."""
    made = provider("openai", base_url="http://127.0.0.1:1/openai/deployments/{model}")
    with pytest.raises(errors.InvalidRequestError, match=r"\{model\}") as caught:
        made.list_models()
    assert "under models" in str(caught.value.guidance)
