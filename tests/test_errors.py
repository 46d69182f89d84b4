"""The tree of exceptions: who is whose kind, what each carries, how it reads, and that it travels."""

from __future__ import annotations

import copy
import pickle
import re
from datetime import datetime, timezone
from typing import Any

import pytest

import llm_sync
from llm_sync import errors
from llm_sync.errors import FieldProblem, LLMConnectorError, Problem
from llm_sync.models import ModelResponse, ToolCall, UnusableResponse, Usage

# class: (its base, what retrying does unless told otherwise)
TREE: dict[str, tuple[str, bool | None]] = {
    "LLMConnectorError": ("Exception", None),
    "ConfigurationError": ("LLMConnectorError", False),
    "StreamingNotSupportedError": ("LLMConnectorError", False),
    "ClientClosedError": ("LLMConnectorError", False),
    "QueueFullError": ("LLMConnectorError", True),
    "BatchError": ("LLMConnectorError", False),
    "BudgetExceededError": ("LLMConnectorError", False),
    "ToolRunError": ("LLMConnectorError", False),
    "CacheMissError": ("LLMConnectorError", False),
    "ProviderError": ("LLMConnectorError", False),
    "AuthenticationError": ("ProviderError", False),
    "PermissionDeniedError": ("ProviderError", False),
    "QuotaExceededError": ("ProviderError", False),
    "RateLimitError": ("ProviderError", True),
    "ModelNotFoundError": ("ProviderError", False),
    "InvalidRequestError": ("ProviderError", False),
    "ContextLengthExceededError": ("InvalidRequestError", False),
    "ProviderUnavailableError": ("ProviderError", True),
    "RequestTimeoutError": ("ProviderError", True),
    "ProviderConnectionError": ("ProviderError", True),
    "UnusableAnswerError": ("ProviderError", False),
    "ContentBlockedError": ("UnusableAnswerError", False),
    "ResponseValidationError": ("UnusableAnswerError", False),
    "EmptyResponseError": ("UnusableAnswerError", False),
    "TruncatedResponseError": ("UnusableAnswerError", False),
}
ANSWER = ModelResponse("text", "m", "p", "length", Usage(1, 2), datetime(2026, 1, 2, tzinfo=timezone.utc), 5.0)
EVERYWHERE: dict[str, Any] = {
    "provider": "openai",
    "model": "gpt",
    "status": 429,
    "request_id": "req_1",
    "retryable": True,
    "retry_after": 1.5,
    "attempts": 3,
    "guidance": "Do this.",
}
OWN: dict[str, dict[str, Any]] = {
    "ConfigurationError": {"problems": (Problem("is wrong", "defaults.model", "a.yaml", 3, "mend it"),)},
    "BatchError": {"results": [ANSWER, errors.RateLimitError("slow", retry_after=2.0)]},
    "BudgetExceededError": {
        "budget": "daily",
        "spent": 4.5,
        "reserved": 0.5,
        "asked": 0.1,
        "opens_at": datetime(2026, 12, 1, tzinfo=timezone.utc),
    },
    "ToolRunError": {"call": ToolCall("call_1", "add", {"a": 1})},
    "CacheMissError": {"nearest": "ab12"},
    "ProviderError": {"partial_text": "half an ans"},
    "RequestTimeoutError": {"phase": "body", "elapsed": (1.0, 2.0)},
    "UnusableAnswerError": {
        "response": UnusableResponse("", "m", "p", "other", Usage(), datetime(2026, 1, 2, tzinfo=timezone.utc), 1.0)
    },
    "ContentBlockedError": {"reason": "safety"},
    "ResponseValidationError": {"fields": (FieldProblem("a.b", "string", "list"),)},
}


def kind(name: str) -> type[LLMConnectorError]:
    """The class of this public name."""
    found = getattr(llm_sync, name)
    assert issubclass(found, LLMConnectorError)
    return found


def attributes_of(name: str) -> dict[str, Any]:
    """Every attribute a class has, its bases' included."""
    found = dict(EVERYWHERE)
    for base in kind(name).__mro__:
        found.update(OWN.get(base.__name__, {}))
    return found


def same(one: Any, other: Any) -> bool:
    """Equal, where exceptions are compared by what they carry."""
    if isinstance(one, LLMConnectorError):
        return type(one) is type(other) and one.args == other.args and same(vars(one), vars(other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def test_the_tree_is_complete() -> None:
    """No class is missing above, none is extra, and all are public."""
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert defined == set(TREE)
    assert set(TREE) <= set(llm_sync.__all__)
    assert set(TREE) <= set(errors.__all__)


def test_the_docstring_draws_every_class() -> None:
    """The tree in the module's docstring is the tree there is: each class stands deeper than its base."""
    depth = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.search(r"\b([A-Z]\w+Error)\b", line)
        if found and re.match(r"[\s│├└─]*[A-Z]\w+Error", line) and found[1] not in depth:
            depth[found[1]] = line.index(found[1])
    assert set(depth) == set(TREE)
    for name, (base, _) in TREE.items():
        assert base == "Exception" or depth[name] > depth[base]


@pytest.mark.parametrize("name", TREE)
def test_each_class_has_one_base_and_no_builtin_one(name: str) -> None:
    """Except clauses for builtins (TimeoutError, ConnectionError) never catch ours by accident."""
    base, retryable = TREE[name]
    assert [parent.__name__ for parent in kind(name).__bases__] == [base]
    assert kind(name).retryable is retryable
    assert kind(name)("x").retryable is retryable


@pytest.mark.parametrize("name", TREE)
def test_unknown_facts_are_none(name: str) -> None:
    """Every error may be asked for every common attribute."""
    error = kind(name)("what happened")
    assert [getattr(error, field) for field in EVERYWHERE if field != "retryable"] == [None] * (len(EVERYWHERE) - 1)
    for base in kind(name).__mro__:
        for field in OWN.get(base.__name__, {}):
            assert getattr(error, field) in (None, ())


@pytest.mark.parametrize("name", TREE)
def test_each_class_pickles_with_all_it_carries(name: str) -> None:
    """Errors cross process borders whole, by every protocol."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        attributes = attributes_of(name)
        error = kind(name)("what happened", **attributes)
        restored = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301  (made here)
        assert type(restored) is kind(name)
        assert str(restored) == str(error)
        assert restored.message == "what happened"
        assert same(vars(restored), attributes)


@pytest.mark.parametrize("name", TREE)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_each_class_copies_with_all_it_carries(name: str, copied: Any) -> None:
    """A copy is of the same class and carries the same."""
    error = kind(name)("what happened", **attributes_of(name))
    assert same(copied(error), error)


def test_attributes_set_later_travel_too() -> None:
    """What is learnt on an error's way up (the provider, the attempts) is part of it."""
    error = errors.RateLimitError("slow down")
    error.provider, error.attempts = "openai", 2
    restored = pickle.loads(pickle.dumps(error))  # noqa: S301  (made here)
    assert (restored.provider, restored.attempts) == ("openai", 2)


@pytest.mark.parametrize("name", TREE)
def test_an_unknown_attribute_is_a_type_error(name: str) -> None:
    """A misspelt attribute is told, and methods of exceptions are not overwritten."""
    for attribute in ("provder", "args", "with_traceback", "add_note", "message_", "__str__", "__annotations__", "_hidden"):
        with pytest.raises(TypeError, match=f"{name} has no attribute '{attribute}'"):
            kind(name)("x", **{attribute: 1})


def test_attributes_belong_to_their_class() -> None:
    """What only one kind of error has, others refuse."""
    with pytest.raises(TypeError, match="RateLimitError has no attribute 'fields'"):
        errors.RateLimitError("x", fields=())
    with pytest.raises(TypeError, match="QueueFullError has no attribute 'partial_text'"):
        errors.QueueFullError("x", partial_text="")


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({}, "it broke"),
        ({"provider": "openai"}, "openai: it broke"),
        ({"model": "gpt"}, "gpt: it broke"),
        ({"provider": "openai", "model": "gpt"}, "openai/gpt: it broke"),
        ({"guidance": "Do this."}, "it broke. Do this."),
        ({"provider": "openai", "model": "gpt", "guidance": "Do this."}, "openai/gpt: it broke. Do this."),
    ],
)
def test_the_text_says_where_what_and_what_to_do(attributes: dict[str, Any], text: str) -> None:
    """Provider and model stand before the message, the guidance behind it; ``message`` is the middle alone."""
    error = LLMConnectorError("it broke", **attributes)
    assert str(error) == text
    assert error.message == "it broke"


@pytest.mark.parametrize(
    ("message", "text"),
    [("Why?", "Why? Do this."), ("Stop!", "Stop! Do this."), ("Done.", "Done. Do this."), ("", "Do this.")],
)
def test_the_text_has_one_full_stop_before_the_guidance(message: str, text: str) -> None:
    """A message that ends a sentence gets no second end."""
    assert str(LLMConnectorError(message, guidance="Do this.")) == text


def test_an_error_without_anything_is_empty() -> None:
    """No message is no trouble."""
    assert (str(LLMConnectorError()), LLMConnectorError().message) == ("", "")


def test_a_configuration_error_shows_every_problem_on_a_line() -> None:
    """``file:line: field: message (hint)``, with what is unknown left out."""
    problems = (
        Problem("is wrong", "defaults.model", "a.yaml", 3, "mend it"),
        Problem("is worse", file="a.yaml"),
        Problem("is unknown", "providers"),
    )
    error = errors.ConfigurationError("a.yaml has 3 problems", problems=problems)
    assert str(error).splitlines() == [
        "a.yaml has 3 problems",
        "  a.yaml:3: defaults.model: is wrong (mend it)",
        "  a.yaml: is worse",
        "  providers: is unknown",
    ]


def test_a_field_problem_reads_as_a_sentence() -> None:
    """The path, what was expected, what was found."""
    shown = str(FieldProblem("choices[0].message.content", "string or null", "list"))
    assert shown == "choices[0].message.content: expected string or null, found list"
