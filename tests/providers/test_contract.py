"""One list of behaviours, asked of every dialect and of the one that docs/providers.md shows; samples.py has their bodies."""

from __future__ import annotations

import json
import logging
import runpy
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models import ModelRequest
from llm_sync.providers import ProviderFactory

SAMPLES: dict[str, dict[str, Any]] = runpy.run_path(str(Path(__file__).with_name("samples.py")))["SAMPLES"]
PING = ModelRequest("ping", "some-model", id="mine")


def each(sample: str) -> Any:
    """Parametrize over (dialect, one body of this kind), for every dialect that has such."""
    cases = []
    for kind, samples in SAMPLES.items():
        found = samples.get(sample)
        if isinstance(found, dict) and sample == "finish":
            cases += [pytest.param(kind, item, id=f"{kind}-{name}") for name, item in found.items()]
        elif isinstance(found, list):
            cases += [pytest.param(kind, item, id=f"{kind}-{number}") for number, item in enumerate(found)]
        elif found is not None:
            cases.append(pytest.param(kind, found, id=kind))
    return pytest.mark.parametrize(("kind", "sample"), cases)


dialects = pytest.mark.parametrize("kind", SAMPLES)


@pytest.fixture
def ask(provider: Callable[..., Any], reply: Callable[..., Any]) -> Callable[..., Any]:
    """``ask(kind, body, status, request=, strict=, **headers)``: what comes of one reply."""

    def asking(
        kind: str, body: Any, status: int = 200, *, request: ModelRequest = PING, strict: bool = False, **headers: str
    ) -> Any:
        return provider(kind, reply(body, status, **headers), strict=strict).generate_response(request)

    return asking


def test_every_dialect_is_under_contract() -> None:
    """A dialect without samples is a dialect without tests."""
    assert sorted(SAMPLES) == ProviderFactory.types()


def test_the_example_in_the_documentation_is_short() -> None:
    """A dialect is written in under 40 lines."""
    text = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")
    example = text.partition("```python\n")[2].partition("\n```")[0]
    assert "class AcmeDialect(Dialect)" in example
    assert len(example.splitlines()) < 40


# Answers ---------------------------------------------------------------------------------------------------------------


@dialects
def test_text_and_facts(ask: Any, kind: str) -> None:
    """A good answer gives its text and every fact about it."""
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    response = ask(kind, SAMPLES[kind]["text"], x_unused="1")
    assert response.text == "Hello"
    assert response.finish_reason == "stop"
    assert response.provider == "p"
    assert response.model == ("some-model" if kind == "acme" else "answering-model")
    assert response.id == "mine"
    assert response.attempts == 1
    assert response.latency_ms == 250
    assert before < response.timestamp <= datetime.now(timezone.utc)
    assert response.tool_calls == ()
    assert not response.truncated
    assert json.loads(json.dumps(response.to_dict()))["text"] == "Hello"


@dialects
def test_usage_means_the_same_everywhere(ask: Any, kind: str) -> None:
    """Input includes cached tokens and output includes reasoning, whatever the provider's arithmetic."""
    usage = ask(kind, SAMPLES[kind]["text"]).usage
    assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens) == SAMPLES[kind]["usage"]


@each("finish")
def test_finish_words(ask: Any, kind: str, sample: Any, request: pytest.FixtureRequest) -> None:
    """Known words are mapped; unknown, null, empty and absent ones are never fatal and never taken for a cut."""
    word = request.node.callspec.id.rpartition("-")[2]
    response = ask(kind, sample)
    assert response.text == "Hello"
    assert response.finish_reason == (word if word in ("stop", "length") else "other")
    assert response.truncated == (word == "length")


@each("finish")
def test_the_raw_finish_word_is_kept(ask: Any, kind: str, sample: Any) -> None:
    """metadata has the provider's own word exactly where it sent one."""
    raw = ask(kind, sample).metadata.get("finish_reason_raw")
    assert raw is None or str(raw) in json.dumps(sample)


@each("parted")
def test_text_is_joined_from_the_right_parts(ask: Any, kind: str, sample: Any) -> None:
    """Text in several parts is one text, without anything in between."""
    assert ask(kind, sample).text == "Hello"


@each("thinking")
def test_thinking_is_kept_out_of_the_text(ask: Any, kind: str, sample: Any) -> None:
    """What the model thinks is no answer; it stands in the metadata."""
    response = ask(kind, sample)
    assert response.text == "Hello"
    assert response.metadata["thinking"] == "hmm"


@dialects
def test_metadata_keys(ask: Any, kind: str) -> None:
    """metadata holds only the documented keys, and the body as it came."""
    metadata = ask(kind, SAMPLES[kind]["text"]).metadata
    assert set(metadata) <= {"finish_reason_raw", "thinking", "parsed", "raw"}
    assert metadata["raw"] == SAMPLES[kind]["text"]


@dialects
def test_the_body_stays_out_of_records(ask: Any, kind: str) -> None:
    """to_dict has the metadata without the raw body."""
    assert "raw" not in ask(kind, SAMPLES[kind]["text"]).to_dict()["metadata"]


@dialects
def test_a_cut_answer_is_given_with_a_warning(ask: Any, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Text that a limit cut is an answer, marked as truncated, with one warning."""
    with caplog.at_level(logging.WARNING, "llm_sync"):
        assert ask(kind, SAMPLES[kind]["finish"]["length"]).truncated
    assert len([record for record in caplog.records if "cut" in record.getMessage()]) == 1


@dialects
def test_a_cut_answer_is_refused_under_strict(ask: Any, kind: str) -> None:
    """Strict takes no truncated answer; what came is on the error."""
    with pytest.raises(errors.TruncatedResponseError) as caught:
        ask(kind, SAMPLES[kind]["finish"]["length"], strict=True)
    assert caught.value.response.text == "Hello"
    assert caught.value.partial_text == "Hello"
    assert caught.value.response.usage.output_tokens == 7


@each("cut_empty")
def test_a_cut_before_any_text(ask: Any, kind: str, sample: Any) -> None:
    """No text because of the limit is an error that says so, and says what was spent on reasoning."""
    with pytest.raises(errors.TruncatedResponseError, match="limit cut the answer before any text") as caught:
        ask(kind, sample)
    assert "max_tokens" in caught.value.guidance
    assert caught.value.retryable is False
    if SAMPLES[kind]["usage"][3]:
        assert "2 tokens went into reasoning" in caught.value.message


@each("cut_tools")
def test_cut_with_tool_calls(ask: Any, kind: str, sample: Any) -> None:
    """A tool call that the limit may have cut, without text, is no answer: half of its arguments may well parse."""
    with pytest.raises(errors.TruncatedResponseError) as caught:
        ask(kind, sample)
    assert (caught.value.response.finish_reason, len(caught.value.response.tool_calls)) == ("length", 1)


@each("empty")
def test_nothing_is_no_answer(ask: Any, kind: str, sample: Any) -> None:
    """No text and no tool call is EmptyResponseError, with what was billed."""
    with pytest.raises(errors.EmptyResponseError) as caught:
        ask(kind, sample)
    assert caught.value.response.text == ""
    assert caught.value.response.usage.input_tokens == 11


@each("blank")
def test_white_space_is_no_answer(ask: Any, kind: str, sample: Any) -> None:
    """White space alone is EmptyResponseError."""
    with pytest.raises(errors.EmptyResponseError):
        ask(kind, sample)


@each("blocked")
def test_a_block_in_any_form(ask: Any, kind: str, sample: Any) -> None:
    """Refusals and blocks are ContentBlockedError with the reason and whatever text had come."""
    with pytest.raises(errors.ContentBlockedError) as caught:
        ask(kind, sample)
    assert caught.value.reason
    assert caught.value.partial_text == ("partly" if "partly" in json.dumps(sample) else None)
    assert caught.value.response is not None
    assert caught.value.retryable is False


@each("tools")
def test_tool_calls(ask: Any, kind: str, sample: Any) -> None:
    """A tool call has a name, arguments as a dict and as text, and an id; no text is needed beside it."""
    response = ask(kind, sample)
    (call,) = response.tool_calls
    assert (call.name, call.arguments, json.loads(call.raw_arguments)) == ("get_weather", {"city": "Bern"}, {"city": "Bern"})
    assert call.id
    assert response.text == ""
    assert response.finish_reason == "tool_calls"


@each("tools_and_text")
def test_tool_calls_beside_text(ask: Any, kind: str, sample: Any) -> None:
    """Neither text nor tool calls are lost when both come."""
    response = ask(kind, sample)
    assert (response.text, response.tool_calls[0].name, response.finish_reason) == ("Wait", "get_weather", "tool_calls")


@each("nameless_tool")
def test_a_tool_call_without_a_name_is_no_answer(ask: Any, kind: str, sample: Any) -> None:
    """A call of nothing is malformed, beside text too: it is neither dropped nor handed on."""
    with pytest.raises(errors.ResponseValidationError, match=r"tool_calls\[0\]\.name") as caught:
        ask(kind, sample)
    assert caught.value.fields[0].path == "tool_calls[0].name"


# Errors ----------------------------------------------------------------------------------------------------------------


@each("error_in_200")
def test_an_error_inside_a_200(ask: Any, kind: str, sample: Any) -> None:
    """It is the error it stands for, as if it were the status; text that had come is kept on it."""
    body, name, partial = sample
    with pytest.raises(errors.ProviderError) as caught:
        ask(kind, body)
    assert type(caught.value).__name__ == name
    assert caught.value.partial_text == partial


@each("broken_off")
def test_an_answer_that_broke_off(ask: Any, kind: str, sample: Any) -> None:
    """A finish word that means failure is no answer, text or not."""
    with pytest.raises(errors.ProviderUnavailableError) as caught:
        ask(kind, sample)
    assert caught.value.partial_text == "part"
    assert caught.value.retryable is True


STATUSES = [
    (400, errors.InvalidRequestError, False),
    (401, errors.AuthenticationError, False),
    (402, errors.QuotaExceededError, False),
    (403, errors.PermissionDeniedError, False),
    (404, errors.ModelNotFoundError, False),
    (405, errors.InvalidRequestError, False),
    (408, errors.RequestTimeoutError, True),
    (409, errors.ProviderUnavailableError, True),
    (413, errors.InvalidRequestError, False),
    (422, errors.InvalidRequestError, False),
    (425, errors.ProviderUnavailableError, True),
    (429, errors.RateLimitError, True),
    (498, errors.ProviderUnavailableError, True),
    (500, errors.ProviderUnavailableError, True),
    (501, errors.ProviderUnavailableError, False),
    (502, errors.ProviderUnavailableError, True),
    (503, errors.ProviderUnavailableError, True),
    (504, errors.RequestTimeoutError, True),
    (520, errors.ProviderUnavailableError, True),
    (524, errors.RequestTimeoutError, True),
    (529, errors.ProviderUnavailableError, True),
    (599, errors.ProviderUnavailableError, False),
]


@dialects
def test_statuses(ask: Any, kind: str) -> None:
    """Every status class is the right error, retryable or not, with message, status, provider, model and guidance."""
    for status, expected, retryable in STATUSES:
        with pytest.raises(errors.LLMConnectorError) as caught:
            ask(kind, SAMPLES[kind]["error"](status), status)
        error = caught.value
        assert (type(error), error.retryable) == (expected, retryable), status
        assert error.message == f"said with {status}"
        assert (error.status, error.provider, error.model) == (status, "p", "some-model")
        assert error.guidance
        assert str(error).startswith(f"p/some-model: said with {status}. ")


HTML = "<html><head><title>502 Bad Gateway</title><style>h1 {color: red}</style></head><body><h1>Bad &amp; sad</h1></body></html>"


@dialects
def test_html_with_an_error_status(ask: Any, kind: str) -> None:
    """A gateway's page is told by its status; its text without tags is the message."""
    with pytest.raises(errors.ProviderUnavailableError, match="^p/some-model: 502 Bad Gateway Bad & sad"):
        ask(kind, HTML, 502, content_type="text/html")


@dialects
def test_html_with_status_200(ask: Any, kind: str) -> None:
    """A page is no answer."""
    with pytest.raises(errors.ResponseValidationError, match="an HTML page") as caught:
        ask(kind, HTML, content_type="text/html")
    assert caught.value.retryable is False
    assert "base_url" in caught.value.guidance


@pytest.mark.parametrize("body", [b"", b" \n\n "])
@dialects
def test_an_empty_body(ask: Any, kind: str, body: bytes) -> None:
    """A 200 without a body is empty and worth another attempt; with an error status, the status counts."""
    with pytest.raises(errors.EmptyResponseError) as caught:
        ask(kind, body)
    assert caught.value.retryable is True
    with pytest.raises(errors.ProviderUnavailableError, match="an empty body"):
        ask(kind, body, 503)


@pytest.mark.parametrize("keep", [1, 30, -1])
@dialects
def test_truncated_json(ask: Any, kind: str, keep: int) -> None:
    """A body that breaks off is like a 502: worth another attempt, never an answer."""
    body = json.dumps(SAMPLES[kind]["text"]).encode()[:keep]
    with pytest.raises(errors.ResponseValidationError, match="breaks off") as caught:
        ask(kind, body)
    assert caught.value.retryable is True


@pytest.mark.parametrize("body", [[], [1], "text", 5, True, None])
@dialects
def test_json_that_is_no_object(ask: Any, kind: str, body: Any) -> None:
    """Arrays and scalars are no answers."""
    with pytest.raises(errors.ResponseValidationError) as caught:
        ask(kind, json.dumps(body))
    assert caught.value.fields[0].path == "body"


@dialects
def test_an_array_around_an_error(ask: Any, kind: str) -> None:
    """Some Google doors wrap errors in an array."""
    with pytest.raises(errors.RateLimitError, match="said with 429"):
        ask(kind, [SAMPLES[kind]["error"](429)], 429)


@dialects
def test_leading_white_space(ask: Any, kind: str) -> None:
    """OpenRouter and DeepSeek send blanks while they wait."""
    assert ask(kind, b"\n         \n" * 20 + json.dumps(SAMPLES[kind]["text"]).encode()).text == "Hello"


@dialects
def test_a_byte_order_mark_and_a_strange_content_type(ask: Any, kind: str) -> None:
    """JSON is recognized by itself."""
    body = b"\xef\xbb\xbf" + json.dumps(SAMPLES[kind]["text"]).encode()
    assert ask(kind, body, content_type="application/octet-stream").text == "Hello"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'data: {"choices": []}\n\ndata: [DONE]\n\n', "text/event-stream; charset=utf-8"),
        (b": comment\n\nevent: message_start\ndata: {}\n\n", "application/json"),
        (b'{"response": "a"}\n{"response": "b"}\n', "application/x-ndjson"),
        (b'{"response": "a"}\n{"response": "b"}\n', "application/json"),
    ],
)
@dialects
def test_a_stream_is_refused(ask: Any, kind: str, body: bytes, content_type: str) -> None:
    """An event stream or NDJSON is named as such, with the way out; not a JSON error, and no retry."""
    with pytest.raises(errors.StreamingNotSupportedError, match="event stream") as caught:
        ask(kind, body, content_type=content_type)
    assert caught.value.guidance
    assert caught.value.retryable is False


@dialects
def test_a_deferred_answer_is_refused(ask: Any, kind: str) -> None:
    """202 is no answer, even with a body that looks like one."""
    with pytest.raises(errors.StreamingNotSupportedError, match="deferred"):
        ask(kind, SAMPLES[kind]["text"], 202)


@each("deferred")
def test_a_queued_job_without_an_id_is_refused(ask: Any, kind: str, sample: Any) -> None:
    """A job that is not done is no answer, and cannot be fetched."""
    with pytest.raises(errors.StreamingNotSupportedError, match="deferred"):
        ask(kind, {**sample, "id": None})


@dialects
def test_a_model_that_only_streams(ask: Any, kind: str) -> None:
    """A 400 that wants streaming is named as what it is."""
    with pytest.raises(errors.StreamingNotSupportedError, match="only supports stream") as caught:
        ask(kind, {"error": {"message": "This model only supports stream mode."}}, 400)
    assert caught.value.status == 400


@each("wrong")
def test_a_body_of_another_shape(ask: Any, kind: str, sample: Any) -> None:
    """Every wrong field is listed by its path, with what was expected and found; usage is kept."""
    body, paths = sample
    with pytest.raises(errors.ResponseValidationError) as caught:
        ask(kind, body, x_request_id="req-1", request_id="req-1", x_generation_id="req-1")
    error = caught.value
    assert sorted(field.path for field in error.fields) == paths
    for field in error.fields:
        assert f"{field.path}: expected {field.expected}, found {field.found}" in str(error)
    assert error.request_id == error.response.request_id
    assert error.response.metadata["raw"] == body
    assert error.response.attempts == 1
    assert error.retryable is False


@dialects
def test_unknown_keys_are_tolerated(ask: Any, kind: str) -> None:
    """Providers add fields every month."""

    def grown(value: Any) -> Any:
        if isinstance(value, dict):
            return {**{name: grown(item) for name, item in value.items()}, "of_tomorrow": {"x": [1]}}
        return [grown(item) for item in value] if isinstance(value, list) else value

    response = ask(kind, grown(SAMPLES[kind]["text"]))
    assert response.text == "Hello"
    assert response.usage.input_tokens == 11


@each("nulls")
def test_null_is_like_absent(ask: Any, kind: str, sample: Any) -> None:
    """null for an optional key changes nothing; unknown counts are None, never 0."""
    response = ask(kind, sample)
    assert response.text == "Hello"
    assert response.usage.input_tokens is None
    assert response.token_count is None


@dialects
def test_at_most_twenty_fields_of_a_long_list(ask: Any, kind: str) -> None:
    """A list of 10,000 bad items is one error with 20 fields."""
    with pytest.raises(errors.ResponseValidationError) as caught:
        ask(kind, SAMPLES[kind]["many_wrong"](10_000))
    assert len(caught.value.fields) == 20
    assert len(str(caught.value)) < 4000


@dialects
def test_long_bad_lists_take_linear_time(provider: Any, reply: Any, kind: str) -> None:
    """Twice the list is about twice the work, counted in calls, and no more."""

    def work(items: int) -> int:
        made = provider(kind, reply(SAMPLES[kind]["many_wrong"](items)))
        calls = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal calls
            calls += 1

        sys.setprofile(count)
        try:
            with pytest.raises(errors.ResponseValidationError):
                made.generate_response(PING)
        finally:
            sys.setprofile(None)
        return calls

    work(100)
    assert work(10_000) < 2.3 * work(5_000)


@dialects
def test_request_id(ask: Any, kind: str) -> None:
    """The provider's id of the request comes from the right place, on answers and on errors."""
    header = SAMPLES[kind]["request_id"]
    headers = {header.replace("-", "_"): "req-1"} if header else {}
    assert ask(kind, SAMPLES[kind]["text"], **headers).request_id == ("req-1" if header else "resp-1")
    for status, body in ((400, SAMPLES[kind]["error"](400)), (200, SAMPLES[kind]["blank"])):
        with pytest.raises(errors.ProviderError) as caught:
            ask(kind, body, status, **headers)
        assert caught.value.request_id == ("req-1" if header else "resp-1" if status == 200 else None)


# What is sent ----------------------------------------------------------------------------------------------------------


@dialects
def test_one_post_with_the_key_in_a_header(provider: Any, reply: Any, kind: str, key: str) -> None:
    """A request is one POST of JSON; the key stands in one header and never in the URL."""
    made = provider(kind, reply(SAMPLES[kind]["text"]))
    made.generate_response(PING)
    (sent,) = made.web.sent
    assert sent.verb == "POST"
    assert sent.headers["Content-Type"] == sent.headers["Accept"] == "application/json"
    assert [name for name, value in sent.headers.items() if key in value] == [type(made).key_header]
    assert key not in sent.url + json.dumps(sent.body)


@pytest.mark.parametrize("switch", [{"stream": True}, {"stream": "true"}, {"stream_options": {}}, {"background": True}])
@dialects
def test_streaming_is_refused_before_anything_is_sent(provider: Any, reply: Any, kind: str, switch: Any) -> None:
    """The last guard before the wire finds any switch in the payload."""
    made = provider(kind, reply(SAMPLES[kind]["text"]))
    with pytest.raises(errors.StreamingNotSupportedError):
        made.generate_response(ModelRequest("ping", "some-model", provider_specific=switch))
    assert made.web.sent == []


@pytest.mark.parametrize("name", ["model", "messages", "prompt", "input", "contents"])
@dialects
def test_fields_of_the_request_are_not_replaced(provider: Any, reply: Any, kind: str, name: str) -> None:
    """provider_specific may not hold what the request itself carries."""
    made = provider(kind, reply(SAMPLES[kind]["text"]))
    with pytest.raises(errors.InvalidRequestError, match=name):
        made.generate_response(ModelRequest("ping", "some-model", provider_specific={name: "x"}))
    assert made.web.sent == []


@dialects
def test_provider_specific_comes_last(provider: Any, reply: Any, kind: str) -> None:
    """What a caller adds by hand is in the payload."""
    made = provider(kind, reply(SAMPLES[kind]["text"]))
    made.generate_response(ModelRequest("ping", "some-model", provider_specific={"extra": {"deep": [1]}}))
    assert made.web.sent[0].body["extra"] == {"deep": [1]}


EVERYTHING = {
    "temperature": 1.5,
    "top_p": 0.5,
    "max_tokens": 5,
    "stop_sequences": ["a", "b", "c", "d", "e", "f"],
    "seed": 2**40,
    "tools": [{"name": "f", "parameters": {"type": "object"}, "strict": True}],
    "tool_choice": "f",
}


@dialects
def test_what_is_not_sent_as_asked_is_told(provider: Any, reply: Any, kind: str) -> None:
    """Each setting stands in the payload as asked, or in the adjustments on the answer; none is lost in silence."""
    made = provider(kind, reply(SAMPLES[kind]["text"]))
    response = made.generate_response(ModelRequest("ping", "o3-mini", **EVERYTHING))
    told = {adjustment.parameter.partition(".")[0] for adjustment in response.adjustments}
    sent = json.dumps(made.web.sent[0].body)
    for name, value in EVERYTHING.items():
        if name not in told:
            assert (json.dumps(value)[1:-1] if name != "tools" else '"strict": true') in sent.replace("True", "true"), name


@dialects
def test_strict_refuses_what_would_be_dropped(provider: Any, reply: Any, kind: str) -> None:
    """Under strict nothing is dropped or bounded: the request is refused before it is sent."""
    made = provider(kind, reply(SAMPLES[kind]["text"]), strict=True)
    with pytest.raises(errors.InvalidRequestError, match="cannot be sent"):
        made.generate_response(ModelRequest("ping", "o3-mini", **EVERYTHING))
    assert made.web.sent == []


@dialects
def test_earlier_adjustments_come_back(provider: Any, reply: Any, kind: str) -> None:
    """What was changed before the provider saw the request is on the answer too."""
    from llm_sync.models import Adjustment

    earlier = Adjustment("stream", True, None, "never")
    response = provider(kind, reply(SAMPLES[kind]["text"])).generate_response(PING, adjustments=[earlier])
    assert response.adjustments[0] == earlier


@dialects
def test_what_json_cannot_hold_is_refused(provider: Any, reply: Any, kind: str) -> None:
    """NaN, bytes and cycles are our error, not the encoder's."""
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    for value in (float("nan"), b"bytes", cycle, {1, 2}, "\ud800"):
        made = provider(kind, reply(SAMPLES[kind]["text"]))
        with pytest.raises(errors.InvalidRequestError):
            made.generate_response(ModelRequest("ping", "some-model", provider_specific={"x": value}))
        assert made.web.sent == []


# Listings --------------------------------------------------------------------------------------------------------------


@dialects
def test_listing(provider: Any, reply: Any, kind: str, key: str) -> None:
    """A listing is a GET with the key in its header; ids come in the provider's order."""
    made = provider(kind, reply(SAMPLES[kind]["listing"]))
    assert made.list_models() == ["b", "a"]
    (sent,) = made.web.sent
    assert sent.verb == "GET"
    assert key in sent.headers[type(made).key_header]
    assert key not in sent.url


@pytest.mark.parametrize("kind", [kind for kind, samples in SAMPLES.items() if "pages" in samples])
def test_pages(provider: Any, reply: Any, kind: str) -> None:
    """A listing of several pages is read to its end, each page once, as the provider says how."""
    pages = SAMPLES[kind]["pages"]
    made = provider(kind, *(reply(page) for page, _ in pages))
    assert made.list_models() == ["a", "b"]
    assert len(made.web.sent) == len(pages)
    assert made.web.sent[1].query == pages[0][1]


@pytest.mark.parametrize("kind", [kind for kind, samples in SAMPLES.items() if "pages" in samples])
def test_a_listing_that_never_ends(provider: Any, reply: Any, kind: str) -> None:
    """A server that gives the same next page again is not asked for ever."""
    made = provider(kind, reply(SAMPLES[kind]["pages"][0][0]))
    assert made.list_models() == ["a"]
    assert len(made.web.sent) == 2


@each("no_models")
def test_no_models(provider: Any, reply: Any, kind: str, sample: Any) -> None:
    """A listing may be empty."""
    assert provider(kind, reply(sample)).list_models() == []


@each("wrong_listing")
def test_a_listing_of_another_shape(provider: Any, reply: Any, kind: str, sample: Any) -> None:
    """A wrong listing is ResponseValidationError with the path, never a guess."""
    body, path = sample
    with pytest.raises(errors.ResponseValidationError) as caught:
        provider(kind, reply(body)).list_models()
    assert caught.value.fields[0].path == path
    assert caught.value.provider == "p"


@pytest.mark.parametrize("kind", [kind for kind, samples in SAMPLES.items() if "array_listing" in samples])
def test_a_bare_array_of_models(provider: Any, reply: Any, kind: str) -> None:
    """Together lists models in a bare array."""
    assert provider(kind, reply([{"id": "b"}, {"id": "a"}])).list_models() == ["b", "a"]


@dialects
def test_a_listing_that_fails(provider: Any, reply: Any, kind: str) -> None:
    """Errors of listings are those of requests."""
    with pytest.raises(errors.AuthenticationError) as caught:
        provider(kind, reply(SAMPLES[kind]["error"](401), 401)).list_models()
    assert (caught.value.provider, caught.value.model) == ("p", None)
