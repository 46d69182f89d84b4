"""The image files that the messages of ``--messages FILE`` name. The file may come from anybody, so not every path is read."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

from llm_sync.cli.input_files import MAX_IMAGE_BYTES
from llm_sync.errors import InvalidRequestError
from llm_sync.machine.regular_files import read_regular_file
from llm_sync.models.images import Image, load_image

_URL = re.compile("https?://|data:", re.IGNORECASE)


def image_folders(messages_path: str, allowed: Sequence[str]) -> list[str]:
    """The folders below which images are read: that of the messages (of standard input, the working folder), and others."""
    is_stream = messages_path == "-" or messages_path.startswith(("/dev/", "/proc/self/fd/"))
    own = "." if is_stream else os.path.dirname(messages_path) or "."
    return [os.path.abspath(folder) for folder in (own, *allowed)]


def load_message_image(source: Any, folders: Sequence[str]) -> Image:
    """Load an image that a message names: a URL, or a regular file of limited size below one of the folders.

    Raises InvalidRequestError for a file that cannot be read, or must not be.
    """
    if not isinstance(source, str) or _URL.match(source):
        return load_image(source)
    try:
        content = read_regular_file(source, max_bytes=MAX_IMAGE_BYTES, below=folders)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        way = "Move it there, or allow its folder with --allow-files DIR." if "not below" in reason else None
        raise InvalidRequestError(f"image {source!r} cannot be read: {reason}", guidance=way) from None
    try:
        return load_image(content)
    except InvalidRequestError as error:
        raise InvalidRequestError(error.message.replace("the image", repr(source), 1), guidance=error.guidance) from None
