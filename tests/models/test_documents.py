"""Files of a request: what they are, their bytes say; what cannot be sent is refused by name."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from llm_sync.errors import InvalidRequestError
from llm_sync.models.documents import Audio, Document, data_url, load_audio, load_document, load_file
from llm_sync.models.images import Image

PDF = b"%PDF-1.7\nrest"
RECORDINGS = {
    "audio/wav": b"RIFF\x00\x00\x00\x00WAVErest",
    "audio/mp3": b"ID3\x04rest",
    "audio/flac": b"fLaCrest",
    "audio/ogg": b"OggSrest",
    "audio/aiff": b"FORM\x00\x00\x00\x00AIFFrest",
    "audio/m4a": b"\x00\x00\x00\x20ftypM4A rest",
}


@pytest.mark.parametrize("form", ["path", "path object", "bytes", "data URL"])
def test_a_pdf_in_every_form(tmp_path: Path, form: str) -> None:
    """By path it has the file's name."""
    path = tmp_path / "Jahresbericht 2026.pdf"
    path.write_bytes(PDF)
    encoded = base64.b64encode(PDF).decode()
    sources = {"path": str(path), "path object": path, "bytes": PDF, "data URL": f"data:application/pdf;base64,{encoded}"}
    document = load_document(sources[form])
    assert (document.content, document.media_type) == (PDF, "application/pdf")
    assert document.filename == ("Jahresbericht 2026.pdf" if form.startswith("path") else "document.pdf")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_is_utf_8(encoding: str) -> None:
    """Whatever a Windows program wrote before it."""
    document = load_document("Grüße\n".encode(encoding))
    assert (document.text, document.media_type, document.filename) == ("Grüße\n", "text/plain", "document.txt")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"PK\x03\x04\x00docx", "neither a PDF nor text"),
        ("Grüße".encode("latin-1"), "neither a PDF nor text"),
        (b"\xff\xfe\x00", "neither a PDF nor text"),
        (7, "a document is an int"),
        ("nowhere.pdf", "document 'nowhere.pdf' cannot be read: No such file"),
        ("a\0b", "cannot be read"),
        ("data:application/pdf,plain", "is not base64"),
        ("data:application/pdf;base64,=", "broken base64|holds no bytes"),
        ("data:application/pdf;base64,", "holds no bytes"),
        ("https://example.org/\udc80.pdf", "lone surrogate"),
    ],
)
def test_what_is_no_document_is_refused(source: Any, words: str) -> None:
    """Before anything is sent, with what it is."""
    with pytest.raises(InvalidRequestError, match=words):
        load_document(source)


@pytest.mark.parametrize("media_type", RECORDINGS)
def test_recordings(media_type: str) -> None:
    """By their first bytes; the format is what OpenAI calls it."""
    audio = load_audio(RECORDINGS[media_type])
    assert (audio.media_type, audio.format) == (media_type, media_type.partition("/")[2])


def test_a_frame_of_mpeg_audio_is_an_mp3() -> None:
    """Without an ID3 tag before it."""
    assert load_audio(b"\xff\xfb\x90\x00rest").media_type == "audio/mp3"
    with pytest.raises(InvalidRequestError, match="is not a WAV, MP3"):
        load_audio(PDF)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (PDF, Document),
        (b"text", Document),
        (b"\x89PNG\r\n\x1a\nx", Image),
        (RECORDINGS["audio/wav"], Audio),
        ("https://example.org/a.pdf?x=1", Document),
        ("https://example.org/a.PNG#top", Image),
        ("https://example.org/a.mp3", Audio),
        ("https://example.org/download", Document),
    ],
)
def test_what_a_file_is(source: Any, kind: type) -> None:
    """Its bytes say so, or the end of its URL."""
    assert type(load_file(source)) is kind


def test_a_data_url_keeps_the_name() -> None:
    """So that a request goes through a batch's journal as it is."""
    document = load_document(PDF, "a b;c.pdf")
    assert load_file(data_url(document)) == document
    assert load_file(document) is document
    assert "PDF" not in repr(document)


@pytest.mark.parametrize("media_type", sorted(RECORDINGS))
def test_recordings_go_through_a_data_url(media_type: str) -> None:
    """As documents do."""
    audio = load_audio(RECORDINGS[media_type])
    assert load_file(data_url(audio)) == audio
