"""The servers that the contract is run against: how each is started, and its documented limits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

if (_folder := str(Path(__file__).parent)) not in sys.path:
    sys.path.append(_folder)  # the tests are no package

from contract import Limit, Server

from llm_sync.local import LocalModel

_NO_FIT = "does not fit the response_schema|before its JSON was complete"
KEY = "sk-simulated-0123456789"


def llama_cpp(local: LocalModel) -> Server:
    """A started local model, with few tokens to an answer: it may share two processor cores with others."""
    return Server(
        "llama.cpp",
        "openai",
        local.base_url,
        local.api_key or "",
        local.model,
        context_words=1000,
        few_tokens=2,
        limits={
            "structured_json_mode": Limit(_NO_FIT, "this model's JSON does not fit the schema: ResponseValidationError"),
            "structured_tool": Limit(
                _NO_FIT, "this model's chat template has no tools: refused as ResponseValidationError or cut"
            ),
            "structured_prompt": Limit(_NO_FIT, "this model writes no JSON: ResponseValidationError"),
            "tool_call": Limit("no call: ", "this model's chat template has no tools: llama.cpp ignores them"),
            "unknown_model": Limit("answered instead of", "answers with the model it has loaded"),
            "image": Limit("image input is not supported", "this model sees no images; refused as InvalidRequestError"),
        },
    )


def portkey(base_url: str, simulator_url: str) -> Server:
    """Portkey's gateway in front of the simulator's OpenAI dialect."""
    return Server(
        "Portkey's gateway",
        "openai",
        base_url,
        KEY,
        "gpt-4o-mini",
        headers={"x-portkey-provider": "openai", "x-portkey-custom-host": simulator_url},
        context_words=130_000,
        limits={"listing": Limit("Something went wrong", "Portkey 1.15 fails on listings, with status 500")},
    )


def litellm(base_url: str, kind: str, model: str, context_words: int) -> Server:
    """A door of LiteLLM's proxy, of the dialect ``kind``, in front of the simulator."""
    limits = {"wrong_key": Limit("No connected db", "without a database it answers 400 “No connected db”: InvalidRequestError")}
    if kind == "anthropic":
        limits["seed"] = Limit("Anthropic has no seed", "the API has no seed: left out, with an adjustment")
    if kind == "gemini":
        limits["listing"] = Limit("the server lists no models", "has no listing in this API")
    names = {"openai": "OpenAI", "anthropic": "Anthropic", "gemini": "Gemini"}
    return Server(f"LiteLLM's proxy ({names[kind]})", kind, base_url, KEY, model, context_words=context_words, limits=limits)


def prism(base_url: str, kind: str, model: str, context_words: int, objections: Callable[[], list[str]]) -> Server:
    """Prism with the published document of a dialect's provider, in front of the simulator."""
    names = {"openai": "OpenAI, Chat Completions", "openai-responses": "OpenAI, Responses", "anthropic": "Anthropic"}
    limits = {}
    if kind != "openai":
        limits["seed"] = Limit("has no seed", "the API has no seed: left out, with an adjustment")
    if kind == "openai-responses":
        limits["stop"] = Limit("stop_sequences", "the API has no stop sequences: left out, with an adjustment")
    return Server(
        f"OpenAPI document ({names[kind]})",
        kind,
        base_url,
        KEY,
        model,
        context_words=context_words,
        limits=limits,
        objections=objections,
    )
