"""A program that asks, as a type checker sees it: every public way to ask, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from datetime import datetime
from typing import Any

import llm_sync
from llm_sync import (
    Adjustment,
    ConfigLoader,
    ConfigValidator,
    LLMClient,
    LLMConfig,
    Message,
    ModelListing,
    ModelRequest,
    ModelResponse,
    ProviderStatus,
    Tool,
    ToolCall,
    ToolRun,
    ToolRunError,
    Usage,
)
from llm_sync.errors import FieldProblem, LLMConnectorError, Problem
from llm_sync.events import Event, Finished, Retrying


def one_question() -> str:
    """The shared client."""
    response: ModelResponse = llm_sync.generate("Say hello", model="openai/gpt-4o-mini", max_tokens=10, timeout=30)
    llm_sync.close(cancel_pending=True)
    return response.text


def read(response: ModelResponse) -> tuple[str, int | None, bool, datetime, float | None]:
    """The fields of an answer."""
    usage: Usage = response.usage
    calls: tuple[ToolCall, ...] = response.tool_calls
    adjustments: tuple[Adjustment, ...] = response.adjustments
    arguments: list[dict[str, Any] | None] = [call.arguments for call in calls]
    changed: list[str] = [f"{each.parameter}: {each.reason}" for each in adjustments]
    as_json: dict[str, Any] = response.to_dict()
    assert usage.input_tokens is None or usage.input_tokens >= 0
    print(arguments, changed, as_json)
    return response.text, response.token_count, response.truncated, response.timestamp, response.cost_estimate


def a_conversation(client: LLMClient) -> ModelResponse:
    """Messages, tools and a schema."""
    turns = [
        Message("system", "Be brief."),
        Message("user", "What is this?", images=["photo.png", b"\x89PNG"]),
        Message("assistant", None, tool_calls=[ToolCall("1", "look_up", {"word": "chair"}, '{"word": "chair"}')]),
        Message("tool", "a chair", tool_call_id="1"),
    ]
    request = ModelRequest(
        messages=turns,
        model="anthropic/claude-haiku-4-5",
        temperature=0.2,
        top_p=0.9,
        stop_sequences=["\n\n"],
        seed=7,
        response_schema={"type": "object"},
        tools=[{"name": "look_up"}],
        tool_choice="auto",
        provider_specific={"top_k": 5},
        id="a",
    )
    return client.generate_response(request, deadline=60, max_retries=1, wait_timeout=5)


def tools_that_run(client: LLMClient) -> float | None:
    """Functions by name or in a list, what they came to, and going on after an error."""

    def look_up(word: str, language: str = "en") -> list[str]:
        return [word, language]

    request = ModelRequest("What is a chair?")
    try:
        run: ToolRun = client.run_tools(
            request, {"look_up": look_up, "other": Tool(look_up, timeout=5)}, max_rounds=3, timeout=30
        )
    except ToolRunError as error:
        call: ToolCall | None = error.call
        print(call)
        run = llm_sync.run_tools(error.tool_run.request, [look_up, Tool(look_up, name="other")], max_cost=0.5, config="mine")
    contents: list[str] = [result.content for each in run.rounds for result in each.results]
    print(contents, run.text, run.usage.input_tokens, [message.role for message in run.messages], run.next_request("More?").model)
    return run.cost_estimate


def many_questions(config: LLMConfig) -> list[str]:
    """Futures, lists and iterators."""
    texts: list[str] = []
    with LLMClient(config, strict=True, publish_status=True) as client:
        future: Future[ModelResponse] = client.submit(ModelRequest("one"), block=False)
        texts.append(future.result(timeout=1).text)
        answers: list[Any] = client.generate_responses_concurrent([ModelRequest("two")], return_exceptions=True)
        texts += [each.text for each in answers if isinstance(each, ModelResponse)]
        lazily: Iterator[Any] = client.map((ModelRequest(word) for word in ("a", "b")), window=2)
        texts += [answer.text for answer in lazily]
        listings: dict[str, ModelListing] = client.list_all_models(timeout=5)
        statuses: dict[str, ProviderStatus] = client.status()
        texts += [name for listing in listings.values() for name in listing.models]
        texts += [f"{name}: {status.queued} queued" for name, status in statuses.items()]
    return texts


def listen(client: LLMClient) -> None:
    """Events."""

    def heard(event: Event) -> None:
        if isinstance(event, Retrying):
            print(event.provider, event.seconds)
        elif isinstance(event, Finished) and event.error is not None:
            print(event.error, event.elapsed)

    client.add_listener(heard)


def explain(error: LLMConnectorError) -> str:
    """Errors and what they carry."""
    facts: tuple[str | None, str | None, int | None, float | None, bool | None, str | None] = (
        error.provider,
        error.model,
        error.status,
        error.retry_after,
        error.retryable,
        error.guidance,
    )
    if isinstance(error, llm_sync.ConfigurationError):
        problems: tuple[Problem, ...] = error.problems
        return "\n".join(f"{problem.file}:{problem.line}: {problem.message}" for problem in problems)
    if isinstance(error, llm_sync.ResponseValidationError):
        fields: tuple[FieldProblem, ...] = error.fields
        return "\n".join(f"{field.path}: {field.expected}, not {field.found}" for field in fields)
    if isinstance(error, llm_sync.TruncatedResponseError) and error.response is not None:
        return error.response.text
    if isinstance(error, llm_sync.RequestTimeoutError):
        return f"{error.phase}: {sum(error.elapsed)} s"
    return f"{error.message} {facts}"


def configured() -> list[Problem]:
    """Configurations."""
    loader = ConfigLoader(config_dir="config/llms")
    config: LLMConfig = loader.load_config("openai", strict_streaming=True)
    validator = ConfigValidator()
    client = LLMClient.from_config("openai", config_dir=None)
    client.close(grace=1.5)
    return validator.validate_config(config) + validator.validate_environment_variables(config)
