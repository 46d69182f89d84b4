"""Background answers of the Responses API, deferred completions that are read once, and service tiers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from simulated_jobs import API

from llm_sync.simulator import Simulator

ASKED = {"model": "gpt-4o-mini", "input": "Say hello"}
CHAT = {"model": "grok-4.3", "messages": [{"role": "user", "content": "Say hello"}]}
Start = Callable[..., API]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a simulator in which time stands still until the test advances it; the arguments are the rules of its script."""
    started: list[Simulator] = []

    def make(*rules: dict[str, Any], base: str = "/openai/v1", **jobs: Any) -> API:
        script = {"jobs": {"speed": 0, **jobs}, **({"rules": list(rules)} if rules else {})}
        started.append(Simulator(script=script).start())
        return API(started[-1], base, {"authorization": "Bearer any"})

    yield make
    for simulator in started:
        simulator.stop()
        assert simulator.faults == []


def poll(api: API, made: Any, seconds: float = 0) -> Any:
    """The response some simulated seconds later."""
    api.simulator.advance(seconds)
    return api.get(f"/responses/{made['id']}")


def bill(api: API) -> Any:
    """What the simulator billed so far."""
    return api.simulator.summary()["providers"]["openai"]


def test_a_background_response_is_queued_made_and_fetched(start):
    """The create is answered at once without output; the answer is billed when it is made, and read as often as wanted."""
    api = start()
    made = api.post("/responses", {**ASKED, "background": True, "store": True})
    assert (made["status"], made["store"], made["output"], made["usage"]) == ("queued", True, [], None)
    assert bill(api)["billed"] == 0
    assert [poll(api, made, seconds)["status"] for seconds in (1, 5, 20)] == ["queued", "in_progress", "completed"]
    done = poll(api, made)
    assert "hello" in done["output"][0]["content"][0]["text"]
    assert (done["id"], done["completed_at"] - done["created_at"], done["background"]) == (made["id"], 20, True)
    assert bill(api)["billed"] == 1
    assert api.call("DELETE", f"/responses/{made['id']}")[1]["deleted"] is True
    assert api.call("GET", f"/responses/{made['id']}")[0] == 404


@pytest.mark.parametrize(
    ("asked", "rules", "stored", "kept"),
    [
        ({"store": True}, [], True, 30 * 86_400),
        ({}, [], False, 600),
        ({"store": False}, [], False, 600),
        ({"store": True}, [{"not_stored": True}], False, 600),
        ({"store": True}, [{"results_kept": 5}], True, 5),
    ],
)
def test_the_echo_of_store_says_how_long_it_is_kept(start, asked, rules, stored, kept):
    """``store: false`` in the answer means ten minutes; a script can say so though ``true`` was sent."""
    api = start(*rules, answer_takes=1)
    made = api.post("/responses", {**ASKED, "background": True, **asked})
    assert made["store"] is stored
    assert poll(api, made, kept - 2)["id"] == made["id"]
    api.simulator.advance(3)
    assert api.call("GET", f"/responses/{made['id']}")[0] == 404


def test_a_quota_error_comes_as_a_failed_response_on_the_poll(start):
    """With status 200; the create was answered like any other, and nothing is billed."""
    api = start({"when": {"request": "line"}, "error": "quota"})
    made = api.post("/responses", {**ASKED, "background": True, "store": True})
    failed = poll(api, made, 30)
    assert (failed["status"], failed["output"]) == ("failed", [])
    assert failed["error"] == {"code": "rate_limit_exceeded", "message": "You exceeded your current quota."}
    assert bill(api)["billed"] == 0


def test_an_ordinary_mistake_is_refused_at_once(start):
    """And nothing is made."""
    api = start()
    assert api.call("POST", "/responses", {**ASKED, "background": True, "temperature": 9})[0] == 400
    assert api.call("POST", "/responses", {**ASKED, "background": True, "stream": True})[0] == 400
    assert api.call("POST", "/chat/completions", {**CHAT, "background": True})[0] == 400
    assert api.call("GET", "/responses/resp_unknown")[0] == 404


def test_a_cancelled_response_is_billed_for_what_was_made(start):
    """The prompt in full, and the output by the time it took; cancelling twice gives the same."""
    api = start()
    made = api.post("/responses", {**ASKED, "background": True, "store": True})
    whole = api.post("/responses", ASKED)["usage"]
    paid = bill(api)
    api.simulator.advance(10)
    cancelled = api.post(f"/responses/{made['id']}/cancel", None)
    assert (cancelled["status"], cancelled["usage"]) == ("cancelled", None)
    assert poll(api, made, 30)["status"] == "cancelled"
    assert api.post(f"/responses/{made['id']}/cancel", None) == poll(api, made)
    after = bill(api)
    assert after["input_tokens"] - paid["input_tokens"] == whole["input_tokens"]
    assert after["output_tokens"] - paid["output_tokens"] == whole["output_tokens"] // 2


def test_a_cancel_can_be_without_effect(start):
    """As reported from Azure: cancelled first, and completed later."""
    api = start({"cancel_ignored": True})
    made = api.post("/responses", {**ASKED, "background": True, "store": True})
    assert api.post(f"/responses/{made['id']}/cancel", None)["status"] == "cancelled"
    assert poll(api, made, 30)["status"] == "completed"
    assert bill(api)["billed"] == 1


def test_a_response_can_get_lost(start):
    """A line that is lost or expires is an id that is unknown afterwards."""
    api = start({"line_lost": True})
    made = api.post("/responses", {**ASKED, "background": True})
    assert poll(api, made)["status"] == "queued"
    api.simulator.advance(30)
    assert api.call("GET", f"/responses/{made['id']}")[0] == 404


@pytest.mark.parametrize(("window", "factor"), [("soonest", 1.0), ("2h", 0.7), ("8h", 0.6)])
def test_a_completion_window_lowers_the_price(start, window, factor):
    """2h costs 30 % less, 8h 40 % less; both take longer."""
    api = start()
    options = {"background": True, "store": True, "background_options": {"completion_window": window}}
    made = api.post("/responses", {**ASKED, **options})
    assert (poll(api, made, 30)["status"] == "completed") == (window == "soonest")
    assert poll(api, made, 3600)["status"] == "completed"
    now = bill(api)
    assert now["cost_usd"] == pytest.approx(factor * (now["input_tokens"] + 4 * now["output_tokens"]) / 1e6)


def test_a_completion_window_needs_the_background(start):
    """Without background, or with an unknown window, it is refused."""
    api = start()
    assert api.call("POST", "/responses", {**ASKED, "background_options": {"completion_window": "2h"}})[0] == 400
    asked = {**ASKED, "background": True, "background_options": {"completion_window": "3h"}}
    assert api.call("POST", "/responses", asked)[0] == 400


def test_an_answer_can_be_deferred_though_nobody_asked(start):
    """deferred: a plain request is answered ``queued``, and fetched by its id."""
    api = start({"deferred": True})
    made = api.post("/responses", ASKED)
    assert (made["status"], made["background"]) == ("queued", False)
    assert poll(api, made, 30)["status"] == "completed"


def test_a_deferred_completion_is_read_once(start):
    """xAI: 202 without a body until it is there, then the answer, and 404 from then on."""
    api = start(base="/xai/v1")
    made = api.post("/chat/completions", {**CHAT, "deferred": True})
    assert set(made) == {"request_id"}
    path = f"/chat/deferred-completion/{made['request_id']}"
    assert api.call("GET", path) == (202, b"")
    api.simulator.advance(30)
    assert "hello" in api.get(path)["choices"][0]["message"]["content"]
    assert api.call("GET", path)[0] == 404
    assert bill(api)["billed"] == 1


def test_xai_makes_no_response_in_the_background(start):
    """``background`` is refused there like a stream."""
    assert start(base="/xai/v1").call("POST", "/responses", {**ASKED, "model": "grok-4.3", "background": True})[0] == 400


TIERS = [
    ("/openai/v1", "flex", "flex", 0.5),
    ("/openai/v1", "priority", "priority", 2.0),
    ("/openai/v1", "auto", "default", 1.0),
    ("/groq/openai/v1", "flex", "flex", 0.5),
    ("/groq/openai/v1", None, "on_demand", 1.0),
]


@pytest.mark.parametrize(("base", "asked", "served", "factor"), TIERS)
def test_the_answer_names_the_tier_and_is_billed_by_it(start, base, asked, served, factor):
    """flex costs half, priority twice as much."""
    api = start(base=base)
    answer = api.post("/chat/completions", {**CHAT, **({"service_tier": asked} if asked else {})})
    assert answer["service_tier"] == served
    now = bill(api)
    assert now["cost_usd"] == pytest.approx(factor * (now["input_tokens"] + 4 * now["output_tokens"]) / 1e6)


def test_another_tier_can_serve_the_answer(start):
    """served_tier: what was asked for is not what was given, and billed."""
    api = start({"served_tier": "default"})
    assert api.post("/responses", {**ASKED, "service_tier": "priority"})["service_tier"] == "default"
    assert [record.tier for record in api.simulator.requests] == ["default"]


@pytest.mark.parametrize(("base", "status"), [("/openai/v1", 429), ("/groq/openai/v1", 498)])
def test_flex_can_be_without_capacity(start, base, status):
    """Only requests of the tier are refused, in the provider's form, and not billed."""
    api = start({"when": {"nth": 1}, "no_capacity": True}, {"no_capacity": True}, base=base)
    assert api.call("POST", "/chat/completions", {**CHAT, "service_tier": "flex"})[0] == status
    assert api.call("POST", "/chat/completions", CHAT)[0] == 200
    assert bill(api)["billed"] == 1


def test_the_newest_models_have_no_flex(start):
    """They have completion windows instead."""
    assert start().call("POST", "/responses", {**ASKED, "model": "gpt-6.2-sol", "service_tier": "flex"})[0] == 400
