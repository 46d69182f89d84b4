"""A request made ready: switches out, defaults in, images read, options checked; the request given is never changed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from llm_sync.client import request_defaults
from llm_sync.config import ModelEntry, RequestDefaults
from llm_sync.errors import InvalidRequestError, StreamingNotSupportedError
from llm_sync.models import AttemptOptions, Message, ModelRequest
from llm_sync.models.images import Image

PNG = b"\x89PNG\r\n\x1a\n"
DEFAULTS = RequestDefaults(0.5, 0.6, 7, ("END",), 8, "be brief", {"user": "config", "metadata": {"a": 1}})
ENTRY = ModelEntry("m", DEFAULTS)


def test_defaults_fill_what_the_request_leaves_open() -> None:
    """Every default there is, and the model's bare name."""
    filled = request_defaults.filled(ModelRequest("x", "p/m"), "m", ENTRY)
    assert filled == ModelRequest(
        "x",
        "m",
        temperature=0.5,
        top_p=0.6,
        max_tokens=7,
        stop_sequences=("END",),
        seed=8,
        system_prompt="be brief",
        provider_specific={"user": "config", "metadata": {"a": 1}},
    )


def test_a_conversation_with_a_system_message_takes_no_default_one() -> None:
    """Two system prompts would contradict each other, and the request's own wins."""
    talk = [Message("system", "be long"), Message("user", "x")]
    assert request_defaults.filled(ModelRequest(messages=talk), "m", ENTRY).system_prompt is None
    assert request_defaults.filled(ModelRequest(messages=talk[1:]), "m", ENTRY).system_prompt == "be brief"


def test_what_the_request_says_stays() -> None:
    """Zero and empty values are values."""
    said: dict[str, Any] = {"temperature": 0, "top_p": 0.0, "max_tokens": 1, "stop_sequences": (), "seed": 0, "system_prompt": ""}
    filled = request_defaults.filled(ModelRequest("x", **said), "m", ENTRY)
    assert {name: getattr(filled, name) for name in said} == said


def test_provider_specific_is_merged_key_by_key() -> None:
    """The request's keys before the configuration's; both mappings stay as they are."""
    request = ModelRequest("x", provider_specific={"metadata": {"b": 2}, "own": True})
    before = copy.deepcopy((request, ENTRY))
    filled = request_defaults.filled(request, "m", ENTRY)
    assert filled.provider_specific == {"user": "config", "metadata": {"b": 2}, "own": True}
    filled.provider_specific["user"] = "changed"  # type: ignore[index]
    assert (request, ENTRY) == before


def test_images_are_read_now(tmp_path: Path) -> None:
    """On the request and on its messages: what the file holds later does not matter."""
    path = tmp_path / "x.png"
    path.write_bytes(PNG)
    of_prompt = request_defaults.filled(ModelRequest("x", images=[path]), "m", ModelEntry("m"))
    messages = [Message("user", "x"), Message("user", "y", images=[str(path), PNG])]
    of_messages = request_defaults.filled(ModelRequest(messages=messages), "m", ModelEntry("m"))
    path.unlink()
    read = Image(content=PNG, media_type="image/png")
    assert of_prompt.images == (read,)
    assert [message.images for message in of_messages.messages or ()] == [(), (read, read)]


def test_the_schema_is_checked_as_it_will_be_sent() -> None:
    """A schema that holds itself or what JSON cannot is refused for that, whatever a validator would say of it."""
    circle: dict[str, Any] = {"type": "object"}
    circle["properties"] = {"a": circle}
    with pytest.raises(InvalidRequestError, match="response_schema is nested too deeply, or holds itself"):
        request_defaults.filled(ModelRequest("x", response_schema=circle), "m", ModelEntry("m"))
    with pytest.raises(InvalidRequestError, match="is not a JSON Schema"):
        request_defaults.filled(ModelRequest("x", response_schema={"type": "objekt"}), "m", ModelEntry("m"))


def test_a_request_without_switches_is_passed_on_as_it_is() -> None:
    """Nothing is copied for nothing."""
    request = ModelRequest("x", provider_specific={"user": "me"})
    assert request_defaults.without_switches(request, "p", strict=True) == (request, [])
    assert request_defaults.without_switches(request, "p", strict=True)[0] is request


def test_switches_are_taken_out_of_a_copy() -> None:
    """The caller's request still says what it said, and what is told of it is a copy too."""
    options = {"include_usage": True}
    request = ModelRequest("x", provider_specific={"stream": True, "stream_options": options, "user": "me"})
    clean, adjustments = request_defaults.without_switches(request, "p", strict=False)
    options["late"] = True
    assert clean.provider_specific == {"user": "me"}
    assert "stream" in request.provider_specific
    assert [(a.parameter, a.asked, a.sent) for a in adjustments] == [
        ("stream", True, None),
        ("stream_options", {"include_usage": True}, None),
    ]


def test_options_of_the_call_replace_configured_ones() -> None:
    """None leaves the configured one; without any nothing is made anew."""
    configured = AttemptOptions(timeout=1, deadline=2, max_retries=3, retry_base=4)
    asked = {"timeout": 5.5, "deadline": None, "max_retries": 0}
    assert request_defaults.attempt_options(configured, asked) == AttemptOptions(5.5, 2, 0, 4)
    assert request_defaults.attempt_options(configured, {"timeout": None}) is configured


@pytest.mark.parametrize(
    "seconds", [0, -1, float("nan"), float("inf"), 31_536_001, 10**5000, True, "5", [5]], ids=lambda value: ""
)
@pytest.mark.parametrize("name", ["timeout", "deadline"])
def test_impossible_times_are_refused(name: str, seconds: Any) -> None:
    """A time is above 0 and at most a year, as in the configuration; the message is short whatever was given."""
    with pytest.raises(InvalidRequestError, match=f"^{name}=.* is not a time") as raised:
        request_defaults.attempt_options(AttemptOptions(), {name: seconds})
    assert len(str(raised.value)) < 120


@pytest.mark.parametrize("seconds", [0.001, 1, 31_536_000])
def test_possible_times_are_taken(seconds: float) -> None:
    """A millisecond, whole numbers, a year."""
    assert request_defaults.attempt_options(AttemptOptions(), {"timeout": seconds}).timeout == seconds


def test_a_call_that_asks_for_streaming_by_name_is_refused() -> None:
    """All switches in one error; what is off is taken out in silence."""
    with pytest.raises(StreamingNotSupportedError, match=r"stream, stream_options was asked for"):
        request_defaults.refuse_streaming({"stream": True, "stream_options": {"a": 1}, "seed": 1})
    assert request_defaults.refuse_streaming({"stream": False, "stream_options": None, "seed": 1}) == {"seed": 1}
