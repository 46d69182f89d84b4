"""Parts of messages: each dialect writes texts, images, documents and audio in its form, or refuses them by name."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from llm_sync import Message, ModelRequest, Part
from llm_sync.errors import InvalidRequestError

PNG = b"\x89PNG\r\n\x1a\nrest"
PDF = b"%PDF-1.7\nrest"
WAV = b"RIFF\x00\x00\x00\x00WAVErest"
TEXT = "Grüße\n"
B64 = {name: base64.b64encode(content).decode() for name, content in {"png": PNG, "pdf": PDF, "wav": WAV}.items()}
MIXED = [Part("document", source=PDF, name="a.pdf"), "See", Part("image", source=PNG), Part("audio", source=WAV), "and say"]
PDF_URL = f"data:application/pdf;base64,{B64['pdf']}"
KINDS = ["openai", "openrouter", "openai-responses", "anthropic", "gemini"]


def parts_sent(payload: Any, kind: str, parts: list[Any], **more: Any) -> Any:
    """The content of the only message, in the dialect's form."""
    sent = payload(kind, messages=[Message("user", parts=parts)], **more)
    turn = (sent.get("messages") or sent.get("input") or sent.get("contents"))[-1]
    return turn.get("content", turn.get("parts"))


CHAT = [
    {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF_URL}},
    {"type": "text", "text": "See"},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{B64['png']}"}},
    {"type": "input_audio", "input_audio": {"data": B64["wav"], "format": "wav"}},
    {"type": "text", "text": "and say"},
]
WRITTEN = {
    "openai": CHAT,
    "openrouter": CHAT,
    "gemini": [
        {"inlineData": {"mimeType": "application/pdf", "data": B64["pdf"]}},
        {"text": "See"},
        {"inlineData": {"mimeType": "image/png", "data": B64["png"]}},
        {"inlineData": {"mimeType": "audio/wav", "data": B64["wav"]}},
        {"text": "and say"},
    ],
    "openai-responses": [
        {"type": "input_file", "filename": "a.pdf", "file_data": PDF_URL},
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{B64['png']}", "detail": "auto"},
        {"type": "input_text", "text": "and say"},
    ],
    "anthropic": [
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": B64["pdf"]},
            "title": "a.pdf",
        },
        {"type": "text", "text": "See"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": B64["png"]}},
        {"type": "text", "text": "and say"},
    ],
}


@pytest.mark.parametrize("kind", KINDS)
def test_parts_go_in_their_order(payload: Any, adjustments: Any, kind: str) -> None:
    """Each in the form of the dialect; audio is refused by name where the API takes none."""
    heard = [part for part in MIXED if not (isinstance(part, Part) and part.type == "audio")]
    if kind in ("anthropic", "openai-responses"):
        with pytest.raises(InvalidRequestError, match=f"type {kind} take no audio parts"):
            adjustments(kind, prompt=None, messages=[Message("user", parts=MIXED)])
        assert parts_sent(payload, kind, heard) == WRITTEN[kind]
    else:
        assert parts_sent(payload, kind, MIXED) == WRITTEN[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_document_is_read_by_every_dialect(payload: Any, adjustments: Any, kind: str) -> None:
    """As a document where the API has such, else as a text with its name, which an adjustment tells."""
    part = Part("document", source=b"\xef\xbb\xbf" + TEXT.encode(), name="notes.txt")
    (sent,) = parts_sent(payload, kind, [part])
    assert ("documents", "a text part") in adjustments(kind, prompt=None, messages=[Message("user", parts=[part])]) or kind in (
        *("anthropic", "gemini"),
    )
    if kind == "anthropic":
        assert sent["source"] == {"type": "text", "media_type": "text/plain", "data": TEXT}
    elif kind == "gemini":
        assert sent["inlineData"] == {"mimeType": "text/plain", "data": base64.b64encode(TEXT.encode()).decode()}
    else:
        assert sent["text"] == f'<document name="notes.txt">\n{TEXT}\n</document>'


def test_the_name_of_a_text_document_ends_no_tag(payload: Any) -> None:
    """Whoever named the file cannot put text before its content."""
    (sent,) = parts_sent(payload, "openai", [Part("document", source=b"text", name='a"></document>b\n.txt')])
    assert sent["text"] == '<document name="a___/document_b_.txt">\ntext\n</document>'


def test_a_file_whose_name_is_no_text_is_sent(payload: Any, tmp_path: Path) -> None:
    """Its bytes are nobody's encoding; the name is readable as far as it goes."""
    path = os.fsencode(tmp_path) + b"/a\xff.pdf"
    try:
        Path(os.fsdecode(path)).write_bytes(PDF)
    except OSError:
        pytest.skip("the file system takes no such name")
    (sent,) = parts_sent(payload, "openai", [Part("document", source=os.fsdecode(path))])
    assert sent["file"]["filename"] == "a\ufffd.pdf"


URL = "https://example.org/a.pdf?x=1"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("anthropic", {"type": "document", "source": {"type": "url", "url": URL}}),
        ("gemini", {"fileData": {"mimeType": "application/pdf", "fileUri": URL}}),
        ("openai-responses", {"type": "input_file", "file_url": URL}),
        ("openrouter", {"type": "file", "file": {"filename": "document.pdf", "file_data": URL}}),
        ("openai", "files, not their URLs"),
    ],
)
def test_a_document_by_url(payload: Any, adjustments: Any, kind: str, expected: Any) -> None:
    """Where the API fetches it; chat completions do not, and say so before anything is sent."""
    part = Part("document", source=URL)
    if isinstance(expected, str):
        with pytest.raises(InvalidRequestError, match=expected):
            adjustments(kind, prompt=None, messages=[Message("user", parts=[part])])
    else:
        assert parts_sent(payload, kind, [part]) == [expected]


@pytest.mark.parametrize(
    ("kind", "part", "words"),
    [
        ("anthropic", Part("document", source="https://example.org/a.txt"), "PDFs only by their URL"),
        ("openai", Part("audio", source="https://example.org/a.mp3"), "recordings, not their URLs"),
        ("openai", Part("audio", source=b"fLaCrest"), "OpenAI takes no flac"),
    ],
)
def test_what_an_api_does_not_take_is_refused_by_name(adjustments: Any, kind: str, part: Part, words: str) -> None:
    """Before anything is sent, with the way out."""
    with pytest.raises(InvalidRequestError, match=words):
        adjustments(kind, prompt=None, messages=[Message("user", parts=[part])])


def test_mistral_has_forms_of_its_own(payload: Any) -> None:
    """A document by a URL, which may be one of its bytes; audio as base64."""
    sent = parts_sent(payload, "openai", MIXED, config={"base_url": "https://api.mistral.ai/v1"})
    assert sent[0] == {"type": "document_url", "document_url": PDF_URL, "document_name": "a.pdf"}
    assert sent[3] == {"type": "input_audio", "input_audio": B64["wav"]}


@pytest.mark.parametrize("kind", KINDS)
def test_documents_of_a_request_come_before_its_prompt(payload: Any, tmp_path: Path, kind: str) -> None:
    """PDFs, texts and images; what a file is, its bytes say."""
    (tmp_path / "b.pdf").write_bytes(PDF)
    sent = payload(kind, prompt="Compare", documents=[str(tmp_path / "b.pdf"), PNG])
    text = json.dumps(sent)
    assert "b.pdf" in text or kind == "gemini"
    assert text.index(B64["pdf"]) < text.index(B64["png"]) < text.index("Compare")


def test_a_single_text_is_a_string(payload: Any) -> None:
    """Many compatible servers take nothing else; several texts stay apart."""
    assert parts_sent(payload, "openai", ["Hi"]) == "Hi"
    assert parts_sent(payload, "openai", ["Hi", "you"]) == [{"type": "text", "text": "Hi"}, {"type": "text", "text": "you"}]


def test_the_detail_of_an_image(payload: Any, adjustments: Any) -> None:
    """OpenAI's APIs have it; elsewhere it is an adjustment."""
    part = Part("image", source=PNG, detail="low")
    assert parts_sent(payload, "openai", [part])[0]["image_url"]["detail"] == "low"
    assert parts_sent(payload, "openai-responses", [part])[0]["detail"] == "low"
    for kind in ("anthropic", "gemini"):
        assert ("detail", None) in adjustments(kind, prompt=None, messages=[Message("user", parts=[part])])


@pytest.mark.parametrize("kind", KINDS)
def test_the_name_of_a_message(payload: Any, adjustments: Any, kind: str) -> None:
    """Chat completions have it; elsewhere it is an adjustment."""
    talk = [Message("user", "Hi", name="eva")]
    if kind in ("openai", "openrouter"):
        assert payload(kind, messages=talk)["messages"] == [{"role": "user", "content": "Hi", "name": "eva"}]
    else:
        assert ("messages.name", None) in adjustments(kind, prompt=None, messages=talk)
        assert "eva" not in json.dumps(payload(kind, messages=talk))


# Points to cache up to ---------------------------------------------------------------------------------------------------


EPHEMERAL = {"type": "ephemeral"}
TALK = [
    Message("user", parts=[Part("document", source=PDF, cache=True, cache_ttl="1h"), "Read"]),
    Message("assistant", "Done", cache=True),
    Message("user", "And?", cache=True, cache_ttl="5m"),
]


def test_anthropic_marks_blocks(payload: Any) -> None:
    """On the part, or on the last block of the message; the system prompt becomes a list."""
    sent = payload("anthropic", messages=TALK, system_prompt="Be brief", cache_system=True, cache_ttl="1h")
    assert sent["system"] == [{"type": "text", "text": "Be brief", "cache_control": {**EPHEMERAL, "ttl": "1h"}}]
    first, answer, last = (turn["content"] for turn in sent["messages"])
    assert [block.get("cache_control") for block in first] == [{**EPHEMERAL, "ttl": "1h"}, None]
    assert answer == [{"type": "text", "text": "Done", "cache_control": {**EPHEMERAL, "ttl": "1h"}}]
    assert last == [{"type": "text", "text": "And?", "cache_control": {**EPHEMERAL, "ttl": "5m"}}]


def test_openrouter_marks_parts_and_tools(payload: Any) -> None:
    """In Anthropic's form, for whatever upstream takes it; a marked tool stays marked, in either form of tools."""
    tools = [{"name": "add", "cache_control": EPHEMERAL}, {"type": "function", "function": {"name": "b"}}]
    sent = payload("openrouter", messages=TALK, system_prompt="Be brief", cache_system=True)
    system, first, answer, last = (turn["content"] for turn in sent["messages"])
    assert system == [{"type": "text", "text": "Be brief", "cache_control": EPHEMERAL}]
    assert [part.get("cache_control") for part in first] == [{**EPHEMERAL, "ttl": "1h"}, None]
    assert answer == [{"type": "text", "text": "Done", "cache_control": EPHEMERAL}]
    assert last == [{"type": "text", "text": "And?", "cache_control": {**EPHEMERAL, "ttl": "5m"}}]
    sent = payload("openrouter", prompt="Hi", tools=tools)
    assert [tool.get("cache_control") for tool in sent["tools"]] == [EPHEMERAL, None]
    assert "cache_control" not in json.dumps([tool["function"] for tool in sent["tools"]])


@pytest.mark.parametrize("kind", ["openai", "openai-responses"])
def test_openai_has_breakpoints_from_gpt_5_6_on(payload: Any, adjustments: Any, kind: str) -> None:
    """On its own host alone; it has one time for all, so that another is an adjustment. Instructions take none."""
    asked: Any = {"messages": TALK, "system_prompt": "Be brief", "cache_system": True, "cache_ttl": "1h"}
    sent = json.dumps(payload(kind, model="gpt-5.6-luna", **asked))
    assert sent.count('"prompt_cache_breakpoint": {"mode": "explicit"}') == (4 if kind == "openai" else 3)
    assert "instructions" not in sent
    assert ("cache_ttl", None) in adjustments(kind, prompt=None, model="gpt-5.6-luna", **asked)
    for model, config in (("gpt-4o", {}), ("gpt-5.6", {"base_url": "https://llm.example/v1"})):
        assert "breakpoint" not in json.dumps(payload(kind, model=model, config=config, **asked))
        assert ("cache", None) in adjustments(kind, prompt=None, model=model, config=config, **asked)


@pytest.mark.parametrize("kind", ["openai", "gemini"])
def test_marks_are_an_adjustment_where_no_api_has_them(payload: Any, adjustments: Any, kind: str) -> None:
    """Nothing of them is sent, and strict does not refuse: the answer is the same."""
    asked: Any = {"messages": TALK, "tools": [{"name": "add", "cache_control": EPHEMERAL}]}
    assert "cache_control" not in json.dumps(payload(kind, **asked))
    told = adjustments(kind, prompt=None, **asked)
    assert ("cache", None) in told
    assert ("tools.cache_control", None) in told


def test_anthropic_takes_four_marks(payload: Any, adjustments: Any) -> None:
    """The last ones cover most of the prompt; an adjustment tells of the others."""
    talk = [Message("user" if number % 2 == 0 else "assistant", f"m{number}", cache=True) for number in range(7)]
    sent = payload("anthropic", messages=talk)["messages"]
    assert ["cache_control" in turn["content"][0] for turn in sent] == [False] * 3 + [True] * 4
    assert ("cache", 4) in adjustments("anthropic", prompt=None, messages=talk)


def test_a_turn_with_thinking_is_marked_on_another_block(provider: Any, reply: Any) -> None:
    """Thinking blocks take no mark; the rest of the turn goes back as it came."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    body = {"content": [{"type": "text", "text": "Hi"}, thought], "stop_reason": "end_turn"}
    made = provider("anthropic", reply(body))
    first = made.generate_response(ModelRequest("go", "m")).message
    marked = Message(**{**first.to_dict(), "cache": True})
    made.generate_response(ModelRequest(messages=[Message("user", "go"), marked, Message("user", "on")], model="m"))
    sent = made.web.sent[1].body["messages"][1]["content"]
    assert sent == [{"type": "text", "text": "Hi", "cache_control": EPHEMERAL}, thought]


def test_a_dialect_of_a_third_party_gets_texts_and_images(provider: Any, reply: Any) -> None:
    """Whatever it makes of parts, it sees them as content and images; files it does not know are refused before."""
    made = provider("acme", reply({}))
    with pytest.raises(InvalidRequestError, match="type acme take no document parts"):
        made.prepare(ModelRequest(messages=[Message("user", parts=["a", Part("document", source=PDF)])], model="m"))
    message = Message("user", parts=["a", Part("image", source=PNG), "b"])
    assert (message.content, message.images) == ("a\nb", (PNG,))
