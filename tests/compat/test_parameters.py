"""Every parameter of every original: sent, or told, or refused by name. None is dropped in silence, whoever answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llm_sync.compat import anthropic, litellm, openai
from llm_sync.compat.anthropic import parameters as of_anthropic
from llm_sync.compat.litellm import parameters as of_litellm
from llm_sync.compat.openai import parameters as of_openai
from llm_sync.compat.shim.parameters import ADJUSTED, NOT_GIVEN, REFUSED, SUPPORT_LEVELS, SUPPORTED, Parameter, Table
from llm_sync.errors import LLMConnectorError
from llm_sync.simulator import RequestRecord, Response

KEY = "sk-script-0123456789abcdef"
HELLO = [{"role": "user", "content": "Say hello"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
FLAT = {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}}
CLAUDES = {"name": "add", "input_schema": {"type": "object", "properties": {}}}
# A value that asks for something, where a word will not do.
SAMPLES: dict[str, Any] = {
    **dict.fromkeys(("temperature", "top_p", "frequency_penalty", "presence_penalty"), 0.25),
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "max_output_tokens", "seed", "top_k", "top_logprobs"), 77),
    "stop": ["END"],
    "stop_sequences": ["END"],
    **dict.fromkeys(("stream", "background", "echo", "caching", "store", "parallel_tool_calls", "logprobs"), True),
    **{name: {"k": 1} for name in ("extra_body", "metadata", "logit_bias", "reasoning", "thinking")},
    **{name: {"X-Sample": "1"} for name in ("extra_headers", "headers", "extra_query")},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
    "functions": [TOOL["function"]],
    "n": 2,
    "best_of": 3,
    "verbosity": "low",
    "ssl_verify": False,
    "system": "Be brief",
    "id": "mine",
}
# Carried without a trace in the request's body: the tests that show them.
ELSEWHERE = {
    *("model", "messages", "input", "prompt", "max_tokens"),  # every other test here
    *("timeout", "request_timeout", "num_retries", "max_retries"),  # test_settings: how long, how often
    *("extra_headers", "extra_query", "headers", "user_profile_id", "workspace_id"),  # test_settings: headers and query
    *("api_key", "api_base", "base_url", "api_type", "api_version", "organization", "engine", "deployment_id"),  # test_settings …
    *("custom_llm_provider", "drop_params"),  # test_litellm
}

Ask = Callable[..., Any]


def canned(record: RequestRecord) -> Response | None:
    """A good answer in the shape of whoever is asked; ``a`` fits the schema."""
    text = '{"a": "b"}'
    if "/chat/completions" in record.path:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return Response(200, {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice]})
    if record.path.endswith("/responses"):
        item = {"type": "message", "content": [{"type": "output_text", "text": text}]}
        return Response(200, {"id": "r", "object": "response", "status": "completed", "model": "m", "output": [item]})
    if record.path.endswith("/messages"):
        block = {"type": "text", "text": text}
        usage = {"input_tokens": 1, "output_tokens": 1}
        return Response(200, {"type": "message", "content": [block], "stop_reason": "end_turn", "model": "m", "usage": usage})
    if "generateContent" in record.path:
        candidate = {"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
        return Response(200, {"candidates": [candidate], "usageMetadata": {}})
    return None


def _has(arguments: dict[str, Any], *names: str) -> bool:
    return any(arguments.get(name) for name in names)


def _chat(model: str, **arguments: Any) -> Any:
    tools = {"tools": [TOOL]} if _has(arguments, "tool_choice", "parallel_tool_calls") else {}
    functions = {"functions": [TOOL["function"]]} if _has(arguments, "function_call") else {}
    return openai.OpenAI(api_key=KEY).chat.completions.create(model=model, messages=HELLO, **{**tools, **functions, **arguments})


def _responses(model: str, **arguments: Any) -> Any:
    tools = {"tools": [FLAT]} if _has(arguments, "tool_choice", "parallel_tool_calls") else {}
    return openai.OpenAI(api_key=KEY).responses.create(model=model, input="Say hello", **{**tools, **arguments})


def _completion(model: str, **arguments: Any) -> Any:
    return openai.OpenAI(api_key=KEY).completions.create(model=model, prompt="Say hello", **arguments)


def _old_chat(model: str, **arguments: Any) -> Any:
    tools = {"tools": [TOOL]} if _has(arguments, "tool_choice", "parallel_tool_calls") else {}
    functions = {"functions": [TOOL["function"]]} if _has(arguments, "function_call") else {}
    return openai.ChatCompletion.create(model=model, messages=HELLO, **{**tools, **functions, **arguments})


def _old_completion(model: str, **arguments: Any) -> Any:
    return openai.Completion.create(model=model, prompt="Say hello", **arguments)


def _message(model: str, **arguments: Any) -> Any:
    tools = {"tools": [CLAUDES]} if _has(arguments, "tool_choice") else {}
    given = {"max_tokens": 500, **tools, **arguments}
    return anthropic.Anthropic(api_key=KEY).messages.create(model=model, messages=HELLO, **given)


def _litellm(model: str, **arguments: Any) -> Any:
    tools = {"tools": [TOOL]} if _has(arguments, "tool_choice", "parallel_tool_calls") else {}
    functions = {"functions": [TOOL["function"]]} if _has(arguments, "function_call") else {}
    return litellm.completion(model=model, messages=HELLO, **{**tools, **functions, **arguments})


CALLS: tuple[tuple[Table, Ask], ...] = (
    (of_openai.CHAT, _chat),
    (of_openai.RESPONSES, _responses),
    (of_openai.COMPLETIONS, _completion),
    (of_openai.LEGACY_CHAT, _old_chat),
    (of_openai.LEGACY_COMPLETION, _old_completion),
    (of_anthropic.MESSAGES, _message),
    (of_litellm.COMPLETION, _litellm),
)
MODELS = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "other/gpt-4.1")
TABLES = (*of_openai.TABLES, *of_anthropic.TABLES, *of_litellm.TABLES)


def sample(table: Table, name: str) -> Any:
    """A value of this parameter that asks for something."""
    if name == "tools":
        return {"messages.create": [CLAUDES], "responses.create": [FLAT]}.get(table.call, [TOOL])
    if name in ("tool_choice", "function_call"):
        return {"type": "any"} if table.call == "messages.create" else {"name": "add"} if name == "function_call" else "required"
    if name in ("include", "modalities"):
        return ["sample"]
    return SAMPLES.get(name, "sample")


EACH_CALL = pytest.mark.parametrize(("table", "ask"), CALLS, ids=[table.call for table, _ in CALLS])


@pytest.fixture
def everywhere(upstream: Any, configured: Any) -> Any:
    """A configuration of all dialects, which answer whatever they are asked."""
    upstream.judge = canned
    return upstream


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.call)
def test_every_row_has_a_note_where_one_is_needed(table: Table) -> None:
    """One of three; what is refused or left out says why or the way out, in one line."""
    for row in table.values():
        assert row.support in SUPPORT_LEVELS == (SUPPORTED, ADJUSTED, REFUSED)
        assert "\n" not in row.note
        assert "|" not in row.note
        assert row.note or row.support == SUPPORTED, row.name
        assert not row.note.endswith("."), row.name


@pytest.mark.parametrize("model", MODELS)
@EACH_CALL
def test_no_parameter_is_dropped_in_silence(everywhere: Any, model: str, table: Table, ask: Ask) -> None:
    """Beside the same call without it, the request or the adjustments differ, or the call is refused by its name."""
    plain = ask(model)
    before = everywhere.bodies[-1]
    assert [wrong for row in table.values() if (wrong := _dropped(everywhere, model, table, ask, row, plain, before))] == []


def _dropped(upstream: Any, model: str, table: Table, ask: Ask, row: Parameter, plain: Any, before: Any) -> str | None:
    """How the parameter is lost, if it is."""
    if row.name in ELSEWHERE:
        return None
    sent = len(upstream.bodies)
    try:
        answer = ask(model, **{row.name: sample(table, row.name)})
    except LLMConnectorError as error:
        word = "'k'" if row.name == "extra_body" else row.name.partition("_")[0]
        named = word in str(error) and len(upstream.bodies) == sent and row.support != ADJUSTED
        return None if named else f"{row.name}: {error}"
    told = {each.parameter for each in answer.adjustments if each not in plain.adjustments}
    if row.support == REFUSED:
        return f"{row.name} is not refused"
    if row.support == ADJUSTED:
        return None if row.name in told or "functions" in told else f"{row.name} has no adjustment"
    return None if told or upstream.bodies[sent:] != [before] else f"{row.name} is dropped"


@EACH_CALL
def test_a_neutral_value_changes_nothing(everywhere: Any, table: Table, ask: Ask) -> None:
    """None, NOT_GIVEN, and for some False: the call is as without it."""
    plain = ask(MODELS[0])
    before = everywhere.bodies[-1]
    for row in table.values():
        for value in () if row.name in ("messages", "input", "prompt", "model", "max_tokens") else (NOT_GIVEN, *row.neutral):
            answer = ask(MODELS[0], **{row.name: value})
            assert (row.name, value, everywhere.bodies[-1]) == (row.name, value, before)
            assert answer.adjustments == plain.adjustments


@pytest.mark.parametrize("strict", [True, False])
def test_strict_refuses_what_would_be_left_out(everywhere: Any, monkeypatch: pytest.MonkeyPatch, strict: bool) -> None:
    """$LLM_SYNC_STRICT, as everywhere."""
    monkeypatch.setenv("LLM_SYNC_STRICT", "1" if strict else "0")
    calls: tuple[Callable[[], Any], ...] = (
        lambda: _chat(MODELS[1], frequency_penalty=0.5, max_tokens=9),
        lambda: _chat(MODELS[0], extra_headers={"X": "1"}),
        lambda: _message(MODELS[0], thinking={"type": "enabled"}),
        lambda: _responses(MODELS[0], truncation="auto"),
    )
    for call in calls:
        if strict:
            with pytest.raises((openai.BadRequestError, anthropic.BadRequestError), match="cannot be"):
                call()
        else:
            assert call().adjustments
