"""The files that requests from elsewhere name: lines of a batch, ``--messages FILE``. Whoever wrote those may read them so.

Only regular files of limited size below given folders are read, so that a request cannot send what its reader keeps private.
"""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable, Sequence
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.machine.regular_files import read_regular_file
from llm_sync.models import Message, ModelRequest, Part
from llm_sync.models.documents import Document, load_audio, load_document, load_file
from llm_sync.models.images import load_image
from llm_sync.models.media import file_name, is_path

MAX_FILE_BYTES = 32 << 20  # no provider takes larger ones within a request
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO)
_STREAMS = ("/dev/", "/proc/self/fd/")
_LOADERS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    "image": ("image", load_image),
    "document": ("document", load_document),
    "audio": ("audio file", load_audio),
    "file": ("file", load_file),
}


def allowed_folders(path: str, allowed: Sequence[str | os.PathLike[str]]) -> list[str]:
    """The folders whose files the requests in the file at ``path`` may name: its own, and those allowed.

    For standard input (``-``) and other streams, the own folder is the current one.
    """
    is_stream = path == "-" or path.startswith(_STREAMS)
    own = "." if is_stream else os.path.dirname(path) or "."
    return [os.path.abspath(folder) for folder in (own, *(os.fspath(each) for each in allowed))]


class RequestFiles:
    """Reads files: regular ones of at most 32 MiB, below one of ``folders`` (None: anywhere). Any thread may use it."""

    def __init__(self, folders: Sequence[str] | None) -> None:
        self._folders = folders

    def load(self, request: ModelRequest) -> ModelRequest:
        """The request with its files read.

        Raises InvalidRequestError for one that cannot or must not be read, and OSError if the machine has run out of something.
        """
        changes: dict[str, Any] = {}
        if request.images:
            changes["images"] = [self._loaded("image", source) for source in request.images]
        if request.documents:
            changes["documents"] = [self._loaded("file", source) for source in request.documents]
        if request.messages is not None and any(message.images or message.parts for message in request.messages):
            changes["messages"] = [self._message(message) for message in request.messages]
        return dataclasses.replace(request, **changes) if changes else request

    def _message(self, message: Message) -> Message:
        if message.parts:
            return message.with_parts(self._part(part) for part in message.parts)
        images = [self._loaded("image", source) for source in message.images]
        return dataclasses.replace(message, images=images) if images else message

    def _part(self, part: Part) -> Part:
        return dataclasses.replace(part, source=self._loaded(part.type, part.source)) if is_path(part.source) else part

    def _loaded(self, kind: str, source: Any) -> Any:
        return self._read(kind, source) if is_path(source) else source

    def _read(self, kind: str, path: str) -> Any:
        noun, load = _LOADERS[kind]
        try:
            content = read_regular_file(path, max_bytes=MAX_FILE_BYTES, below=self._folders)
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) in _EXHAUSTED:
                raise  # no fault of the request
            reason = getattr(error, "strerror", None) or str(error)
            guidance = "Give a regular file, or an https or data URL."
            if "not below" in reason:
                guidance = "Move it there, or allow its folder with --allow-files DIR (allow_files=[DIR])."
            raise InvalidRequestError(f"{noun} {path!r} cannot be read: {reason}", guidance=guidance) from None
        return named_file(load, content, path, noun)


def named_file(load: Callable[[bytes], Any], content: bytes, path: str, noun: str) -> Any:
    """What ``load`` makes of the content of the file at ``path``. Raises InvalidRequestError, which names the path."""
    try:
        file = load(content)
    except InvalidRequestError as error:
        message = error.message.replace(f"the {noun}", repr(path), 1)
        raise InvalidRequestError(message, guidance=error.guidance) from None
    return dataclasses.replace(file, name=file_name(path)) if isinstance(file, Document) and file.content else file
