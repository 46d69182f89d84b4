"""Google's Interactions: which requests are refused, steps and signatures, and interactions in the background."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from simulated_jobs import API

from llm_sync import LLMClient, Message, ModelRequest
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator

KIND = "gemini-interactions"
MODEL = "gemini-3.5-flash"
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
GO = {"type": "user_input", "content": [{"type": "text", "text": "go"}]}
CALL = {"type": "function_call", "id": "c", "name": "f", "arguments": {}}
RESULT = {"type": "function_result", "call_id": "c", "name": "f", "result": "x"}
ANY = {"tools": [TOOL], "generation_config": {"tool_choice": "any"}}
Start = Callable[..., API]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a simulator in which time stands still until the test advances it; the arguments are the rules of its script."""
    started: list[Simulator] = []

    def make(*rules: dict[str, Any], **jobs: Any) -> API:
        script = {"jobs": {"speed": 0, **jobs}, **({"rules": list(rules)} if rules else {})}
        started.append(Simulator(script=script).start())
        return API(started[-1], "/gemini/v1beta", {"x-goog-api-key": "any"})

    yield make
    for simulator in started:
        simulator.stop()
        assert simulator.faults == []


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"input": "x", "contents": []}, "Unknown parameter 'contents'"),
        ({"input": ""}, "must not be empty"),
        ({"input": [{"type": "text", "text": "a"}, GO]}, "is no type of a step"),
        ({"input": [GO, RESULT]}, "invalid argument"),
        ({"input": [GO, CALL]}, "invalid argument"),
        ({"input": [GO, {"type": "thought", "signature": ""}, CALL, RESULT]}, "invalid argument"),
        ({"input": [{"type": "image", "data": "x", "uri": "y", "mime_type": "image/png"}]}, "exactly one of 'data' and 'uri'"),
        ({"input": "x", "agent": "deep-research-x"}, "Exactly one of 'model' and 'agent'"),
        ({"input": "x", "generation_config": {"topP": 0.5}}, "Unknown parameter 'topP' at 'generation_config'"),
        ({"input": "x", "generation_config": {"thinking_level": "max"}}, "use one of minimal"),
        ({"input": "x", "tools": [{"functionDeclarations": []}]}, "tools[0].type"),
        ({"input": "x", "generation_config": {"tool_choice": "any"}}, "needs functions"),
        ({"input": "x", "response_format": {"type": "text", "schema": {}}}, "needs the mime_type"),
        ({"input": "x", "store": "no"}, "must be a boolean"),
    ],
)
def test_what_is_refused(wire, payload, said):
    """With 400, and a code that is a word."""
    got = wire.ask(KIND, payload, model=MODEL)
    assert (got.status, got.body["error"]["code"]) == (400, "invalid_request"), got
    assert said in got.body["error"]["message"]


def test_an_interaction_of_before_is_unknown(wire):
    """Only those in the background are stored."""
    got = wire.ask(KIND, {"input": "x", "previous_interaction_id": "v1_x"})
    assert (got.status, got.body["error"]["code"]) == (404, "not_found")


def test_sampling_is_refused_by_the_newest_models(wire):
    """Gemini 4 takes no temperature."""
    assert wire.ask(KIND, {"input": "x", "generation_config": {"temperature": 0}}, model="gemini-4-argon").status == 400
    assert wire.ask(KIND, {"input": "x", "generation_config": {"temperature": 0}}, model="gemini-3.6-flash").status == 200


def test_signed_thoughts_go_back_to_their_model(wire):
    """The steps of an answer are taken back by the model that made them, and by no other."""
    steps = wire.ask(KIND, {"input": "go", **ANY}, model=MODEL).body["steps"]
    assert [step["type"] for step in steps] == ["thought", "function_call"]
    result = {**RESULT, "call_id": steps[1]["id"]}
    payload = {"input": [GO, *steps, result], "tools": [TOOL]}
    assert wire.ask(KIND, payload, model=MODEL).status == 200
    assert wire.ask(KIND, payload, model="gemini-3.7-flash").status == 400


def test_the_clients_tool_loop(simulator, client_of):
    """llm-sync's client hands back what the API wants."""
    client = client_of(simulator)
    first = client.generate(
        "go", f"{KIND}/{MODEL}", tools=[{"name": "f", "parameters": TOOL["parameters"]}], tool_choice="required"
    )
    turns = [Message("user", "go"), first.message, Message("tool", "x", tool_call_id=first.tool_calls[0].id)]
    assert client.generate_response(ModelRequest(messages=turns, model=f"{KIND}/{MODEL}")).text


def test_an_interaction_in_the_background(start):
    """It is in progress at once, and fetched with what was asked; a deleted one is gone."""
    api = start()
    made = api.post("/interactions", {"model": MODEL, "input": "Say hello", "background": True})
    assert (made["status"], "steps" in made, "usage" in made) == ("in_progress", False, False)
    assert api.get(f"/interactions/{made['id']}")["status"] == "in_progress"
    api.simulator.advance(25)
    done = api.get(f"/interactions/{made['id']}")
    assert (done["status"], done["id"], done["steps"][0]["type"]) == ("completed", made["id"], "user_input")
    assert "hello" in str(done["steps"][-1]).lower()
    assert api.simulator.summary()["providers"]["gemini"]["billed"] == 1
    assert api.call("DELETE", f"/interactions/{made['id']}") == (200, {})
    assert api.call("GET", f"/interactions/{made['id']}")[0] == 404


def test_an_agent_answers_in_the_background_only(start):
    """With no settings of a model; its name is in the answer."""
    api = start()
    agent = {"agent": "deep-research-preview-04-2026", "input": "Say hello"}
    assert api.call("POST", "/interactions", agent)[0] == 400
    assert api.call("POST", "/interactions", {**agent, "background": True, "generation_config": {"seed": 1}})[0] == 400
    made = api.post("/interactions", {**agent, "background": True})
    api.simulator.advance(25)
    assert api.get(f"/interactions/{made['id']}")["agent"] == agent["agent"]


@pytest.mark.parametrize(("model", "more"), [("gemini-2.5-flash", {}), (MODEL, {"store": False})])
def test_what_cannot_be_made_in_the_background(start, model, more):
    """Older models, and interactions that are not stored."""
    status, body = start().call("POST", "/interactions", {"model": model, "input": "x", "background": True, **more})
    assert (status, body["error"]["code"]) == (400, "invalid_request")


def test_a_cancelled_and_a_failed_one(start):
    """The status says so; an error of the answer stands in its errors."""
    api = start({"when": {"request": "line"}, "error": "overloaded"})
    made = [api.post("/interactions", {"model": MODEL, "input": "x", "background": True}) for _ in range(2)]
    assert api.call("POST", f"/interactions/{made[0]['id']}/cancel")[1]["status"] == "cancelled"
    api.simulator.advance(25)
    failed = api.get(f"/interactions/{made[1]['id']}")
    assert (failed["status"], failed["errors"][0]["code"]) == ("failed", "unavailable")


@pytest.mark.parametrize("model", [MODEL, "deep-research-preview-04-2026"])
def test_the_client_fetches_it(model):
    """via=background, of a model and of an agent."""
    with Simulator(script={"jobs": {"speed": 1000}}) as simulator:
        text = f"providers: {{g: {{type: {KIND}, api_key: any, base_url: '{simulator.url(KIND)}'}}}}"
        with LLMClient(ConfigLoader().load_text(text)) as client:
            response = client.generate("Say hello", f"g/{model}", via="background")
        assert "hello" in response.text.lower()
        assert simulator.faults == []
