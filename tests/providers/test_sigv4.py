"""Signature Version 4, by signatures that AWS has published for its test requests."""

from __future__ import annotations

import calendar

import pytest

from llm_sync.providers.bedrock.sigv4 import AccessKeys, signed_headers

KEYS = AccessKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
AT = float(calendar.timegm((2015, 8, 30, 12, 36, 0)))
HOST = "https://example.amazonaws.com"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PLAIN, TYPED = "host;x-amz-date", "content-type;host;x-amz-date"
PUBLISHED = [
    ("GET", "/", {}, None, PLAIN, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("GET", "/ሴ", {}, None, PLAIN, "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    ("GET", "/example space/", {}, None, PLAIN, "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
    ("GET", "/?Param1=value2&Param1=value1", {}, None, PLAIN, "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"),
    (
        "GET",
        "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
        {},
        None,
        PLAIN,
        "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
    ),
    ("POST", "/", FORM, b"Param1=value1", TYPED, "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
]


@pytest.mark.parametrize(("method", "path", "headers", "body", "names", "signature"), PUBLISHED)
def test_published_signatures(
    method: str, path: str, headers: dict[str, str], body: bytes | None, names: str, signature: str
) -> None:
    """Each request of AWS's test suite is signed as published."""
    got = signed_headers(method, HOST + path, headers, body, KEYS, region="us-east-1", service="service", at=AT)
    assert got["X-Amz-Date"] == "20150830T123600Z"
    assert got["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def signature_of(url: str, **changed: object) -> str:
    """The signature of a request to ``url``."""
    given = {"keys": KEYS, "region": "us-east-1", "service": "bedrock", "at": AT, **changed}
    return signed_headers("POST", url, {}, b"{}", **given)["Authorization"].rpartition("=")[2]  # type: ignore[arg-type]


def test_an_encoded_path_is_encoded_once_more() -> None:
    """As AWS does before it compares: the colon of a model's id and its escape are two different requests."""
    assert signature_of(f"{HOST}/model/a%3Ab/converse") != signature_of(f"{HOST}/model/a:b/converse")
    assert signature_of(f"{HOST}/model/a%3Ab/converse") == (
        "f0376fff68b798f5762bf62dbbf84a2272829d5f2e1579442bb79318d4fb253d"  # botocore's
    )


def test_ports_tokens_and_times_are_signed() -> None:
    """Each changes the signature; the usual port does not."""
    url = f"{HOST}/model/m/converse"
    known = {signature_of(url), signature_of(url, at=AT + 1), signature_of(url, region="eu-west-1")}
    known |= {signature_of(url, keys=KEYS._replace(token="t")), signature_of(url.replace(".com", ".com:8443"))}
    assert len(known) == 5
    assert signature_of(url.replace(".com", ".com:443")) in known
