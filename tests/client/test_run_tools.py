"""run_tools: the model asks for tools, they are called, and it gets their results, until it answers."""

from __future__ import annotations

import json
import os
import pickle
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

import llm_sync
from llm_sync import (
    BudgetExceededError,
    InvalidRequestError,
    LLMClient,
    Message,
    ModelRequest,
    ProviderUnavailableError,
    Tool,
    ToolRunError,
)
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator

MODELS: dict[str, str] = runpy.run_path(str(Path(__file__).parents[1] / "faults/table.py"))["DIALECTS"]  # a model of each
REASONING = {
    "openai-responses": "gpt-5-mini",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-3-flash-preview",
    "gemini-interactions": "gemini-3-flash-preview",
}
CONFIG = "defaults: {{retry_base: 0}}\nproviders: {{p: {{type: {type}, api_key: any, base_url: '{url}', models: [{entry}]}}}}"


def calls(*arguments: Mapping[str, Any], name: str = "step") -> dict[str, Any]:
    """An answer that calls a tool, once for each of these arguments."""
    return {"tool_calls": [{"name": name, "arguments": dict(each)} for each in arguments]}


@pytest.fixture
def run() -> Iterator[Callable[..., Any]]:
    """``run(answers, tools, request=, type=, entry=, script=, **options)``: a conversation with a model that answers so."""
    opened: list[Any] = []

    def running(
        answers: Mapping[str, Any],
        tools: Any,
        request: ModelRequest | None = None,
        *,
        type: str = "openai",  # noqa: A002
        entry: str = "gpt-4o-mini",
        script: Any = None,
        **options: Any,
    ) -> Any:
        simulator = Simulator(answers=answers, script=script)
        opened.append(simulator.__enter__())
        text = CONFIG.format(type=type, url=simulator.url(type), entry=entry)
        opened.append(LLMClient(ConfigLoader().load_text(text)))
        running.simulator = simulator  # type: ignore[attr-defined]
        running.client = opened[-1]  # type: ignore[attr-defined]
        return opened[-1].run_tools(request or ModelRequest("start"), tools, **options)

    yield running
    for each in reversed(opened):
        if isinstance(each, LLMClient):
            each.close(cancel_pending=True, grace=0)
        else:
            each.__exit__(None, None, None)
            assert each.faults == []


def test_every_dialect_is_tried() -> None:
    """A dialect that is added is added to the table of faults, and with that to this page."""
    classes = {name: getattr(made, "__module__", made) for name, made in llm_sync.ProviderFactory._classes.items()}
    assert set(MODELS) == {
        name for name, module in classes.items() if str(module).startswith("llm_sync.")
    }  # not other tests' own


def step(n: int) -> str:
    """Do a step."""
    return f"did {n}"


FIVE_ROUNDS = {
    "start": calls({"n": 1}, {"n": 10}),
    **{f"did {n}\n\ndid {n * 10}": calls({"n": n + 1}, {"n": n * 10 + 10}) for n in range(1, 5)},
    "did 5\n\ndid 50": "finished",
}


@pytest.mark.parametrize("kind", MODELS)
def test_five_rounds_of_parallel_calls(run: Any, kind: str) -> None:
    """On every dialect the model gets the results of both calls in their order, and every round is in the result."""
    result = run(FIVE_ROUNDS, {"step": step}, type=kind, entry=f'"{MODELS[kind]}"')
    assert (result.text, result.is_finished, len(result.rounds)) == ("finished", True, 6)
    assert [[each.content for each in round_.results] for round_ in result.rounds[:2]] == [
        ["did 1", "did 10"],
        ["did 2", "did 20"],
    ]
    assert result.usage.input_tokens == sum(each.response.usage.input_tokens for each in result.rounds) > 0
    assert [message.role for message in result.messages] == ["user", *["assistant", "tool", "tool"] * 5, "assistant"]
    assert json.loads(json.dumps(result.to_dict()))["rounds"][0]["results"][1]["content"] == "did 10"
    assert pickle.loads(pickle.dumps(result)).messages == result.messages  # noqa: S301  (our own)


@pytest.mark.parametrize("kind", REASONING)
def test_state_goes_back_with_the_turn(run: Any, kind: str) -> None:
    """What the provider wants back is in the messages that the run hands back."""
    thinking = {"provider_specific": {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "max_tokens": 4000}
    request = ModelRequest("start", **(thinking if kind == "anthropic" else {}))
    result = run({"start": calls({"n": 1}), "did 1": "done"}, [step], request, type=kind, entry=f'"{REASONING[kind]}"')
    assert result.messages[1].state or result.messages[1].tool_calls[0].state
    assert result.text == "done"  # the simulator refuses a turn whose state is missing or changed


# Calls that are not valid, and tools that misbehave ------------------------------------------------------------------------


def once(run: Any, tool: Callable[..., Any], **options: Any) -> Any:
    """The result of one call of a tool ``step``."""
    result = run({"start": calls({"n": 1})}, {"step": tool}, **options)
    return result.rounds[0].results[0]


def test_an_unknown_tool_is_reported_to_the_model(run: Any) -> None:
    """It learns which tools there are, and may go on."""
    result = run({"start": calls({"n": 1}, name="stepp")}, {"step": step})
    assert result.rounds[0].results[0].content == 'Error: there is no tool "stepp". The tools are: step.'
    assert result.is_finished


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"n": "x"}, 'n: expected an integer, found "x"'),
        ({}, "n: it is required, and missing"),
        ({"n": 1, "m": 2}, "m: there is no such name; the names are: n"),
        ({"n": True}, "n: expected an integer, found true"),
    ],
)
def test_arguments_that_do_not_fit_are_reported_to_the_model(run: Any, arguments: dict[str, Any], problem: str) -> None:
    """The function is not called; the model is told what is wrong, also where the errors of tools are raised."""
    result = run({"start": calls(arguments)}, {"step": step}, on_error="raise").rounds[0].results[0]
    assert (result.error, result.elapsed) == (problem, 0.0)


def test_what_a_tool_raises_is_reported_to_the_model(run: Any) -> None:
    """Its class and its text, in one line and not without end; an exception whose text fails is reported by its class."""

    class Hostile(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def fail(n: int) -> None:
        raise (ValueError("no\nway" + "!" * 1_000_000) if n == 1 else Hostile)

    first, second = run({"start": calls({"n": 1}, {"n": 2})}, {"step": fail}).rounds[0].results
    assert first.content.startswith("Error: ValueError: no way!!!")
    assert len(first.content) < 5_000
    assert second.content == "Error: Hostile"


def test_what_a_tool_raises_is_raised_on_demand(run: Any) -> None:
    """The exception is the cause; the results of the other calls are kept, and going on makes the failed call again."""
    healthy = threading.Event()
    called: list[int] = []

    def fail(n: int) -> str:
        called.append(n)
        if n == 1 and not healthy.is_set():
            raise ValueError("no way")
        return f"did {n}"

    with pytest.raises(ToolRunError, match="the tool 'step' failed: ValueError: no way") as caught:
        run({"start": calls({"n": 1}, {"n": 2}), "did 1\n\ndid 2": "done"}, {"step": fail}, on_error="raise")
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.call.arguments == {"n": 1}
    so_far = caught.value.tool_run
    assert [each.content for each in so_far.rounds[0].results] == ["did 2"]
    healthy.set()
    result = run.client.run_tools(so_far.request, {"step": fail})
    assert result.text == "done"
    assert sorted(called) == [1, 1, 2]  # what had a result was not called again
    assert [each.content for each in result.resumed] == ["did 1"]


def test_a_tool_that_hangs_is_given_up(run: Any) -> None:
    """After its own time limit, in a daemon thread; the result of the other call is not lost."""
    release = threading.Event()
    threads: list[threading.Thread] = []

    def hang(n: int) -> str:
        threads.append(threading.current_thread())
        return "late" if n == 1 and release.wait(50) else f"did {n}"

    answers = {"start": calls({"n": 1}, {"n": 2})}
    first, second = run(answers, {"step": Tool(hang, timeout=0.05)}, tool_timeout=None).rounds[0].results
    assert first.error == "the tool did not return within 0.05 seconds"
    assert second.content == "did 2"
    assert all(thread.daemon for thread in threads)
    with pytest.raises(ToolRunError, match="did not return within 0.05 seconds"):
        run.client.run_tools(ModelRequest("start"), {"step": hang}, tool_timeout=0.05, on_error="raise")
    release.set()


def test_bytes_and_other_results(run: Any) -> None:
    """Bytes are text in UTF-8 or an error; a megabyte is cut, and says so; what JSON cannot hold is an error."""
    assert once(run, lambda n: "größer".encode()).content == "größer"
    assert once(run, lambda n: b"\xff\xfe").error == "it returned 2 bytes that are not text in UTF-8"
    assert once(run, lambda n: object()).error == "it returned an object, which JSON cannot represent"
    assert once(run, lambda n: float("nan")).error.startswith("it returned a float that JSON cannot represent")
    assert once(run, lambda n: None).content == "null"
    cut = once(run, lambda n: "x" * 1_000_000)
    assert cut.truncated
    assert cut.content == "x" * 100_000 + "\n[cut: the first 100000 of 1000000 characters are shown]"
    assert len(once(run, lambda n: "x" * 200_000, max_result=None).content) == 200_000


def test_a_tool_that_ends_the_program_does(run: Any) -> None:
    """sys.exit in a tool is not for the model; the exception that comes out has the rounds."""

    def leave(n: int) -> None:
        sys.exit(n)

    with pytest.raises(SystemExit) as caught:
        run({"start": calls({"n": 3})}, {"step": leave})
    assert caught.value.code == 3
    assert len(caught.value.tool_run.rounds) == 1  # type: ignore[attr-defined]


def test_what_a_tool_does_to_its_arguments_changes_no_message(run: Any) -> None:
    """The call goes back to the model as it came: providers refuse a signed turn that was changed."""
    result = run({"start": calls({"n": {"a": [1]}})}, {"step": lambda n: n.clear()})
    assert result.messages[1].tool_calls[0].arguments == {"n": {"a": [1]}}


def test_ctrl_c_in_a_tool_keeps_the_rounds(run: Any) -> None:
    """It reaches the caller at once; going on calls only what has no result."""
    called: list[int] = []
    done, release = threading.Event(), threading.Event()

    def interrupted(n: int) -> str:
        called.append(n)
        if n == 2 and called.count(2) == 1:
            assert done.wait(50)
            os.kill(os.getpid(), signal.SIGINT)
            release.wait(50)
        return f"did {n}"

    answers = {"start": calls({"n": 1}, {"n": 2}), "did 1\n\ndid 2": "done"}

    def first(n: int) -> str:
        try:
            return interrupted(n)
        finally:
            if n == 1:
                done.set()

    with pytest.raises(KeyboardInterrupt) as caught:
        run(answers, {"step": first}, parallel=2)
    release.set()
    so_far = caught.value.tool_run  # type: ignore[attr-defined]
    assert len(so_far.rounds) == 1
    result = run.client.run_tools(so_far.request, {"step": first})
    assert result.text == "done"
    assert called.count(2) == 2


# Limits --------------------------------------------------------------------------------------------------------------------


def test_max_rounds_keeps_everything_and_can_go_on(run: Any) -> None:
    """The calls of the last answer are not made; going on makes them and then asks."""
    made: list[int] = []

    def counted(n: int) -> str:
        made.append(n)
        return step(n)

    with pytest.raises(ToolRunError, match="still calls tools in answer 2, the last of max_rounds") as caught:
        run(FIVE_ROUNDS, {"step": counted}, max_rounds=2)
    so_far = caught.value.tool_run
    assert (len(so_far.rounds), so_far.is_finished, sorted(made)) == (2, False, [1, 10])
    assert pickle.loads(pickle.dumps(caught.value)).tool_run.messages == so_far.messages  # noqa: S301  (our own)
    result = run.client.run_tools(so_far.request, {"step": counted})
    assert (result.text, len(result.rounds)) == ("finished", 4)
    assert sorted(made) == sorted([*range(1, 6), *range(10, 60, 10)])


def test_max_cost_sends_nothing_that_could_exceed_it(run: Any) -> None:
    """Before each answer the most that it can cost is held against what is left; what was answered is kept, with its cost."""
    priced = "{name: gpt-4o-mini, max_tokens: 100, pricing: {input: 1, output: 10}}"
    with pytest.raises(BudgetExceededError) as caught:
        run(FIVE_ROUNDS, {"step": step}, entry=priced, max_cost=0.005)
    error, so_far = caught.value, caught.value.tool_run
    assert error.budget == "max_cost"
    assert error.spent == pytest.approx(so_far.cost_estimate)
    assert 0 < error.spent < 0.005 < error.spent + error.asked
    assert so_far.rounds
    assert len(run.simulator.requests) == len(so_far.rounds)
    assert run.client.run_tools(so_far.request, {"step": step}, max_cost=1).text == "finished"


def test_max_cost_needs_a_price(run: Any) -> None:
    """Without one nothing is sent."""
    with pytest.raises(InvalidRequestError, match="no price of p/gpt-unheard-of is known"):
        run(FIVE_ROUNDS, {"step": step}, entry="gpt-unheard-of", max_cost=1)
    assert run.simulator.requests == []


def test_an_error_of_a_later_round_keeps_the_earlier_ones(run: Any) -> None:
    """What was answered is paid for."""
    script = {"rules": [{"when": {"nth": 3}, "error": "overloaded"}]}
    with pytest.raises(ProviderUnavailableError) as caught:
        run(FIVE_ROUNDS, {"step": step}, script=script, max_retries=0)
    assert len(caught.value.tool_run.rounds) == 2
    assert run.client.run_tools(caught.value.tool_run.request, {"step": step}).text == "finished"


# The request ---------------------------------------------------------------------------------------------------------------


def test_a_demanded_call_is_demanded_once(run: Any) -> None:
    """With tool_choice required in every round the model could never answer."""
    result = run({}, {"step": step}, ModelRequest("start", tool_choice="required"))
    assert [len(each.response.tool_calls) for each in result.rounds] == [1, 0]
    assert [request.payload["tool_choice"] for request in run.simulator.requests] == ["required", "auto"]


def test_a_conversation_goes_on_with_a_further_question(run: Any) -> None:
    """The result is the whole state: nothing is kept in the client."""
    result = run({"start": calls({"n": 1}), "did 1": "done", "And now?": "nothing"}, {"step": step})
    assert run.client.run_tools(result.next_request("And now?"), {"step": step}).text == "nothing"


def test_a_schema_of_the_request_counts(run: Any) -> None:
    """The function gets JSON's types, checked against the schema, under the names that the schema gives."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "from": {"enum": ["a"]}}, "required": ["n"]}
    tools = [{"type": "function", "function": {"name": "step", "parameters": schema}}]
    got: list[dict[str, Any]] = []
    answers = {"start": calls({"n": 1, "from": "a"}, {"n": 1, "from": "b"})}
    result = run(answers, {"step": lambda **given: got.append(given)}, ModelRequest("start", tools=tools))
    assert got == [{"n": 1, "from": "a"}]
    assert result.rounds[0].results[1].error == 'from: expected one of "a", found "b"'


@pytest.mark.parametrize(
    ("tools", "options", "problem"),
    [
        ({}, {}, "the request has a tool 'step', which has no function"),
        ({"step": step}, {"max_rounds": 0}, "max_rounds=0 is too small"),
        ({"step": step}, {"max_cost": -1}, "max_cost=-1 is out of range"),
        ({"step": step}, {"on_error": "ignore"}, "on_error='ignore' is unknown"),
        ({"step": step}, {"tool_timeout": 0}, "tool_timeout=0 is not a time"),
        ([step, step], {}, "two tools have the name 'step'"),
        ({"step": step, "a b": step}, {}, "'a b' is no name for a tool"),
    ],
)
def test_mistakes_are_refused_before_anything_is_sent(run: Any, tools: Any, options: dict[str, Any], problem: str) -> None:
    """As for every request."""
    with pytest.raises(InvalidRequestError) as caught:
        run({}, tools, ModelRequest("start", tools=[{"name": "step"}]), **options)
    assert caught.value.message == problem
    assert run.simulator.requests == []


def test_the_tools_see_the_context_of_the_caller(run: Any) -> None:
    """Context variables (traces, sessions of a web framework) are those of the calling thread."""
    user = ContextVar("user", default="nobody")
    user.set("ada")
    assert once(run, lambda n: user.get()).content == "ada"


def test_calls_of_one_round_run_at_once_or_in_turn(run: Any) -> None:
    """Up to ``parallel``: with 2 both are there to meet, with 1 the second waits for the first."""
    both = threading.Barrier(2)
    result = run({"start": calls({"n": 1}, {"n": 2})}, {"step": lambda n: both.wait(50) is not None})
    assert [each.content for each in result.rounds[0].results] == ["true", "true"]
    order: list[str] = []

    def noted(n: int) -> None:
        order.extend([f"begin {n}", f"end {n}"])

    run({"start": calls({"n": 1}, {"n": 2})}, {"step": noted}, parallel=1)
    assert order == ["begin 1", "end 1", "begin 2", "end 2"]


def test_the_module_has_a_twin(rehearsal: Simulator, tmp_path: Path) -> None:
    """llm_sync.run_tools uses the shared client of the process, and takes a conversation as any other request."""
    config = tmp_path / "mine.yaml"
    config.write_text("providers: {openai: {models: [gpt-4o-mini]}}")
    request = ModelRequest(messages=[Message("user", "start")], model="openai/gpt-4o-mini", tool_choice="required")
    result = llm_sync.run_tools(request, [step], config=str(config))
    llm_sync.close()
    assert [len(each.results) for each in result.rounds] == [1, 0]
