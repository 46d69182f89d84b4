"""What each dialect contributes to the contract: bodies of its own wire. Loaded by path, as the tests are no package.

A sample that a dialect's wire cannot express is left out; the behaviour is then not asked of it.
"""

from __future__ import annotations

import copy
from typing import Any

WEATHER = {"name": "get_weather", "arguments": {"city": "Bern"}}


def chat(content: Any = "Hello", finish: Any = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion."""
    return {
        "id": "chatcmpl-1",
        "model": "answering-model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": 11,
            "completion_tokens": 7,
            "total_tokens": 18,
            "prompt_tokens_details": {"cached_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }


def _chat_call(name: Any = "get_weather") -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": '{"city": "Bern"}'}}


def responses(*output: Any, status: str = "completed", **rest: Any) -> dict[str, Any]:
    """A body of OpenAI's Responses API."""
    return {
        "id": "resp_1",
        "model": "answering-model",
        "status": status,
        "output": list(output),
        "usage": {
            "input_tokens": 11,
            "input_tokens_details": {"cached_tokens": 3},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 18,
        },
        **rest,
    }


def _said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": []}]}


def messages(*content: Any, stop: Any = "end_turn", **rest: Any) -> dict[str, Any]:
    """A body of Anthropic's Messages API."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "answering-model",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 6,
            "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 3,
            "output_tokens": 7,
            "output_tokens_details": {"thinking_tokens": 2},
        },
        **rest,
    }


def _block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def gemini(*parts: Any, finish: Any = "STOP", **candidate: Any) -> dict[str, Any]:
    """A body of generateContent."""
    return {
        "candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": finish, "index": 0, **candidate}],
        "modelVersion": "answering-model",
        "responseId": "resp-1",
        "usageMetadata": {
            "promptTokenCount": 9,
            "toolUsePromptTokenCount": 2,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 2,
            "cachedContentTokenCount": 3,
            "totalTokenCount": 18,
        },
    }


def converse(*content: Any, stop: Any = "end_turn", **rest: Any) -> dict[str, Any]:
    """A body of Bedrock's Converse; only a prompt router names the model."""
    return {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": stop,
        "usage": {
            "inputTokens": 6,
            "outputTokens": 7,
            "totalTokens": 18,
            "cacheReadInputTokens": 3,
            "cacheReadInputTokenCount": 3,
            "cacheWriteInputTokens": 2,
            "cacheWriteInputTokenCount": 2,
        },
        "metrics": {"latencyMs": 250},
        "trace": {"promptRouter": {"invokedModelId": "answering-model"}},
        **rest,
    }


def interaction(*steps: Any, status: Any = "completed", **rest: Any) -> dict[str, Any]:
    """A body of Google's Interactions."""
    return {
        "id": "resp-1",
        "object": "interaction",
        "status": status,
        "model": "answering-model",
        "steps": list(steps),
        "usage": {
            "total_input_tokens": 9,
            "total_tool_use_tokens": 2,
            "total_output_tokens": 5,
            "total_thought_tokens": 2,
            "total_cached_tokens": 3,
            "total_tokens": 18,
        },
        **rest,
    }


def _output(text: Any) -> dict[str, Any]:
    return {"type": "model_output", "content": [{"type": "text", "text": text}]}


def _interaction_call(**changed: Any) -> dict[str, Any]:
    return {"type": "function_call", "id": "call_1", "name": "get_weather", "arguments": {"city": "Bern"}, **changed}


def _guarded(**policies: Any) -> dict[str, Any]:
    return {"guardrail": {"outputAssessments": {"g": [policies]}, "modelOutput": ["unmasked"]}}


def _converse_call(name: Any = "get_weather") -> dict[str, Any]:
    return {"toolUse": {"toolUseId": "tooluse_1", "name": name, "input": {"city": "Bern"}}}


def acme(says: Any = "Hello", ended: Any = "done", **rest: Any) -> dict[str, Any]:
    """A body of the documentation's example."""
    return {"says": says, "ended": ended, "tokens": {"in": 11, "out": 7}, **rest}


def _without(body: dict[str, Any], *path: Any) -> dict[str, Any]:
    body = copy.deepcopy(body)
    inner: Any = body
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return body


def _openai_error(status: int) -> dict[str, Any]:
    return {"error": {"message": f"said with {status}", "type": "whatever", "param": None, "code": None}}


_CHAT: dict[str, Any] = {
    "text": chat(),
    "finish": {
        "stop": chat(finish="stop"),
        "length": chat(finish="length"),
        "other": chat(finish="a_word_of_tomorrow"),
        "null": chat(finish=None),
        "empty": chat(finish=""),
        "absent": _without(chat(), "choices", 0, "finish_reason"),
    },
    "parted": chat([{"type": "text", "text": "Hel"}, {"type": "image_url"}, {"type": "text", "text": "lo"}]),
    "thinking": chat(reasoning_content="hmm"),
    "cut_empty": chat("", "length"),
    "cut_tools": chat(None, "length", tool_calls=[_chat_call()]),
    "empty": [chat(""), chat(None), _without(chat(), "choices", 0, "message", "content"), chat([])],
    "blank": chat(" \n\t "),
    "blocked": [
        chat(None, refusal="I must not"),
        chat("partly", "content_filter"),
        chat([{"type": "refusal", "refusal": "I must not"}]),
        {**chat(), "choices": [{"index": 0, "finish_reason": "content_filter"}]},
        {**chat(), "choices": [{"index": 0, "finish_reason": "content_filter", "message": None}]},
    ],
    "tools": [chat(None, "tool_calls", tool_calls=[_chat_call()]), chat("", "stop", tool_calls=[_chat_call()])],
    "tools_and_text": chat("Wait", "tool_calls", tool_calls=[_chat_call()]),
    "nameless_tool": [chat("", tool_calls=[_chat_call(None)]), chat("Hi", tool_calls=[_chat_call("")])],
    "error_in_200": [
        ({"error": {"code": 429, "message": "too fast"}}, "RateLimitError", None),
        ({"id": "x", "choices": None, "error": {"code": 401, "message": "who"}}, "AuthenticationError", None),
        (
            {
                **chat(),
                "choices": [{"message": {"content": "part"}, "finish_reason": "error", "error": {"code": 502, "message": "m"}}],
            },
            "ProviderUnavailableError",
            "part",
        ),
        ({"error": "Unexpected endpoint or method. (POST /chat/completions)"}, "InvalidRequestError", None),
        ({"choices": [{"message": {"content": 5}, "error": {"code": 502, "message": "m"}}]}, "ProviderUnavailableError", None),
    ],
    "broken_off": chat("part", "error"),
    "wrong": [
        ({**chat(), "choices": [{"message": {"content": 5}}]}, ["choices[0].message.content"]),
        ({**chat(), "choices": [{"message": "hi"}]}, ["choices[0].message"]),
        ({**chat(), "choices": []}, ["choices"]),
        ({**chat(), "choices": None}, ["choices"]),
        ({"object": "chat.completion"}, ["choices"]),
        (chat(finish=["stop"]), ["choices[0].finish_reason"]),
        ({**chat(), "choices": [{**chat()["choices"][0], "finish_details": "x"}]}, ["choices[0].finish_details"]),
        (chat(tool_calls=[{"function": {"name": 5}}]), ["choices[0].message.tool_calls[0].function.name"]),
    ],
    "nulls": {
        **chat(refusal=None, tool_calls=None, function_call=None, reasoning=None),
        "usage": None,
        "error": None,
        "model": None,
    },
    "many_wrong": lambda n: {**chat(), "choices": [{"message": 5} for _ in range(n)]},
    "error": _openai_error,
    "request_id": "x-request-id",
    "usage": (11, 7, 3, 2),
    "listing": {"data": [{"id": "b"}, {"id": "a"}]},
    "wrong_listing": [({"data": [{"id": 5}]}, "data[0].id"), ({}, "data"), ({"data": "x"}, "data")],
    "no_models": [{"data": []}, {"data": None}],
}

SAMPLES: dict[str, dict[str, Any]] = {
    "openai": {**_CHAT, "array_listing": True},
    "openrouter": {
        **_CHAT,
        "array_listing": True,
        "request_id": "x-generation-id",
        "pages": [
            (
                {"data": [{"id": "a"}], "links": {"next": "https://openrouter.ai/api/v1/models?offset=1&limit=1"}},
                {"offset": "1", "limit": "1"},
            ),
            ({"data": [{"id": "b"}], "links": {"next": None}}, None),
        ],
    },
    "openai-responses": {
        "text": responses(_said("Hello")),
        "finish": {
            "stop": responses(_said("Hello")),
            "length": responses(_said("Hello"), status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            "other": responses(_said("Hello"), status="a_word_of_tomorrow"),
            "null": _without(responses(_said("Hello")), "status"),
        },
        "parted": responses({"type": "reasoning", "summary": []}, _said("Hel"), {"type": "web_search_call"}, _said("lo")),
        "thinking": responses({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hmm"}]}, _said("Hello")),
        "cut_empty": responses({"type": "reasoning"}, status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        "cut_tools": responses(
            {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Bern"}'},
            status="incomplete",
            incomplete_details={"reason": "max_output_tokens"},
        ),
        "empty": [responses(), responses(_said("")), responses({"type": "message", "content": None})],
        "blank": responses(_said(" \n ")),
        "blocked": [
            responses({"type": "message", "content": [{"type": "refusal", "refusal": "I must not"}]}),
            responses(_said("partly"), status="incomplete", incomplete_details={"reason": "content_filter"}),
        ],
        "tools": [
            responses({"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Bern"}'})
        ],
        "tools_and_text": responses(
            _said("Wait"), {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Bern"}'}
        ),
        "nameless_tool": [responses({"type": "function_call", "call_id": "c", "arguments": "{}"})],
        "error_in_200": [
            (responses(status="failed", error={"code": "rate_limit_exceeded", "message": "too fast"}), "RateLimitError", None),
            (
                responses(_said("part"), status="failed", error={"code": "server_error", "message": "m"}),
                "ProviderUnavailableError",
                "part",
            ),
        ],
        "broken_off": responses(_said("part"), status="cancelled"),
        "deferred": [responses(status="queued", usage=None), responses(status="in_progress")],
        "wrong": [
            (responses({"type": 5}), ["output[0].type"]),
            (responses({"type": "message", "content": "hi"}), ["output[0].content"]),
            (responses("hi"), ["output[0]"]),
            ({**responses(), "output": {}}, ["output"]),
            (_without(responses(), "output"), ["output"]),
            (responses({"type": "message", "content": [{"type": "output_text", "text": 5}]}), ["output[0].content[0].text"]),
        ],
        "nulls": {**responses(_said("Hello")), "error": None, "incomplete_details": None, "usage": None, "model": None},
        "many_wrong": lambda n: responses(*({"type": 5} for _ in range(n))),
        "error": _openai_error,
        "request_id": "x-request-id",
        "usage": (11, 7, 3, 2),
        "listing": {"data": [{"id": "b"}, {"id": "a"}]},
        "wrong_listing": [({"data": [{"id": 5}]}, "data[0].id"), ({}, "data")],
        "no_models": [{"data": []}],
        "array_listing": True,
    },
    "anthropic": {
        "text": messages(_block("Hello")),
        "finish": {
            "stop": messages(_block("Hello"), stop="stop_sequence"),
            "length": messages(_block("Hello"), stop="model_context_window_exceeded"),
            "other": messages(_block("Hello"), stop="a_word_of_tomorrow"),
            "null": messages(_block("Hello"), stop=None),
            "empty": messages(_block("Hello"), stop=""),
        },
        "parted": messages(
            _block("Hel"), {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, _block("lo")
        ),
        "thinking": messages({"type": "thinking", "thinking": "hmm", "signature": "s"}, _block("Hello")),
        "cut_empty": messages(stop="max_tokens"),
        "cut_tools": messages(
            {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Bern"}}, stop="max_tokens"
        ),
        "empty": [messages(), messages(_block("")), messages({"type": "redacted_thinking", "data": "x"})],
        "blank": messages(_block(" \n ")),
        "blocked": [
            messages(stop="refusal"),
            messages(_block("partly"), stop="refusal", stop_details={"type": "refusal", "category": "bio", "explanation": None}),
        ],
        "tools": [
            messages({"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Bern"}}, stop="tool_use")
        ],
        "tools_and_text": messages(
            _block("Wait"),
            {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Bern"}},
            stop="tool_use",
        ),
        "nameless_tool": [messages({"type": "tool_use", "id": "c", "input": {}}, stop="tool_use")],
        "error_in_200": [
            ({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "ProviderUnavailableError", None),
            ({"type": "error", "error": {"type": "rate_limit_error", "message": "too fast"}}, "RateLimitError", None),
        ],
        "wrong": [
            (messages({"text": "hi"}), ["content[0].type"]),
            (messages("hi"), ["content[0]"]),
            ({**messages(), "content": "hi"}, ["content"]),
            (_without(messages(), "content"), ["content"]),
            (messages({"type": "text", "text": 5}, stop=["x"]), ["content[0].text", "stop_reason"]),
            (messages({"type": "tool_use", "name": "f", "input": "x"}), ["content[0].input"]),
        ],
        "nulls": {
            **messages({"type": "text", "text": "Hello", "citations": None}),
            "usage": None,
            "stop_details": None,
            "model": None,
        },
        "many_wrong": lambda n: messages(*({"type": "text", "text": 5} for _ in range(n))),
        "error": lambda status: {
            "type": "error",
            "error": {"type": "whatever", "message": f"said with {status}"},
            "request_id": None,
        },
        "request_id": "request-id",
        "usage": (11, 7, 3, 2),
        "listing": {"data": [{"type": "model", "id": "b"}, {"type": "model", "id": "a"}], "has_more": False, "last_id": "a"},
        "wrong_listing": [({"data": [{"id": 5}]}, "data[0].id"), ({"data": [], "has_more": "yes"}, "has_more"), ({}, "data")],
        "no_models": [{"data": [], "has_more": False, "last_id": None}],
        "array_listing": True,
        "pages": [
            ({"data": [{"id": "a"}], "has_more": True, "first_id": "a", "last_id": "a"}, {"limit": "1000", "after_id": "a"}),
            ({"data": [{"id": "b"}], "has_more": False, "last_id": "b"}, None),
        ],
    },
    "gemini": {
        "text": gemini({"text": "Hello"}),
        "finish": {
            "stop": gemini({"text": "Hello"}, finish=1),
            "length": gemini({"text": "Hello"}, finish="MAX_TOKENS"),
            "other": gemini({"text": "Hello"}, finish="A_WORD_OF_TOMORROW"),
            "null": gemini({"text": "Hello"}, finish=None),
            "absent": _without(gemini({"text": "Hello"}), "candidates", 0, "finishReason"),
        },
        "parted": gemini({"text": "Hel"}, {"executableCode": {}}, {"text": "lo", "thoughtSignature": "c2ln"}),
        "thinking": gemini({"text": "hmm", "thought": True}, {"text": "Hello"}),
        "cut_empty": {
            **gemini(finish="MAX_TOKENS"),
            "candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}],
        },
        "cut_tools": gemini(
            {"functionCall": {"name": "get_weather", "args": {"city": "Bern"}, "id": "call_1"}}, finish="MAX_TOKENS"
        ),
        "empty": [
            gemini(),
            gemini({"text": ""}),
            gemini({"text": "hmm", "thought": True}),
            gemini(finish="STOP"),
        ],
        "blank": gemini({"text": " \n "}),
        "blocked": [
            {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}},
            {"promptFeedback": {"blockReason": "OTHER"}, "candidates": None},
            gemini({"text": "partly"}, finish="SAFETY"),
            {**gemini(), "candidates": [{"finishReason": "PROHIBITED_CONTENT", "content": {}}]},
            {**gemini(), "candidates": [{"finishReason": "RECITATION"}]},
        ],
        "tools": [gemini({"functionCall": {"name": "get_weather", "args": {"city": "Bern"}, "id": "call_1"}})],
        "tools_and_text": gemini(
            {"text": "Wait"}, {"functionCall": {"name": "get_weather", "args": {"city": "Bern"}, "id": "call_1"}}
        ),
        "nameless_tool": [gemini({"functionCall": {"args": {"city": "Bern"}}})],
        "error_in_200": [
            ({"error": {"code": 429, "message": "too fast", "status": "RESOURCE_EXHAUSTED"}}, "RateLimitError", None),
            ({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}, "ProviderUnavailableError", None),
        ],
        "wrong": [
            (gemini({"text": 5}), ["candidates[0].content.parts[0].text"]),
            (gemini("hi"), ["candidates[0].content.parts[0]"]),
            ({**gemini(), "candidates": []}, ["candidates"]),
            ({"usageMetadata": {}}, ["candidates"]),
            ({"promptFeedback": {"safetyRatings": []}}, ["candidates"]),
            ({"promptFeedback": "no"}, ["candidates", "promptFeedback"]),
            (gemini({"functionCall": {"name": "f", "args": "x"}}), ["candidates[0].content.parts[0].functionCall.args"]),
            (gemini({"text": "x", "thought": "yes"}), ["candidates[0].content.parts[0].thought"]),
            (gemini({"text": "x"}, finish=[]), ["candidates[0].finishReason"]),
        ],
        "nulls": {
            **gemini({"text": "Hello", "thought": None, "functionCall": None}),
            "promptFeedback": None,
            "usageMetadata": None,
        },
        "many_wrong": lambda n: gemini(*({"text": 5} for _ in range(n))),
        "error": lambda status: {"error": {"code": status, "message": f"said with {status}", "status": "WHATEVER"}},
        "request_id": None,
        "usage": (11, 7, 3, 2),
        "listing": {"models": [{"name": "models/b", "supportedGenerationMethods": ["generateContent"]}, {"name": "models/a"}]},
        "wrong_listing": [
            ({"models": [{"name": 5}]}, "models[0].name"),
            ([{"name": "models/a"}], "body"),
            ({"data": []}, "models"),
        ],
        "no_models": [{}, {"models": []}, {"models": [{"name": "models/embed", "supportedGenerationMethods": ["embedContent"]}]}],
        "pages": [
            ({"models": [{"name": "models/a"}], "nextPageToken": "t&1"}, {"pageSize": "1000", "pageToken": "t&1"}),
            ({"models": [{"name": "models/b"}]}, None),
        ],
    },
    "gemini-interactions": {
        "text": interaction(_output("Hello")),
        "finish": {
            "stop": interaction(_output("Hello")),
            "length": interaction(_output("Hello"), status="incomplete"),
            "other": interaction(_output("Hello"), status="a_word_of_tomorrow"),
            "null": interaction(_output("Hello"), status=None),
        },
        "parted": interaction(
            {"type": "model_output", "content": [{"type": "text", "text": "Hel"}, {"type": "image", "mime_type": "image/png"}]},
            {"type": "google_search_call", "id": "s", "arguments": {}, "signature": "c2ln"},
            _output("lo"),
        ),
        "thinking": interaction({"type": "thought", "summary": [{"type": "text", "text": "hmm"}]}, _output("Hello")),
        "cut_empty": interaction({"type": "thought", "signature": "c2ln"}, status="incomplete"),
        "cut_tools": interaction(_interaction_call(), status="incomplete"),
        "empty": [
            interaction(),
            interaction(_output("")),
            interaction({"type": "thought", "signature": "c2ln"}),
            interaction(_output(None)),
        ],
        "blank": interaction(_output(" \n ")),
        "tools": [interaction(_interaction_call(), status="requires_action"), interaction(_interaction_call())],
        "tools_and_text": interaction(_output("Wait"), _interaction_call(), status="requires_action"),
        "nameless_tool": [interaction(_interaction_call(name=None), status="requires_action")],
        "error_in_200": [
            ({"error": {"code": "resource_exhausted", "message": "too fast"}}, "RateLimitError", None),
            (
                interaction(_output("part"), status="failed", errors=[{"code": "unavailable", "message": "busy"}]),
                "ProviderUnavailableError",
                "part",
            ),
            (interaction(status="failed", errors=None), "ProviderUnavailableError", None),
        ],
        "blocked": [
            interaction(status="failed", errors=[{"code": "safety", "message": "I must not"}]),
            interaction(_output("partly"), status="failed", errors=[{"code": "prohibited_content", "message": ""}]),
        ],
        "broken_off": interaction(_output("part"), status="cancelled"),
        "deferred": [interaction(status="queued", usage=None), {"id": "v1_x", "status": "in_progress", "object": "interaction"}],
        "wrong": [
            (interaction({"type": 5}), ["steps[0].type"]),
            (interaction("hi"), ["steps[0]"]),
            ({**interaction(), "steps": "hi"}, ["steps"]),
            (_without(interaction(), "status"), ["status"]),
            (interaction({"type": "model_output", "content": "hi"}), ["steps[0].content"]),
            (interaction(_output(5), status=["x"]), ["status", "steps[0].content[0].text"]),
            (interaction(_interaction_call(arguments="x")), ["steps[0].arguments"]),
        ],
        "nulls": {
            **interaction({**_output("Hello"), "error": None}),
            "usage": None,
            "model": None,
            "errors": None,
            "error": None,
        },
        "many_wrong": lambda n: interaction(*({"type": 5} for _ in range(n))),
        "error": lambda status: {"error": {"code": "whatever", "message": f"said with {status}"}},
        "request_id": None,
        "usage": (11, 7, 3, 2),
        "listing": {"models": [{"name": "models/b"}, {"name": "models/a"}]},
        "wrong_listing": [({"models": [{"name": 5}]}, "models[0].name"), ({"data": []}, "models")],
        "no_models": [{}, {"models": []}],
        "pages": [
            ({"models": [{"name": "models/a"}], "nextPageToken": "t&1"}, {"pageSize": "1000", "pageToken": "t&1"}),
            ({"models": [{"name": "models/b"}]}, None),
        ],
    },
    "bedrock": {
        "text": converse({"text": "Hello"}),
        "finish": {
            "stop": converse({"text": "Hello"}, stop="stop_sequence"),
            "length": converse({"text": "Hello"}, stop="max_tokens"),
            "other": converse({"text": "Hello"}, stop="a_word_of_tomorrow"),
            "null": converse({"text": "Hello"}, stop=None),
            "empty": converse({"text": "Hello"}, stop=""),
            "absent": _without(converse({"text": "Hello"}), "stopReason"),
        },
        "parted": converse({"citationsContent": {"content": [{"text": "Hel"}], "citations": []}}, {"text": "lo"}),
        "thinking": converse({"reasoningContent": {"reasoningText": {"text": "hmm", "signature": "s"}}}, {"text": "Hello"}),
        "cut_empty": converse(stop="max_tokens"),
        "cut_tools": converse(_converse_call(), stop="max_tokens"),
        "empty": [converse(), converse({"text": ""}), converse({"reasoningContent": {"redactedContent": "eA=="}})],
        "blank": converse({"text": " \n "}),
        "blocked": [
            converse(stop="content_filtered"),
            converse({"text": "partly"}, stop="content_filtered"),
            converse({"text": "partly"}, stop="guardrail_intervened"),
            converse(
                {"text": "partly"},
                stop="guardrail_intervened",
                trace=_guarded(
                    topicPolicy={"topics": [{"name": "Money", "type": "DENY", "action": "BLOCKED"}]},
                    sensitiveInformationPolicy={"piiEntities": [{"type": "NAME", "match": "Ann", "action": "ANONYMIZED"}]},
                ),
            ),
        ],
        "tools": [converse(_converse_call(), stop="tool_use"), converse(_converse_call())],
        "tools_and_text": converse({"text": "Wait"}, _converse_call(), stop="tool_use"),
        "nameless_tool": [converse(_converse_call(None), stop="tool_use"), converse({"text": "Hi"}, _converse_call(""))],
        "error_in_200": [({"message": "Too many requests, please wait before trying again."}, "RateLimitError", None)],
        "broken_off": converse({"text": "part"}, stop="malformed_model_output"),
        "wrong": [
            (converse({"text": 5}), ["output.message.content[0].text"]),
            (converse("hi"), ["output.message.content[0]"]),
            ({**converse(), "output": {"message": {"content": "hi"}}}, ["output.message.content"]),
            ({**converse(), "output": {}}, ["output.message"]),
            (_without(converse(), "output"), ["output"]),
            (
                converse({"toolUse": {"name": "f", "input": "x"}}, stop=["x"]),
                ["output.message.content[0].toolUse.input", "stopReason"],
            ),
            (converse({"citationsContent": {"content": "x"}}), ["output.message.content[0].citationsContent.content"]),
        ],
        "nulls": {
            **converse({"text": "Hello", "toolUse": None, "reasoningContent": None, "citationsContent": None}),
            "usage": None,
            "trace": None,
            "metrics": None,
        },
        "many_wrong": lambda n: converse(*({"text": 5} for _ in range(n))),
        "error": lambda status: {"message": f"said with {status}"},
        "request_id": "x-amzn-requestid",
        "usage": (11, 7, 3, None),
        "listing": {"modelSummaries": [{"modelId": "b", "inferenceTypesSupported": ["ON_DEMAND"]}, {"modelId": "a"}]},
        "wrong_listing": [
            ({"modelSummaries": [{"modelId": 5}]}, "modelSummaries[0].modelId"),
            ({"inferenceProfileSummaries": "x"}, "inferenceProfileSummaries"),
            ({"data": []}, "modelSummaries"),
        ],
        "no_models": [
            {"modelSummaries": []},
            {"modelSummaries": None},
            {"modelSummaries": [{"modelId": "embed", "outputModalities": ["EMBEDDING"]}]},
            {"modelSummaries": [{"modelId": "by-profile", "inferenceTypesSupported": ["INFERENCE_PROFILE"]}]},
        ],
        "pages": [
            ({"inferenceProfileSummaries": [{"inferenceProfileId": "a"}]}, {"byOutputModality": "TEXT"}),
            ({"modelSummaries": [{"modelId": "b"}]}, None),
        ],
    },
    "acme": {
        "text": acme(),
        "finish": {"stop": acme(), "length": acme(ended="limit"), "other": acme(ended="tomorrow"), "null": acme(ended=None)},
        "cut_empty": acme("", "limit"),
        "cut_tools": acme("", "limit", calls=[{"name": "get_weather", "with": {"city": "Bern"}}]),
        "empty": [acme(""), acme(None)],
        "blank": acme(" \n "),
        "blocked": [acme(None, refused="no"), acme("partly", refused="no")],
        "tools": [acme(None, calls=[{"name": "get_weather", "with": {"city": "Bern"}}])],
        "tools_and_text": acme("Wait", calls=[{"name": "get_weather", "with": {"city": "Bern"}}]),
        "nameless_tool": [acme(None, calls=[{"name": "", "with": {}}])],
        "error_in_200": [({"error": {"code": 429, "message": "too fast"}}, "RateLimitError", None)],
        "wrong": [
            (acme(5), ["says"]),
            (_without(acme(), "says"), ["says"]),
            (acme(calls=[{"name": "f"}]), ["calls[0].with"]),
            (acme([], 5), ["ended", "says"]),
        ],
        "nulls": acme(refused=None, calls=None, tokens=None),
        "many_wrong": lambda n: acme(calls=[5] * n),
        "error": _openai_error,
        "request_id": "x-request-id",
        "usage": (11, 7, None, None),
        "listing": {"data": [{"id": "b"}, {"id": "a"}]},
        "wrong_listing": [({"data": [{"id": 5}]}, "data[0].id"), ({}, "data")],
        "no_models": [{"data": []}],
        "array_listing": True,
    },
}
