"""Images: a path, bytes or a URL in, bytes with the right media type or a URL out, or an error that says why not."""

from __future__ import annotations

import base64
import errno
import os
import pathlib
from types import SimpleNamespace
from typing import Any

import pytest

from llm_sync.errors import InvalidRequestError
from llm_sync.models.images import Image, load_image

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8
KINDS = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0JFIF",
    "image/gif": b"GIF89a\x01\0",
    "image/webp": b"RIFF\x10\0\0\0WEBPVP8 ",
}


@pytest.mark.parametrize("media_type", KINDS)
@pytest.mark.parametrize("way", ["bytes", "str path", "Path"])
def test_the_media_type_comes_from_the_bytes(media_type: str, way: str, tmp_path: pathlib.Path) -> None:
    """Not from the file's name, which lies: providers refuse a JPEG that is called PNG."""
    content = KINDS[media_type]
    path = tmp_path / "picture.tiff"
    path.write_bytes(content)
    source: Any = {"bytes": content, "str path": str(path), "Path": path}[way]
    assert load_image(source) == Image(content=content, media_type=media_type)


def test_old_gifs_are_gifs() -> None:
    """Both versions of the format count."""
    assert load_image(b"GIF87a...").media_type == "image/gif"


@pytest.mark.parametrize("url", ["https://a.test/x.png?w=1#f", "http://localhost/x"])
def test_a_url_stays_a_url(url: str) -> None:
    """The provider fetches it, not this machine."""
    image = load_image(url)
    assert (image.url, image.content, image.data_url) == (url, b"", url)


def test_a_urls_scheme_is_read_in_any_case() -> None:
    """As RFC 3986 has it; it is sent in lower case, which every server knows."""
    assert load_image("HTTPS://A.test/X.png").url == "https://A.test/X.png"
    assert load_image("DATA:image/gif;base64,R0lGODlh").content == b"GIF89a"


def test_a_data_url_is_bytes() -> None:
    """It comes out as what it holds, so that dialects without data URLs can send it too."""
    image = load_image("data:image/png;charset=x;base64," + base64.b64encode(PNG).decode())
    assert image == Image(content=PNG, media_type="image/png")
    assert image.data_url == "data:image/png;base64," + image.base64
    assert base64.b64decode(image.base64) == PNG


def test_an_image_that_was_read_is_not_read_again() -> None:
    """Loading twice is loading once."""
    image = load_image(PNG)
    assert load_image(image) is image


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/no/such/file.png", "image '/no/such/file.png' cannot be read: No such file"),
        ("", "image '' cannot be read"),
        ("a\0b", "cannot be read: embedded null"),
        ("x" * 5000, "cannot be read: File name too long"),
        (b"", "the image is not a PNG"),
        (b"%PDF-1.7", "is not a PNG, JPEG, GIF or WebP"),
        (b"RIFF\0\0\0\0WAVE", "is not a PNG"),
        (b"<svg/>", "is not a PNG"),
        ("data:image/png,rawbytes", "not base64 of an image"),
        ("data:text/plain;base64,aGk=", "not base64 of an image"),
        ("data:", "not base64 of an image"),
        ("data:image/png;base64,%%%", "broken base64"),
        ("data:image/png;base64,QUJD\nREVG", "broken base64"),
        ("data:image/png;base64,ü", "broken base64"),
        ("data:image/png;base64,", "holds no bytes"),
        ("https://a.test/\ud800", "lone surrogate"),
        (SimpleNamespace(media_type="image/png"), "an image is a SimpleNamespace"),
        (5.5, "an image is a float"),
    ],
    ids=str,
)
def test_what_is_no_image_is_refused(source: Any, message: str) -> None:
    """In the caller's thread, with what to give instead."""
    with pytest.raises(InvalidRequestError, match=message) as raised:
        load_image(source)
    assert raised.value.guidance


def test_a_folder_and_a_closed_file_are_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own reason is in the message."""
    with pytest.raises(InvalidRequestError, match="cannot be read: Is a directory"):
        load_image(tmp_path)

    def closed(*_: object) -> None:  # the tests may run as a user who may read everything
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("builtins.open", closed)
    with pytest.raises(InvalidRequestError, match="cannot be read: Permission denied"):
        load_image("closed.png")


def test_the_repr_shows_no_pixels() -> None:
    """Requests are printed and logged."""
    assert repr(load_image(PNG * 1000)) == "Image(16000 bytes of image/png)"
    assert repr(load_image("https://a.test/x")) == "Image('https://a.test/x')"
