"""Documents of a request, PDF or text, and recordings: from a path, bytes or a URL to what is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from llm_sync.errors import InvalidRequestError
from llm_sync.models.images import Image, image_type, load_image
from llm_sync.models.media import Media, Source, read_source

PDF, TEXT = "application/pdf", "text/plain"
_PDF_WITHIN = 1024  # bytes: where readers of PDF look for its first line
_TEXT_ENDINGS = (".txt", ".md", ".csv", ".tsv", ".json", ".xml", ".html", ".htm", ".log", ".yaml", ".yml")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# First bytes, and where they begin, of audio that a model takes.
_AUDIO: tuple[tuple[int, bytes, str], ...] = (
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mp3"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (8, b"AIFF", "audio/aiff"),
    (4, b"ftypM4A", "audio/m4a"),
)
_AUDIO_ENDINGS = {".wav": "audio/wav", ".mp3": "audio/mp3", ".flac": "audio/flac", ".ogg": "audio/ogg", ".m4a": "audio/m4a"}
_IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".webp")


@dataclass(frozen=True, repr=False)
class Document(Media):
    """A PDF or a text (UTF-8), by ``url`` or as ``content`` of ``media_type``. ``name``: of its file, where it is known."""

    name: str | None = None

    @property
    def text(self) -> str:
        """The content of a text."""
        return self.content.decode("utf-8")

    @property
    def filename(self) -> str:
        """Its name, or one by its type: some APIs require one."""
        return self.name or ("document.pdf" if self.media_type == PDF else "document.txt")


@dataclass(frozen=True, repr=False)
class Audio(Media):
    """A recording, by ``url`` or as ``content`` of ``media_type``."""

    @property
    def format(self) -> str:
        """wav, mp3, flac …"""
        return self.media_type.partition("/")[2]


def data_url(file: Media) -> str:
    """The file as one URL, from which it can be loaded again: with the name of a document."""
    name = getattr(file, "name", None)
    if file.url or not name:
        return file.data_url
    return f"data:{file.media_type};name={quote(name, safe='')};base64,{file.base64}"


def load_document(source: Any, name: str | None = None) -> Document:
    """Read a PDF or a text from bytes, an http(s) or data URL, or the path of a file.

    Raises InvalidRequestError for a file that cannot be read, and for bytes that are neither.
    """
    return source if isinstance(source, Document) and name is None else _document(_read(source, "document"), name)


def load_audio(source: Any) -> Audio:
    """Read a recording (WAV, MP3, FLAC, Ogg, AIFF, M4A), as ``load_document``."""
    if isinstance(source, Audio):
        return source
    read = read_source(source, "audio file")
    if read.url:
        return Audio(url=read.url, media_type=_audio_by_ending(read.url) or "audio/mp3")
    kind = audio_type(read.content)
    if kind is None:
        raise InvalidRequestError(
            f"{read.shown} is not a WAV, MP3, FLAC, Ogg, AIFF or M4A file", guidance="Convert it: most models take WAV and MP3."
        )
    return Audio(content=read.content, media_type=kind)


def load_file(source: Any) -> Image | Document | Audio:
    """Read a file of any of these kinds; its bytes, or the end of its URL, tell which. Raises InvalidRequestError."""
    if isinstance(source, (Image, Document, Audio)):
        return source
    read = read_source(source, "file")
    url = read.url or ""
    if _path_of(url).endswith(_IMAGE_ENDINGS) or image_type(read.content):
        return load_image(read.url or read.content)
    if _audio_by_ending(url) or audio_type(read.content):
        return load_audio(read.url or read.content)
    return _document(read, None)


def audio_type(content: bytes) -> str | None:
    """The media type of a recording by its first bytes; None for anything else."""
    if len(content) > 1 and content[0] == 0xFF and content[1] & 0xE6 == 0xE2:
        return "audio/mp3"  # a frame of MPEG audio, layer III, without an ID3 tag
    return next((kind for start, mark, kind in _AUDIO if content[start : start + len(mark)] == mark), None)


def _read(source: Any, noun: str) -> Source:
    if isinstance(source, Document):
        return Source(f"the {noun}", source.url, source.content, source.media_type, source.name)
    return read_source(source, noun)


def _document(read: Source, name: str | None) -> Document:
    name = name or read.name
    if read.url:
        return Document(url=read.url, media_type=TEXT if _path_of(read.url).endswith(_TEXT_ENDINGS) else PDF, name=name)
    if not read.content.strip():
        raise InvalidRequestError(f"{read.shown} is empty", guidance="Give a document with text in it.")
    if b"%PDF-" in read.content[:_PDF_WITHIN]:
        return Document(content=read.content, media_type=PDF, name=name)
    return Document(content=_text(read).encode("utf-8"), media_type=TEXT, name=name)


def _text(read: Source) -> str:
    """The text of a file; what Windows tools write, too."""
    content = read.content
    try:
        text = content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InvalidRequestError(
            f"{read.shown} is neither a PDF nor text in UTF-8", guidance="Convert it to PDF, or give its text."
        )
    return text


def _audio_by_ending(url: str) -> str | None:
    return next((kind for ending, kind in _AUDIO_ENDINGS.items() if _path_of(url).endswith(ending)), None)


def _path_of(url: str) -> str:
    """The URL in lower case up to its path, the end of which tells what a file is."""
    return url.lower().partition("?")[0].partition("#")[0]
