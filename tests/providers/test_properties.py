"""Whatever comes, a provider gives a well-formed response or raises one of our errors."""

from __future__ import annotations

import copy
import json
import logging
import runpy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_sync.errors import LLMConnectorError
from llm_sync.models import FINISH_REASONS, ModelRequest, ModelResponse, Usage

SAMPLES: dict[str, dict[str, Any]] = runpy.run_path(str(Path(__file__).with_name("samples.py")))["SAMPLES"]
KINDS = list(SAMPLES)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
REQUESTS = (ModelRequest("ping", "some-model"), ModelRequest("ping", "some-model", response_schema=SCHEMA))
STATUSES = [100, 200, 201, 204, 206, 300, 400, 401, 402, 403, 404, 408, 413, 418, 429, 500, 502, 503, 529, 599]

# Words that steer the readers, so that arbitrary JSON gets past the first key.
_NAMES = """
error message code type status param details metadata raw headers availability retry_after retryable choices
content text finish_reason finish_details tool_calls function name arguments custom input function_call
refusal usage prompt_tokens completion_tokens total_tokens cost output incomplete_details reason summary
call_id stop_reason stop_details category candidates parts promptFeedback blockReason functionCall args
thought thoughtSignature finishReason usageMetadata promptTokenCount model modelVersion provider data id
models nextPageToken has_more last_id links next says calls with tokens in out ended request_id detail loc msg
reset error_type http_status retryDelay @type violations quotaId
"""
WORDS = st.sampled_from(_NAMES.split())
VALUES = st.sampled_from(
    [
        "",
        " ",
        "stop",
        "length",
        "tool_use",
        "end_turn",
        "refusal",
        "STOP",
        "MAX_TOKENS",
        "SAFETY",
        "message",
        "output_text",
        "text",
        "function_call",
        "queued",
        "completed",
        "content_filter",
        "429",
        "only supports stream",
        "{}",
        "[",
        '{"a": 1}',
        "\ud83d",
        "\x00",
        10**400,
        -1,
        2**53,
        1e308,
        0.5,
        429,
        True,
        False,
        None,
    ]
)
SCALARS = st.one_of(VALUES, st.text(max_size=5), st.integers(), st.floats(allow_nan=False, allow_infinity=False))
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(WORDS, st.text(max_size=3)), inner, max_size=5)
    ),
    max_leaves=15,
)
quick = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


def hold(made: Any, request: ModelRequest) -> None:
    """The property itself."""
    response, failure = None, None
    try:
        response = made.generate_response(request)
    except LLMConnectorError as error:
        failure = error
    if failure is not None:
        assert failure.provider == "p"
        assert failure.message
        assert isinstance(str(failure), str)
        return
    assert type(response) is ModelResponse
    assert isinstance(response.text, str)
    assert response.text.strip() or response.tool_calls
    assert response.finish_reason in FINISH_REASONS
    assert isinstance(response.usage, Usage)
    for count in vars(response.usage).values():
        assert count is None or (type(count) is int and count >= 0)
    for call in response.tool_calls:
        assert isinstance(call.name, str)
        assert call.name
        assert call.arguments is None or isinstance(call.arguments, dict)
    assert response.model is not None
    assert response.cost_estimate is None or 0 <= response.cost_estimate < float("inf")
    json.dumps(response.to_dict(), ensure_ascii=False).encode()


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """Thousands of malformed answers are not to be logged one by one."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def priced(provider: Any) -> Any:
    """A provider with a price for every token."""
    from llm_sync.config.models import ModelEntry, Pricing

    return lambda kind, reply: provider(kind, reply, models=(ModelEntry("some-model", pricing=Pricing(2.5, 10.0)),))


@pytest.mark.parametrize("kind", KINDS)
@given(body=JSON, status=st.sampled_from(STATUSES), request=st.sampled_from(REQUESTS))
@quick
def test_arbitrary_json(priced: Any, reply: Any, kind: str, body: Any, status: int, request: ModelRequest) -> None:
    """Any JSON under any status."""
    hold(priced(kind, reply(json.dumps(body), status)), request)


@pytest.mark.parametrize("kind", KINDS)
@given(body=st.dictionaries(WORDS, JSON, min_size=1, max_size=6))
@quick
def test_arbitrary_objects(priced: Any, reply: Any, kind: str, body: Any) -> None:
    """Any object of keys that are looked for."""
    hold(priced(kind, reply(json.dumps(body))), REQUESTS[0])


@pytest.mark.parametrize("kind", KINDS)
@given(
    content=st.binary(max_size=60),
    status=st.integers(100, 599),
    content_type=st.sampled_from(["application/json", "text/html", "", "text/event-stream", "\x00"]),
)
@quick
def test_arbitrary_bytes(provider: Any, reply: Any, kind: str, content: bytes, status: int, content_type: str) -> None:
    """Any bytes under any status and content type."""
    hold(provider(kind, reply(content, status, content_type=content_type)), REQUESTS[0])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, item in inner for place in places(item, (*path, step)))]


def mutated(body: Any, path: tuple[Any, ...], change: Any) -> Any:
    """``body`` with what stands at ``path`` replaced, or left out where ``change`` is Ellipsis."""
    if not path:
        return None if change is ... else change
    body = copy.deepcopy(body)
    place = body
    for step in path[:-1]:
        place = place[step]
    if change is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = change
    return body


def good_bodies(kind: str) -> list[Any]:
    """Every body among a dialect's samples that has something in it."""
    samples = SAMPLES[kind]
    found = [samples["text"], samples["tools_and_text"], samples["cut_empty"], *samples["tools"], *samples["blocked"]]
    return [
        *found,
        *(body for body, _, _ in samples["error_in_200"]),
        samples["nulls"],
        *([samples["thinking"]] if "thinking" in samples else []),
    ]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@quick
def test_mutations_of_good_bodies(priced: Any, reply: Any, kind: str, data: st.DataObject) -> None:
    """Up to three fields of a good body replaced by anything, or left out."""
    body = data.draw(st.sampled_from(good_bodies(kind)))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(body)))
        body = mutated(body, path, data.draw(st.one_of(st.just(...), JSON)))
    status = data.draw(st.sampled_from([200, 200, 200, 400, 429, 503]))
    hold(priced(kind, reply(json.dumps(body), status)), data.draw(st.sampled_from(REQUESTS)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_replaced_by_every_type(priced: Any, reply: Any, kind: str) -> None:
    """Each field of each good body, one after the other, as each JSON type and left out."""
    samples = SAMPLES[kind]
    for body in (samples["text"], samples["tools_and_text"], samples["blocked"][0], samples["error_in_200"][0][0]):
        for path in places(body):
            for change in (..., None, True, 5, "x", [], {}, [5], {"x": 1}):
                hold(priced(kind, reply(json.dumps(mutated(body, path, change)))), REQUESTS[0])


@pytest.mark.parametrize("kind", KINDS)
@given(body=st.one_of(JSON, st.dictionaries(WORDS, JSON, min_size=1, max_size=6)), status=st.sampled_from(STATUSES))
@quick
def test_arbitrary_listings(provider: Any, reply: Any, kind: str, body: Any, status: int) -> None:
    """A listing gives ids or raises one of our errors."""
    try:
        found = provider(kind, reply(json.dumps(body), status)).list_models()
    except LLMConnectorError:
        return
    assert all(isinstance(name, str) for name in found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("step", [40, pytest.param(10, marks=pytest.mark.soak)])
def test_deep_nesting(provider: Any, reply: Any, kind: str, status: int, step: int) -> None:
    """Bodies nested as deeply as the parser just takes, and deeper, end in one of our errors or an answer."""
    for depth in (*range(850, 1000, step), 100_000):
        deep = "[" * depth + "]" * depth
        texts = [
            deep,
            f'{{"error": {deep}}}',
            f'{{"error": {{"metadata": {{"raw": "{deep}"}}}}}}',
            f'{{"error": {{"message": {deep}}}}}',
        ]
        texts += [json.dumps(body).replace('{"city": "Bern"}', f'{{"city": {deep}}}', 1) for body in SAMPLES[kind]["tools"]]
        texts.append(json.dumps(SAMPLES[kind]["text"]).replace('"Hello"', json.dumps(deep)))
        for text in texts:
            hold(provider(kind, reply(text, status)), REQUESTS[1])


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_surrogate_pair(provider: Any, reply: Any, kind: str) -> None:
    """An emoji that the token limit cut in two can still be written down; whole ones stay."""
    for escaped, read in (
        ("\\ud83d", "\ufffd"),
        ("\\udE00", "\ufffd"),
        ("\\ud83d\\ude00", "\U0001f600"),
        ("\\\\ud83d", "\\ud83d"),
    ):
        body = json.dumps(SAMPLES[kind]["text"]).replace("Hello", f"Hello {escaped}")
        assert provider(kind, reply(body)).generate_response(REQUESTS[0]).text == f"Hello {read}"


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_that_are_no_json(provider: Any, reply: Any, kind: str) -> None:
    """NaN among log probabilities (vLLM) costs no answer."""
    body = {**SAMPLES[kind]["text"], "logprobs": [float("nan"), float("-inf")]}
    response = provider(kind, reply(body)).generate_response(REQUESTS[0])
    assert response.metadata["raw"]["logprobs"] == [None, None]
