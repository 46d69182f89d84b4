"""The image files that lines name. A line may come from anybody, so not every file may be read and sent."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Sequence
from typing import Any

from llm_sync.batch.input.source import Input
from llm_sync.errors import InvalidRequestError
from llm_sync.machine.regular_files import read_regular_file
from llm_sync.models import Message, ModelRequest
from llm_sync.models.images import Image, load_image

MAX_IMAGE_BYTES = 32 << 20  # no provider takes larger ones within a request
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO)
_URLS = ("http://", "https://", "data:")


def image_folders(requests: Input, allowed: Sequence[str | os.PathLike[str]]) -> list[str] | None:
    """The folders whose files an input may name: its own, and those allowed. None: any, as the program itself names them.

    The folder of standard input and of an open file is the current one.
    """
    if isinstance(requests, (str, os.PathLike)):
        path = os.fspath(requests)
        own = "." if path == "-" else os.path.dirname(path) or "."
    elif hasattr(requests, "read"):
        own = "."
    else:
        return None
    return [os.path.abspath(folder) for folder in (own, *(os.fspath(each) for each in allowed))]


class ImageFiles:
    """Reads image files: regular ones of at most 32 MiB, below one of ``folders`` (None: anywhere). Any thread may use it."""

    def __init__(self, folders: Sequence[str] | None) -> None:
        self._folders = folders

    def load(self, request: ModelRequest) -> ModelRequest:
        """The request with its image files read. Raises InvalidRequestError for one that cannot or must not be read."""
        if request.images:
            request = dataclasses.replace(request, images=self._read_all(request.images))
        if request.messages is not None and any(message.images for message in request.messages):
            request = dataclasses.replace(request, messages=[self._loaded(message) for message in request.messages])
        return request

    def _loaded(self, message: Message) -> Message:
        return dataclasses.replace(message, images=self._read_all(message.images)) if message.images else message

    def _read_all(self, sources: Sequence[Any]) -> list[Any]:
        return [self._read(source) if _is_path(source) else source for source in sources]

    def _read(self, path: str) -> Image:
        try:
            content = read_regular_file(path, max_bytes=MAX_IMAGE_BYTES, below=self._folders)
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) in _EXHAUSTED:
                raise  # no fault of the line: the run stops
            reason = getattr(error, "strerror", None) or str(error)
            guidance = "Give a regular file, bytes, or an https or data URL."
            if "not below" in reason:
                guidance = "Move it there, or allow its folder with --allow-files DIR (allow_files=[DIR])."
            raise InvalidRequestError(f"image {path!r} cannot be read: {reason}", guidance=guidance) from None
        try:
            return load_image(content)
        except InvalidRequestError as error:
            message = error.message.replace("the image", repr(path), 1)
            raise InvalidRequestError(message, guidance=error.guidance) from None


def _is_path(source: Any) -> bool:
    return isinstance(source, os.PathLike) or (isinstance(source, str) and not source.lower().startswith(_URLS))
