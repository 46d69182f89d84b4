"""Stores that somebody has tampered with: an error or a miss, never a wrong answer."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync import ConfigurationError, LLMClient
from llm_sync.cache import answers, files, store
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator

OPENAI = "openai/gpt-4o-mini"
Cached = Callable[..., LLMClient]
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def only_file(folder: Path) -> Path:
    """The one stored answer."""
    (path,) = folder.rglob("*.json")
    return path


def _symlink(path: Path) -> None:
    target = path.with_name("elsewhere")
    path.rename(target)
    path.symlink_to(target)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _huge(path: Path) -> None:
    os.truncate(path, files.MAX_BYTES + 1)


def _edit(**changes: Any) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        document = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))

    return edit


def _write(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def _edit_request(path: Path) -> None:
    document = json.loads(path.read_text())
    request = json.loads(document["request_text"])
    request["messages"][0]["content"] = "another question"
    document["request_text"] = json.dumps(request, separators=(",", ":"))
    path.write_text(json.dumps(document))


TAMPERED: dict[str, Callable[[Path], None]] = {
    "a link": _symlink,
    "a named pipe": _fifo,
    "a folder": _folder,
    "a huge file": _huge,
    "an empty file": _write(b""),
    "no JSON": _write(b"\xff\xfe{"),
    "deep JSON": _write(b'{"llm_sync_answer":' + b"[" * 100_000),
    "a list": _write(b"[]"),
    "no entry": _write(b"{}"),
    "a huge number": _write(b'{"llm_sync_answer": 1' + b"0" * 10_000 + b"}"),
    "another dialect": _edit(dialect="anthropic"),
    "another address": _edit(url="https://evil.example/v1/chat/completions"),
    "another model": _edit(model="gpt-4o"),
    "another key": _edit(key="0" * 64),
    "a path as key": _edit(key="../../../etc/passwd"),
    "another sample": _edit(sample=7),
    "a negative sample": _edit(sample=-1),
    "another request": _edit_request,
    "no reply": _edit(reply=None),
    "a reply of a wrong type": _edit(reply=[1]),
    "a reply and a response": _edit(response={"text": "forged", "finish_reason": "stop"}),
    "a wrong status": _edit(reply={"status": "200", "body": {}}),
    "a status that is none": _edit(reply={"status": 7, "body": {}}),
    "a body that is no answer": _edit(reply={"status": 200, "headers": {}, "body": {"choices": []}}),
    "headers of a wrong type": _edit(reply={"status": 200, "headers": {"content-type": 7}, "body": {}}),
    "no time": _edit(stored="yesterday"),
    "a time without a zone": _edit(stored="2026-01-01T00:00:00"),
    "a time before computers": _edit(stored="0001-01-01T00:00:00+14:00"),
    "a cost that is no number": _edit(cost_estimate=float("nan")),
    "an endless cost": _edit(cost_estimate=1e300),
    "endless tokens": _edit(usage={"input_tokens": float("inf")}),
    "half of a surrogate pair": _edit(usage={"\ud800": 1}),
    "redacted, but it is not": _edit(redacted=True, url="https://evil.example"),
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_a_tampered_file_is_a_miss(cached: Cached, upstream: Simulator, folder: Path, tamper: Callable[[Path], None]) -> None:
    """The request is sent, the answer is right; the next one is served again, where the file could be replaced."""
    right = cached().generate("Say hello", OPENAI).text
    tamper(only_file(folder))
    answer = cached().generate("Say hello", OPENAI)
    assert (answer.text, answer.cached) == (right, False)
    assert len(upstream.requests) == 2
    assert cached().generate("Say hello", OPENAI).text == right


def test_a_file_cut_anywhere_is_a_miss(cached: Cached, folder: Path) -> None:
    """A power cut, or a copy that was broken off."""
    client = cached()
    right = client.generate("Say hello", OPENAI).text
    path = only_file(folder)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 37):
        path.write_bytes(whole[:length])
        answer = client.generate("Say hello", OPENAI)
        assert (answer.text, answer.cached) == (right, False), length


def test_an_answer_under_another_s_name_is_a_miss(cached: Cached, folder: Path) -> None:
    """Files that were renamed or swapped."""
    client = cached()
    one, two = client.generate("one", OPENAI).text, client.generate("two", OPENAI).text
    first, second = sorted(folder.rglob("*.json"))
    first_text, second_text = first.read_text(), second.read_text()
    first.write_text(second_text)
    second.write_text(first_text)
    assert (client.generate("one", OPENAI).text, client.generate("two", OPENAI).text) == (one, two)


def test_colliding_digests_give_no_wrong_answer(cached: Cached, monkeypatch: pytest.MonkeyPatch, upstream: Simulator) -> None:
    """If every request had the same digest, the whole request in the file would tell them apart."""
    monkeypatch.setattr(answers, "request_digest", lambda _: "0" * 64)
    client = cached()
    texts = [client.generate(prompt, OPENAI).text for prompt in ("one", "two", "one", "two")]
    assert texts[0] == texts[2] != texts[1] == texts[3]
    assert len(upstream.requests) == 4
    assert client.generate("two", OPENAI).cached


def test_a_file_of_a_later_release_is_left(cached: Cached, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is not used, and not replaced: the later release may need it."""
    cached().generate("x", OPENAI)
    path = only_file(folder)
    path.write_text(path.read_text().replace('"llm_sync_answer": 1', '"llm_sync_answer": 2'))
    text = path.read_text()
    assert not cached().generate("x", OPENAI).cached
    assert path.read_text() == text
    assert "is of a later release" in caplog.text


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
def test_files_of_another_user_are_not_read(cached: Cached, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever can write an answer could have the program do what it likes."""
    cached().generate("x", OPENAI)
    os.chown(only_file(folder), 12345, 12345)
    assert not cached().generate("x", OPENAI).cached
    assert "it belongs to another user (uid 12345)" in caplog.text


@pytest.mark.skipif(not IS_ROOT, reason="only root can give folders away")
def test_a_folder_of_another_user_is_refused(cached: Cached, folder: Path) -> None:
    """When the client is made; and a link of another user on the way to it."""
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    with pytest.raises(ConfigurationError, match="it belongs to another user"):
        cached()
    os.chown(folder, 0, 0)
    link = folder.with_name("link")
    link.symlink_to(folder)
    os.chown(link, 12345, 12345, follow_symlinks=False)
    with pytest.raises(ConfigurationError, match="link of another user"):
        cached(dir=str(link))


def test_a_file_in_place_of_the_folder_is_refused(cached: Cached, folder: Path) -> None:
    """When the client is made."""
    folder.write_text("")
    with pytest.raises(ConfigurationError, match="it is not a folder"):
        cached()


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_nothing_is_written_through_a_link(cached: Cached, folder: Path, tmp_path: Path) -> None:
    """Not into a folder elsewhere that a subfolder leads to, nor into a file."""
    cached().generate("x", OPENAI)
    path = only_file(folder)
    elsewhere = tmp_path / "elsewhere"
    path.parent.rename(elsewhere)
    path.parent.symlink_to(elsewhere)
    before = sorted(elsewhere.iterdir())
    next(iter(before)).unlink()
    assert cached().generate("x", OPENAI).text
    assert list(elsewhere.iterdir()) == []


def test_a_disk_that_is_full_costs_no_answer(
    cached: Cached, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, and nothing half is left."""

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    client = cached()
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "write", full)
        assert [client.generate(prompt, OPENAI).cached for prompt in ("x", "x", "y")] == [False] * 3
    assert caplog.text.count("answers cannot be stored in") == 1
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    client.generate("x", OPENAI)
    assert client.generate("x", OPENAI).cached


def test_a_folder_that_cannot_be_made_costs_no_answer(cached: Cached, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A read-only mount, or a file in the way."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError):
        cached(dir=str(tmp_path / "file" / "below"))
    client = cached(dir=str(tmp_path / "gone" / "below"))
    (tmp_path / "gone").write_text("")
    assert client.generate("x", OPENAI).text
    assert "answers cannot be stored" in caplog.text


def test_the_store_is_private(cached: Cached, folder: Path) -> None:
    """It has prompts and answers."""
    cached().generate("x", OPENAI)
    path = only_file(folder)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_mode & 0o777 == 0o700


MARKERS = ("MARKER-key-0123456789", "MARKER-header-0123456789", "MARKER-query-0123456789", "MARKER-url-0123456789")


def test_no_secret_is_ever_stored(upstream: Simulator, folder: Path) -> None:
    """Neither the key nor one in a header, a query or a URL; also where the prompt or the model holds one, and the reply or an
    error echoes it. The answer is found again all the same."""
    key, header, query, password = MARKERS
    url = upstream.url("openai").replace("http://", f"http://user:{password}@")
    text = f"""
providers:
  openai:
    api_key: {key}
    base_url: "{url}"
    headers: {{x-api-key: {header}}}
    query: {{api-key: {query}}}
    allow_insecure: true
"""
    prompts = [f"What is {marker}?" for marker in MARKERS]
    config = ConfigLoader()

    def client() -> LLMClient:
        return LLMClient(config.load_text(text), cache={"dir": folder, "errors": True})

    try:
        config.load_text(text)
    except ConfigurationError:  # a password in a URL is refused from the start
        text = text.replace(f"user:{password}@", "")
    with client() as asking:
        asked = [asking.generate(prompt, OPENAI) for prompt in prompts]
        with pytest.raises(Exception, match="no-such"):
            asking.generate(f"x {key}", f"openai/no-such-{key}")
    files_found = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files_found) == 5
    for path in files_found:
        content = path.read_text("utf-8")
        secrets = [marker for marker in (key, header, query) if marker in content or marker in path.name]
        assert secrets == [], path
        assert "authorization" not in content.lower()
    with client() as asking:
        asking.generate("anything", OPENAI)  # from now on the key is known here
        again = [asking.generate(prompt, OPENAI) for prompt in prompts]
    assert [answer.cached for answer in again] == [True] * 4
    assert len(asked) == 4


def test_answers_beyond_the_size_are_removed(cached: Cached, folder: Path) -> None:
    """Those that were not used for longest first."""
    client = cached(max_bytes=6000)
    for number in range(30):
        client.generate(f"question {number}", OPENAI)
    left = list(folder.rglob("*.json"))
    assert 0 < sum(path.stat().st_size for path in left) <= 8000
    assert client.generate("question 29", OPENAI).cached
    assert store.SUFFIX == ".json"
