"""The tool loop: the model is asked, its calls are made, their results are handed back, until it answers."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from llm_sync.client.tools.content import NotText, content_of
from llm_sync.client.tools.misfits import Misfit, shown
from llm_sync.client.tools.threads import Job, Outcome, run_jobs
from llm_sync.client.tools.tool import AS_GIVEN, Tool
from llm_sync.errors import BudgetExceededError, ToolRunError
from llm_sync.events import log_facts, logger
from llm_sync.models import Message, ModelRequest, ModelResponse, ToolCall
from llm_sync.models.tool_run import ToolResult, ToolRound, ToolRun

Ask = Callable[[ModelRequest], ModelResponse]
MostCost = Callable[[ModelRequest], float]

_MAX_ERROR = 4_000  # characters

_log = logger("tools")


class Settings(NamedTuple):
    """How a run goes; ``LLMClient.run_tools`` describes each."""

    max_rounds: int
    max_cost: float | None
    raise_errors: bool
    tool_timeout: float | None
    max_parallel: int
    max_result: int | None


class ToolLoop:
    """One run. It belongs to the thread that runs it. ``ask`` sends a request, ``most_cost`` tells what it can cost in USD."""

    def __init__(
        self, ask: Ask, most_cost: MostCost, request: ModelRequest, tools: Mapping[str, Tool], settings: Settings
    ) -> None:
        self._ask = ask
        self._most_cost = most_cost
        self._tools = tools
        self._settings = settings
        self._messages = list(request.messages if request.messages is not None else request.conversation())
        self._request = dataclasses.replace(
            request, prompt=None, images=(), documents=(), messages=tuple(self._messages), tools=_definitions(request, tools)
        )
        self._rounds: list[ToolRound] = []
        self._resumed: tuple[ToolResult, ...] = ()
        self._results: dict[int, ToolResult] = {}  # of the calls that are being made, by their place
        self._spent = 0.0

    def run(self) -> ToolRun:
        """Ask and call until the model answers. Every exception that ends it has ``tool_run``."""
        try:
            self._run()
        except BaseException as error:
            self._note_results()
            with contextlib.suppress(AttributeError):  # of a class without room for it
                error.tool_run = self._so_far()  # type: ignore[attr-defined]
            raise
        return self._so_far()

    def _run(self) -> None:
        open_calls = self._open_calls()
        if open_calls:
            self._call(open_calls)
        while (response := self._next_answer()).tool_calls:
            if len(self._rounds) == self._settings.max_rounds:
                raise self._too_many_rounds(response)
            self._call(response.tool_calls)

    # Asking ---------------------------------------------------------------------------------------------------------

    def _next_answer(self) -> ModelResponse:
        request = self._next_request()
        most = None if self._settings.max_cost is None else self._check_cost(request)
        response = self._ask(request)
        if most is not None:
            self._spent += most if response.cost_estimate is None else response.cost_estimate
        self._rounds.append(ToolRound(response))
        self._messages.append(response.message)
        return response

    def _next_request(self) -> ModelRequest:
        """What asks for the next answer. A call that was demanded is demanded of the first answer only."""
        if (self._rounds or self._resumed) and _demands_call(self._request.tool_choice):
            self._request = dataclasses.replace(self._request, tool_choice="auto")
        return dataclasses.replace(self._request, messages=tuple(self._messages))

    def _check_cost(self, request: ModelRequest) -> float:
        """The most that a request can cost. Raises BudgetExceededError if that is more than what is left."""
        most, maximum = self._most_cost(request), self._settings.max_cost or 0.0
        if self._spent + most > maximum:
            raise BudgetExceededError(
                f"the maximum of {maximum:g} USD for this conversation has {self._spent:g} USD spent; "
                f"the next request can cost up to {most:g} USD",
                attempts=0,
                budget="max_cost",
                spent=self._spent,
                reserved=0.0,
                asked=most,
                guidance="It was not sent. Raise max_cost, or lower max_tokens; tool_run has everything so far.",
            )
        return most

    def _too_many_rounds(self, response: ModelResponse) -> ToolRunError:
        names = ", ".join(dict.fromkeys(call.name for call in response.tool_calls))
        return ToolRunError(
            f"the model still calls tools in answer {len(self._rounds)}, the last of max_rounds ({names})",
            provider=response.provider,
            model=response.model,
            guidance="Those calls were not made. Go on with run_tools(error.tool_run.request, …), or raise max_rounds.",
        )

    # Calling --------------------------------------------------------------------------------------------------------

    def _open_calls(self) -> tuple[ToolCall, ...]:
        """The calls at the end of the given conversation that have no result yet."""
        answered = set()
        for message in reversed(self._messages):
            if message.role == "assistant":
                return tuple(call for call in message.tool_calls if call.id not in answered)
            if message.role == "user":
                break
            answered.add(message.tool_call_id)
        return ()

    def _call(self, calls: tuple[ToolCall, ...]) -> None:
        """Make all calls; their results go to the conversation in the order of the calls."""
        read = [(place, call, self._job(call)) for place, call in enumerate(calls)]
        self._results = {place: _failed(call, str(job)) for place, call, job in read if isinstance(job, Misfit)}
        jobs = [(place, call, job) for place, call, job in read if not isinstance(job, Misfit)]
        raised: BaseException | None = None
        for outcome in run_jobs([job for _, _, job in jobs], self._settings.max_parallel):
            place, call, job = jobs[outcome.place]
            result = self._result(call, job, outcome)
            log_facts(_log, "tool call", tool=call.name, elapsed=round(outcome.elapsed, 3), failed=result.error is not None)
            error = self._to_raise(result, outcome)
            if error is None:
                self._results[place] = result
            raised = raised or error
        if raised is not None:  # only now, so that the results of the others are kept
            raise raised
        self._note_results()

    def _to_raise(self, result: ToolResult, outcome: Outcome) -> BaseException | None:
        """The exception that the caller gets for what a tool did, if it is not the model that is told."""
        if outcome.error is not None and not isinstance(outcome.error, Exception):
            return outcome.error  # SystemExit and its like are meant for the program
        if result.error is None or not self._settings.raise_errors:
            return None
        error = ToolRunError(
            f"the tool {result.call.name!r} failed: {result.error}",
            call=result.call,
            guidance="tool_run has everything so far; run_tools(error.tool_run.request, …) makes the calls that have no result.",
        )
        error.__cause__ = outcome.error
        return error

    def _note_results(self) -> None:
        """Put the results that there are into the conversation, and into the round whose calls they answer."""
        results = tuple(result for _, result in sorted(self._results.items()))
        self._results.clear()
        self._messages += [Message("tool", result.content, tool_call_id=result.call.id) for result in results]
        if results and self._rounds:
            self._rounds[-1] = ToolRound(self._rounds[-1].response, results)
        elif results:
            self._resumed = results

    def _job(self, call: ToolCall) -> Job | Misfit:
        """The call of the function, or what is wrong with it."""
        tool = self._tools.get(call.name)
        if tool is None:
            names = f"The tools are: {', '.join(self._tools)}." if self._tools else "There are none."
            return Misfit("", f"there is no tool {shown(call.name)}. {names}")
        if call.arguments is None:
            return Misfit("", f"the arguments are not a JSON object: {shown(call.raw_arguments)}")
        try:
            bound = tool.bind(copy.deepcopy(call.arguments))  # the call itself goes back to the model as it came
        except Misfit as misfit:
            return misfit
        return Job(call.name, bound, self._settings.tool_timeout if tool.timeout == AS_GIVEN else tool.timeout)

    def _result(self, call: ToolCall, job: Job, outcome: Outcome) -> ToolResult:
        if outcome.gave_up:
            return _failed(call, f"the tool did not return within {job.timeout:g} seconds", outcome.elapsed)
        if outcome.error is not None:
            return _failed(call, _described(outcome.error), outcome.elapsed)
        try:
            content = content_of(outcome.value, self._settings.max_result)
        except NotText as error:
            return _failed(call, str(error), outcome.elapsed)
        return ToolResult(call, content.text, None, content.truncated, outcome.elapsed)

    def _so_far(self) -> ToolRun:
        return ToolRun(dataclasses.replace(self._request, messages=tuple(self._messages)), tuple(self._rounds), self._resumed)


def _failed(call: ToolCall, reason: str, elapsed: float = 0.0) -> ToolResult:
    content = content_of(f"Error: {reason}", _MAX_ERROR)
    return ToolResult(call, content.text, content.text.removeprefix("Error: "), content.truncated, elapsed)


def _described(error: BaseException) -> str:
    """An exception of a tool in one line, whatever its own text does."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  (the tool's code)
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _definitions(request: ModelRequest, tools: Mapping[str, Tool]) -> tuple[Mapping[str, Any], ...]:
    """The request's own definitions, and those of the tools that it does not define."""
    inner = [definition.get("function", definition) for definition in request.tools]
    own = {each.get("name") for each in inner if isinstance(each, Mapping)}
    return (*request.tools, *(tool.definition for name, tool in tools.items() if name not in own))


def _demands_call(choice: Any) -> bool:
    word = choice.get("type") if isinstance(choice, Mapping) else choice
    return word is not None and word not in ("auto", "none")
