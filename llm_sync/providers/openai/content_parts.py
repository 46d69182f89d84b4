"""The parts of a message's content in the forms of OpenAI's two APIs: texts, images, files, audio."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from llm_sync.models import Message, ModelRequest, Part
from llm_sync.models.documents import PDF, Document, load_audio, load_document
from llm_sync.models.images import load_image
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.dialect import Dialect
from llm_sync.providers.message_parts import mark_of, parts_of, unreadable

_OPENAI_AUDIO = ("wav", "mp3")
_NO_MARKUP = re.compile(r'["<>&\x00-\x1f]')  # in the name of a document: it must not end the tag before the text
_NO_URL = "Download it, and give the file."


class PartWriter:
    """Writes the parts of one request's messages."""

    def __init__(self, request: ModelRequest, dialect: Dialect, adjustments: Adjustments) -> None:
        self._request = request
        self._dialect = dialect
        self._adjustments = adjustments

    def chat_content(self, turn: Message) -> Any:
        """The content of a chat message: a text, where it is the only part; most servers take that everywhere."""
        parts = parts_of(turn)
        marked = [{**self._chat_part(part), **mark_of(part, self._request, self._dialect)} for part in parts]
        if turn.cache and not parts:
            self._adjustments.note("cache", True, None, "a message of calls alone has no part to mark")
        plain = not parts or (len(parts) == 1 and parts[0].type == "text" and marked[0].keys() == {"type", "text"})
        return (turn.content or (None if turn.tool_calls else "")) if plain else marked

    def _chat_part(self, part: Part) -> dict[str, Any]:
        if part.type == "text":
            return {"type": "text", "text": part.text}
        if part.type == "image":
            image = {"url": load_image(part.source).data_url}
            return {"type": "image_url", "image_url": image if part.detail is None else {**image, "detail": part.detail}}
        if part.type == "audio":
            return self._audio(part)
        document = load_document(part.source, part.name)
        if self._dialect.is_at("mistral.ai"):
            return {"type": "document_url", "document_url": document.data_url, "document_name": document.filename}
        if document.url and self._dialect.type != "openrouter" and not self._dialect.is_at("openrouter.ai"):
            raise unreadable(part, "chat completions take files, not their URLs", _NO_URL)
        if document.media_type != PDF and not document.url:
            return {"type": "text", "text": self._as_text(document)}
        return {"type": "file", "file": {"filename": document.filename, "file_data": document.data_url}}

    def _audio(self, part: Part) -> dict[str, Any]:
        audio = load_audio(part.source)
        if self._dialect.is_at("mistral.ai"):
            return {"type": "input_audio", "input_audio": audio.url or audio.base64}
        if audio.url:
            raise unreadable(part, "chat completions take recordings, not their URLs", _NO_URL)
        if audio.format not in _OPENAI_AUDIO and self._dialect.is_at("openai.com"):
            raise unreadable(part, f"OpenAI takes no {audio.format}", "Convert it to WAV or MP3.")
        return {"type": "input_audio", "input_audio": {"data": audio.base64, "format": audio.format}}

    def input_content(self, turn: Message) -> Sequence[Mapping[str, Any]]:
        """The content of a message of the Responses API, but for the assistant's."""
        return [{**self._input_part(part), **mark_of(part, self._request, self._dialect)} for part in parts_of(turn)]

    def _input_part(self, part: Part) -> dict[str, Any]:
        if part.type == "text":
            return {"type": "input_text", "text": part.text}
        if part.type == "image":
            return {"type": "input_image", "image_url": load_image(part.source).data_url, "detail": part.detail or "auto"}
        document = load_document(part.source, part.name)
        if document.url:
            return {"type": "input_file", "file_url": document.url}
        if document.media_type != PDF:
            return {"type": "input_text", "text": self._as_text(document)}
        return {"type": "input_file", "filename": document.filename, "file_data": document.data_url}

    def _as_text(self, document: Document) -> str:
        self._adjustments.note("documents", document.filename, "a text part", "this API reads files that are PDFs only")
        name = f' name="{_NO_MARKUP.sub("_", document.name)}"' if document.name else ""
        return f"<document{name}>\n{document.text}\n</document>"
