"""Conversations with tools: the simulator refuses what providers refuse, and the client's turns hold against it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest

from llm_sync import LLMClient, Message, ModelRequest
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator
from llm_sync.simulator.dialects.signatures import sign

ROUNDS = 5
TOOLS = [{"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}]
ANSWERS = {
    f"round {number}": {
        "thinking": f"I think in round {number}.",
        "tool_calls": [{"name": "add", "arguments": {"a": number * 10 + place}} for place in range(3)],
    }
    for number in range(ROUNDS)
}
# provider -> type, model, further lines of the configuration, provider_specific
PROVIDERS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "openai": ("openai", "gpt-4o-mini", "", {}),
    "deepseek": ("openai", "deepseek-reasoner", "reasoning_field: reasoning_content", {}),
    "kimi": ("openai", "kimi-k2.5", "reasoning_field: reasoning_content", {}),
    "mistral": ("openai", "mistral-large-latest", "", {}),
    "responses": ("openai-responses", "gpt-5-mini", "", {}),
    "anthropic": (
        *("anthropic", "claude-sonnet-4-5", ""),
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    ),
    "gemini": ("gemini", "gemini-3-pro-preview", "", {}),
    "openrouter": ("openrouter", "deepseek/deepseek-r1", "", {}),
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """A simulator whose models call a tool three times at once in each round."""
    with Simulator(answers=ANSWERS) as made:
        yield made


@pytest.fixture(scope="module")
def client(simulator: Simulator) -> Iterator[LLMClient]:
    """A client of every provider in PROVIDERS."""
    text = "providers:\n"
    for name, (kind, model, further, _) in PROVIDERS.items():
        base = simulator.url(kind)
        text += f"  {name}:\n    type: {kind}\n    api_key: good-key-0123456789\n    base_url: {base}\n    models: [{model}]\n"
        text += f"    {further}\n" if further else ""
    with LLMClient(ConfigLoader().load_text(text)) as made:
        yield made


def ask(client: LLMClient, name: str, talk: list[Message]) -> Any:
    """The answer of a provider to the conversation."""
    _, model, _, specific = PROVIDERS[name]
    request = ModelRequest(messages=talk, model=f"{name}/{model}", tools=TOOLS, max_tokens=4000, provider_specific=dict(specific))
    return client.generate_response(request, max_retries=0)


def go_on(talk: list[Message], answer: Any, number: int) -> None:
    """Append the turn of the answer, results of its calls in another order, and the next question."""
    results = [Message("tool", f"result {call.arguments}", tool_call_id=call.id) for call in answer.tool_calls]
    random.Random(number).shuffle(results)  # noqa: S311
    talk += [answer.message, *results]


@pytest.mark.parametrize("name", PROVIDERS)
def test_five_rounds_of_parallel_calls(client: LLMClient, name: str) -> None:
    """Each provider gets its own turns back, with the results shuffled."""
    talk: list[Message] = []
    for number in range(ROUNDS):
        talk.append(Message("user", f"round {number}"))
        answer = ask(client, name, talk)
        assert [call.arguments["a"] for call in answer.tool_calls] == [number * 10 + place for place in range(3)]
        go_on(talk, answer, number)
        ask(client, name, talk)


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(PROVIDERS, 2)))
def test_a_conversation_may_change_its_provider(client: LLMClient, first: str, second: str) -> None:
    """Between the calls and their results, and back."""
    talk = [Message("user", "round 1")]
    answer = ask(client, first, talk)
    go_on(talk, answer, 1)
    ask(client, second, talk)
    talk.append(Message("user", "round 2"))
    go_on(talk, ask(client, second, talk), 2)
    ask(client, first, talk)


def chat_turn(**call: Any) -> list[dict[str, Any]]:
    """A call and its result as chat completions."""
    made = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}, **call}
    result = {"role": "tool", "tool_call_id": made["id"], "content": "2"}
    return [{"role": "user", "content": "go"}, {"role": "assistant", "content": None, "tool_calls": [made]}, result]


def blocks_turn(*before: dict[str, Any], call_id: str = "c1", results: int = 1) -> list[dict[str, Any]]:
    """A call and its result as Anthropic's messages."""
    use = {"type": "tool_use", "id": call_id, "name": "add", "input": {}}
    result = {"type": "tool_result", "tool_use_id": call_id, "content": "2"}
    return [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [*before, use]},
        {"role": "user", "content": [result] * results},
    ]


def parts_turn(*calls: dict[str, Any], results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Calls and their results as Gemini's contents."""
    return [
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": list(calls)},
        {"role": "user", "parts": [{"functionResponse": {**result, "response": {"result": "2"}}} for result in results]},
    ]


CLAUDE, GPT5, GEMINI3 = "claude-sonnet-4-5", "gpt-5-mini", "gemini-3-pro-preview"
MARKED = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
ORPHAN = {"type": "reasoning", "id": "rs_1", "summary": []}
OWN = {"functionCall": {"id": "1", "name": "add", "args": {}}, "thoughtSignature": sign(GEMINI3, 1)}
REFUSED = {
    "an id of 65 characters": ("openai", {"model": "gpt-4o-mini", "messages": chat_turn(id="x" * 65)}, "string too long"),
    "an id that Mistral refuses": ("openai", {"model": "mistral-small", "messages": chat_turn()}, "length of 9"),
    "no reasoning_content": ("openai", {"model": "deepseek-reasoner", "messages": chat_turn()}, "Missing `reasoning_content`"),
    "no reasoning_content of a later DeepSeek": (
        *("openai", {"model": "deepseek-v4-flash", "messages": chat_turn()}, "Missing `reasoning_content`"),
    ),
    "no reasoning_content of Kimi": (
        *("openai", {"model": "kimi-k2-thinking", "messages": chat_turn()}, "reasoning_content is missing"),
    ),
    "a blank in an id": ("anthropic", {"model": CLAUDE, "messages": blocks_turn(call_id="a b")}, "should match pattern"),
    "five points to cache up to": (
        "anthropic",
        {"model": CLAUDE, "messages": [{"role": "user", "content": [MARKED] * 5}]},
        "A maximum of 4 blocks",
    ),
    "an hour's cache after one of minutes": (
        "anthropic",
        {
            "model": CLAUDE,
            "messages": [{"role": "user", "content": [MARKED, {**MARKED, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}],
        },
        "must not come after",
    ),
    "a document that is no PDF": (
        "anthropic",
        {
            "model": CLAUDE,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "document",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": "eA=="},
                        }
                    ],
                }
            ],
        },
        "PDF specified was not valid",
    ),
    "two results": ("anthropic", {"model": CLAUDE, "messages": blocks_turn(results=2)}, "single result"),
    "an id twice": ("anthropic", {"model": CLAUDE, "messages": blocks_turn() + blocks_turn()}, "ids must be unique"),
    "no signature": (
        *(
            "anthropic",
            {"model": CLAUDE, "messages": blocks_turn({"type": "thinking", "thinking": "hm"})},
            "signature: Field required",
        ),
    ),
    "a signature of another model": (
        "anthropic",
        {"model": CLAUDE, "messages": blocks_turn({"type": "thinking", "thinking": "", "signature": sign("claude-opus-4-1", 1)})},
        "Invalid `signature`",
    ),
    "an orphaned reasoning item": (
        *(
            "openai-responses",
            {"model": GPT5, "input": [ORPHAN, {"role": "assistant", "content": "Hi"}]},
            "required following item",
        ),
    ),
    "encrypted content of another model": (
        "openai-responses",
        {"model": GPT5, "input": [{**ORPHAN, "encrypted_content": sign("o3", 1)}]},
        "could not be verified",
    ),
    "a call without a signature": (
        "gemini",
        {"contents": parts_turn({"functionCall": {"name": "add", "args": {}}}, results=[{"name": "add"}])},
        "missing a thought_signature",
    ),
    "a signature of another Gemini": (
        "gemini",
        {"contents": parts_turn({**OWN, "thoughtSignature": sign("gemini-3-flash", 1)}, results=[{"name": "add"}])},
        "Corrupted thought signature",
    ),
    "a response to no call": (
        "gemini",
        {"contents": parts_turn(OWN, results=[{"id": "2", "name": "add"}])},
        "answers no function call",
    ),
    "a response in the place of another": (
        "gemini",
        {
            "contents": parts_turn(
                OWN, {"functionCall": {"name": "look", "args": {}}}, results=[{"name": "look"}, {"name": "add"}]
            )
        },
        "is of look",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_providers_refuse_is_refused(simulator: Simulator, connect: Any, name: str) -> None:
    """Ids of the wrong form, results that do not match, reasoning and signatures that are missing or another model's."""
    kind, payload, words = REFUSED[name]
    given = {"max_tokens": 100, **payload} if kind == "anthropic" else payload
    got = connect(simulator).ask(kind, given, model=GEMINI3 if kind == "gemini" else payload["model"])
    assert got.status == 400
    assert words in got.raw.decode()
