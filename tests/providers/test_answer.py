"""What counts as an answer, row by row, apart from any dialect; and structured output."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models import ModelRequest, ToolCall, Usage
from llm_sync.providers.answer import (
    CONTEXT_LIMIT,
    Answer,
    Blocked,
    Completed,
    Cut,
    Deferred,
    Failed,
    count,
    parsed_object,
    problem_with,
    tool_call,
    total,
)
from llm_sync.providers.json_body import structure_of

CALL = ToolCall("1", "f", {}, "{}")
LENGTH = {"finish_reason": "length"}

ROWS: list[tuple[dict[str, Any], type[Exception] | None, type[Exception] | None]] = [
    # answer, what it is, what it is under strict
    ({"text": "Hi", "finish_reason": "stop"}, None, None),
    ({"text": "Hi", "finish_reason": "other"}, None, None),
    ({"text": "Hi", **LENGTH}, None, errors.TruncatedResponseError),
    ({"text": "", **LENGTH}, errors.TruncatedResponseError, errors.TruncatedResponseError),
    ({"text": " \n", **LENGTH}, errors.TruncatedResponseError, errors.TruncatedResponseError),
    ({"tool_calls": (CALL,)}, None, None),
    ({"text": "Hi", "tool_calls": (CALL,)}, None, None),
    ({"tool_calls": (CALL,), **LENGTH}, errors.TruncatedResponseError, errors.TruncatedResponseError),
    ({"text": "Hi", "tool_calls": (CALL,), **LENGTH}, None, errors.TruncatedResponseError),
    ({"text": "Hi", "outcome": Blocked("no")}, errors.ContentBlockedError, errors.ContentBlockedError),
    ({"outcome": Blocked("no"), **LENGTH}, errors.ContentBlockedError, errors.ContentBlockedError),
    ({"tool_calls": (CALL,), "outcome": Blocked("no")}, errors.ContentBlockedError, errors.ContentBlockedError),
    ({"text": ""}, errors.EmptyResponseError, errors.EmptyResponseError),
    ({"text": "\t\u3000\n"}, errors.EmptyResponseError, errors.EmptyResponseError),
    ({"text": "", "thinking": "long thoughts"}, errors.EmptyResponseError, errors.EmptyResponseError),
    ({"text": "Hi", "outcome": Deferred("queued")}, errors.StreamingNotSupportedError, errors.StreamingNotSupportedError),
    ({"text": "Hi", "outcome": Failed("broke")}, errors.ProviderUnavailableError, errors.ProviderUnavailableError),
    ({"text": "Hi", "tool_calls": (ToolCall("1", "", {}),)}, errors.ResponseValidationError, errors.ResponseValidationError),
]


@pytest.mark.parametrize(("facts", "expected", "strictly"), ROWS)
def test_rows(facts: Any, expected: Any, strictly: Any) -> None:
    """Each row of the table of answers."""
    for strict, kind in ((False, expected), (True, strictly)):
        problem = problem_with(Answer(**facts), strict=strict)
        assert (None if problem is None else type(problem)) is kind
        if isinstance(problem, errors.ProviderError) and facts.get("text", "").strip():
            assert problem.partial_text == facts["text"]


@pytest.mark.parametrize(
    ("word", "calls", "settled"),
    [
        ("stop", (CALL,), "tool_calls"),
        ("other", (CALL,), "tool_calls"),
        ("length", (CALL,), "length"),
        ("tool_calls", (CALL,), "tool_calls"),
        ("tool_calls", (), "stop"),
        ("stop", (), "stop"),
        ("length", (), "length"),
        ("other", (), "other"),
    ],
)
def test_what_tool_calls_make_of_the_finish_reason(word: str, calls: Any, settled: str) -> None:
    """tool_calls stands exactly where there are some, but never hides a cut."""
    assert Answer("Hi", word, tool_calls=calls).finish_reason == settled


def test_a_cut_says_what_cut_and_what_was_spent() -> None:
    """The limit, the tokens that went into reasoning, and the way out."""
    problem = problem_with(Answer(finish_reason="length", usage=Usage(1, 9, None, 9)), strict=False)
    assert "9 tokens went into reasoning" in str(problem)
    assert "reasoning effort" in str(problem)
    window = problem_with(Answer(outcome=Cut(CONTEXT_LIMIT)), strict=False)
    assert "the context window cut the answer before any text" in str(window)
    assert "Shorten the prompt" in str(window)


def test_an_answer_has_one_outcome() -> None:
    """Without one it follows from the finish reason; a cut decides the finish reason; completed and cut cannot be mixed."""
    assert Answer("Hi", "stop").outcome == Completed()
    assert Answer("Hi", "length").outcome == Cut()
    assert Answer("Hi", outcome=Cut(CONTEXT_LIMIT)).finish_reason == "length"
    with pytest.raises(ValueError, match="Cut"):
        Answer("Hi", "length", outcome=Completed())


@pytest.mark.parametrize(
    ("former", "outcome"),
    [
        ({"blocked": "no"}, Blocked("no")),
        ({"blocked": ""}, Blocked("")),
        ({"failed": "broke"}, Failed("broke")),
        ({"deferred": "queued"}, Deferred("queued")),
        ({"blocked": "no", "failed": "broke", "deferred": "queued"}, Deferred("queued")),
        ({"limit": CONTEXT_LIMIT, "finish_reason": "length"}, Cut(CONTEXT_LIMIT)),
        ({"limit": CONTEXT_LIMIT, "finish_reason": "stop"}, Completed()),
    ],
)
def test_the_former_keywords_of_an_answer(former: Any, outcome: Any) -> None:
    """They become the outcome they stood for, with a warning that names the new way at the line that gives them."""
    with pytest.warns(DeprecationWarning, match="give outcome=") as warned:
        assert Answer("Hi", **former).outcome == outcome
    assert warned[0].filename == __file__


def test_former_keywords_that_say_nothing_are_not_warned_of() -> None:
    """A dialect of before passes blocked=None with every answer that is not blocked."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Answer("Hi", "stop", blocked=None, failed=None, deferred=None).outcome == Completed()


# Structured output -------------------------------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["n"],
}


@pytest.fixture
def ask(provider: Any, reply: Any) -> Any:
    """``ask(text, finish, schema)``: what comes of a chat completion under a response_schema."""

    def asking(content: Any, finish: str = "stop", schema: Any = SCHEMA, **config: Any) -> Any:
        body = {"choices": [{"message": {"content": content}, "finish_reason": finish}]}
        return provider("openai", reply(body), **config).generate_response(ModelRequest("x", "m", response_schema=schema))

    return asking


def test_the_parsed_object(ask: Any) -> None:
    """It stands in the metadata, and the text stays as it came."""
    response = ask(' {"n": 3, "tags": []} ')
    assert response.metadata["parsed"] == {"n": 3, "tags": []}
    assert response.text == ' {"n": 3, "tags": []} '
    assert response.to_dict()["metadata"]["parsed"] == {"n": 3, "tags": []}


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"n": 3}\n```',
        '```\n{"n": 3}\n```',
        '```JSON\r\n{"n": 3}```',
        '\ufeff```json\n{"n": 3}\n```\n',
        ' \n```json \n\n{"n": 3}\n\n``` \n',
        '\ufeff{"n": 3}',
        '\n\ufeff {"n": 3}',
    ],
)
def test_a_lone_code_fence_is_taken_off(ask: Any, text: str) -> None:
    """JSON that fits is the answer, whatever mark or fence is around it; an adjustment says that it was."""
    response = ask(text)
    assert (response.text, response.metadata["parsed"]) == ('{"n": 3}', {"n": 3})
    assert [made.parameter for made in response.adjustments] == ["response_schema"]
    assert ask(text, schema=None).text == text


def test_a_fence_within_a_value_stays(ask: Any) -> None:
    """Only what is around the JSON is taken off."""
    inner = '{"n": 3, "tags": ["```json\\n{}\\n```"]}'
    assert ask(f"```json\n{inner}\n```").metadata["parsed"]["tags"] == ["```json\n{}\n```"]


def test_an_object_for_content(ask: Any) -> None:
    """Cloudflare sends the object itself: text is its JSON, and it is held against the schema too."""
    assert ask({"n": 3}).metadata["parsed"] == {"n": 3}
    assert ask({"n": 3}, schema=None).text == '{"n": 3}'
    with pytest.raises(errors.ResponseValidationError):
        ask({"n": 0})


@pytest.mark.parametrize(
    ("text", "path", "expected", "found"),
    [
        ('{"n": "three"}', "$.n", "integer", '"three"'),
        ('{"n": 0}', "$.n", "minimum 1", "0"),
        ("{}", "$", "required", "{}"),
        ('{"n": 1, "tags": ["a", 5]}', "$.tags[1]", "string", "5"),
        ("[]", "$", "object", "[]"),
        ('```json\n{"n": 0}\n```', "$", "JSON of the response_schema", "other text"),
        ('Here:\n```json\n{"n": 1}\n```', "$", "JSON of the response_schema", "other text"),
        ('```json\n{"n": 1}\n```\nThat is it.', "$", "JSON of the response_schema", "other text"),
        ('```json\n{"n": 1}\n```\n```json\n{"n": 2}\n```', "$", "JSON of the response_schema", "other text"),
        ('```json\n{"n": 1}', "$", "JSON of the response_schema", "other text"),
        ('```python\n{"n": 1}\n```', "$", "JSON of the response_schema", "other text"),
        ("```", "$", "JSON of the response_schema", "other text"),
        ("``````", "$", "JSON of the response_schema", "other text"),
        ("I think so", "$", "JSON of the response_schema", "other text"),
        ('{"n": NaN}', "$", "JSON of the response_schema", "other text"),
        ('{"n": 1', "$", "JSON of the response_schema", "other text"),
        ("[" * 100_000, "$", "JSON of the response_schema", "other text"),
    ],
)
def test_mismatches(ask: Any, text: str, path: str, expected: str, found: str) -> None:
    """An answer that does not fit is ResponseValidationError with the paths, and what came is on it."""
    with pytest.raises(errors.ResponseValidationError, match="does not fit the response_schema") as caught:
        ask(text)
    (field,) = caught.value.fields
    assert field.path == path
    assert expected in field.expected
    assert found in field.found
    assert caught.value.response.text == text
    assert caught.value.status == 200


def test_at_most_twenty_mismatches_with_values_cut(ask: Any) -> None:
    """A long bad list is one readable error."""
    items = ", ".join(f'{{"long": "{"x" * 500}"}}' for _ in range(1000))
    with pytest.raises(errors.ResponseValidationError) as caught:
        ask(f'{{"n": 1, "tags": [{items}]}}')
    assert len(caught.value.fields) == 20
    assert all(len(field.found) <= 60 for field in caught.value.fields)


def test_what_is_not_held_against_the_schema(ask: Any) -> None:
    """Tool calls, which stand instead of the object."""
    assert parsed_object(Answer(tool_calls=(CALL,)), ModelRequest("x", response_schema=SCHEMA)) == (None, ())


@pytest.mark.parametrize("text", ['{"n": ', '{"n": 1}', "12"])
def test_a_structured_answer_that_was_cut_is_none(ask: Any, text: str) -> None:
    """Whatever came: 12 may be the beginning of 123. The error carries the text and what it cost."""
    with pytest.raises(errors.TruncatedResponseError, match="cut the answer before its JSON was complete") as caught:
        ask(text, "length")
    assert caught.value.response is not None
    assert (caught.value.response.text, caught.value.partial_text) == (text, text)
    calls = Answer("let me see", finish_reason="length", tool_calls=(CALL,))
    assert problem_with(calls, strict=False, structured=True) is None


def test_worse_news_comes_first(ask: Any) -> None:
    """An empty answer is empty, not a mismatch."""
    with pytest.raises(errors.EmptyResponseError):
        ask("")


@pytest.mark.parametrize(
    "schema", [{"$dynamicRef": "#nowhere"}, {"$ref": "#/$defs/nowhere"}, {"$ref": "https://example.org/x.json"}, {"$ref": "#"}]
)
def test_a_schema_that_cannot_be_applied(ask: Any, schema: Any) -> None:
    """Whatever the schema, nothing but our errors comes out, and nothing is fetched."""
    with pytest.raises(errors.LLMConnectorError):
        ask('{"n": 1}', schema=schema)


def test_without_a_schema_jsonschema_is_not_loaded(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only structured output needs it."""
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    assert ask("plain", schema=None).text == "plain"


# Reading ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (0, 0),
        (5.0, 5),
        (-1, None),
        (5.5, None),
        (True, None),
        ("5", None),
        (None, None),
        ([], None),
        (2**60, None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_counts(value: Any, expected: int | None) -> None:
    """Whole numbers from 0 on; anything else is unknown."""
    assert count({"a": {"b": value}}, "a", "b") == expected
    assert count(value, "a") is None


def test_totals() -> None:
    """Unknown counts are left out; only unknown ones make an unknown total."""
    assert total(1, None, 2) == 3
    assert total(None, None) is None


@pytest.mark.parametrize(
    ("arguments", "parsed", "raw"),
    [
        ('{"a": 1}', {"a": 1}, '{"a": 1}'),
        ({"a": "ü"}, {"a": "ü"}, '{"a": "ü"}'),
        ("", {}, ""),
        (None, {}, ""),
        (" ", {}, " "),
        ("{bad", None, "{bad"),
        ("[1]", None, "[1]"),
        ('"x"', None, '"x"'),
        ('{"a": NaN}', None, '{"a": NaN}'),
        (5, {}, ""),
        ("[" * 100_000, None, "[" * 100_000),
    ],
)
def test_tool_arguments(arguments: Any, parsed: Any, raw: str) -> None:
    """A dict where the text is a JSON object, else None beside the text."""
    call = tool_call("1", "f", arguments)
    assert (call.arguments, call.raw_arguments) == (parsed, raw)


def test_the_structure_of_a_body_shows_keys_and_types_only() -> None:
    """Logs of malformed answers hold no value."""
    shown = str(structure_of({"a": "secret", "b": [{"c": 1.5}], "d": None, "e": {"f": {"g": {"h": {"i": "deep"}}}}}))
    assert "secret" not in shown
    assert "deep" not in shown
    assert "'c': 'float'" in shown
    assert len(str(structure_of({str(n): n for n in range(10_000)}))) < 2000


# What was paid for is kept -----------------------------------------------------------------------------------------------

BROKEN_BODIES = [
    ("openai", {"choices": [{"message": {"content": "paid for", "tool_calls": "none"}, "finish_reason": "stop"}]}),
    ("openai-responses", {"output": [{"type": "message", "content": [{"type": "output_text", "text": "paid for"}], "name": 5}]}),
    ("anthropic", {"content": [{"type": "text", "text": "paid "}, 5, {"type": "text", "text": "for"}]}),
    ("gemini", {"candidates": [{"content": {"parts": [{"text": "hm", "thought": True}, {"text": "paid for"}, 5]}}]}),
]


@pytest.mark.parametrize(("kind", "body"), BROKEN_BODIES)
def test_a_malformed_answer_keeps_its_text(provider: Any, reply: Any, kind: str, body: Any) -> None:
    """What can be read of it is on the error, for it is billed."""
    with pytest.raises(errors.ResponseValidationError) as caught:
        provider(kind, reply(body)).generate_response(ModelRequest("x", "m"))
    assert (caught.value.partial_text, caught.value.response.text) == ("paid for", "paid for")


@pytest.mark.parametrize("kind", ["openai", "openai-responses", "anthropic", "gemini"])
@pytest.mark.parametrize(
    "body",
    [
        {"content": 5, "output": 5, "candidates": 5, "choices": 5},
        {"content": [{"type": "text", "text": 5}], "output": [{"content": [5]}], "candidates": [5], "choices": [5]},
        {"candidates": [{"content": {"parts": {"text": "x"}}}], "choices": [{"message": 5}], "output": {}, "content": {}},
        [],
    ],
)
def test_any_body_has_a_partial_text(provider: Any, kind: str, body: Any) -> None:
    """It is asked of bodies that break the schema, so it takes every shape."""
    assert provider(kind, None).dialect.partial_text(body) == ""


def test_a_misfit_keeps_its_text(ask: Any) -> None:
    """It may be all but right: a program can repair it."""
    with pytest.raises(errors.ResponseValidationError) as caught:
        ask('{"n": "3"}')
    assert caught.value.partial_text == '{"n": "3"}'


def test_the_transcript_of_a_spoken_answer_is_its_text(provider: Any, reply: Any) -> None:
    """gpt-audio sends no content beside the sound; an empty audio object, as some servers send, says nothing."""
    spoken = {"content": None, "audio": {"id": "a", "data": "UklGRg==", "transcript": "Good morning."}}
    for message, text in ((spoken, "Good morning."), ({"content": "Hi", "audio": {"transcript": "", "id": ""}}, "Hi")):
        body = {"choices": [{"message": message, "finish_reason": "stop"}]}
        assert provider("openai", reply(body)).generate_response(ModelRequest("x", "m")).text == text
