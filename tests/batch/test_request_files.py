"""Files that lines name by path: regular ones only, below the input's folder or one that is allowed."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import Batch, Far

from llm_sync import batch
from llm_sync.client import request_files
from llm_sync.errors import InvalidRequestError
from llm_sync.models import ModelRequest
from llm_sync.models.documents import load_document

PNG = b"\x89PNG\r\n\x1a\nx"
PDF = b"%PDF-1.7 x"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A picture that is not below the input's folder."""
    (tmp_path / "Pictures").mkdir()
    path = tmp_path / "Pictures" / "passport.png"
    path.write_bytes(PNG)
    return path


@pytest.fixture
def inner(job: Batch, tmp_path: Path) -> Batch:
    """A batch in a folder below."""
    folder = tmp_path / "received"
    folder.mkdir()
    job.input, job.output, job.part = folder / "in.jsonl", folder / "out.jsonl", folder / "out.jsonl.part"
    return job


FORMS = {
    "prompt": lambda path: {"prompt": "p", "images": [path]},
    "message": lambda path: {"messages": [{"role": "user", "content": "p", "images": [path]}]},
    "document": lambda path: {"prompt": "p", "documents": [path]},
    "image part": lambda path: {"messages": [{"role": "user", "parts": ["p", {"type": "image", "source": path}]}]},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_elsewhere_is_not_sent_unless_its_folder_is_allowed(inner: Batch, far: Far, private: Path, form: str) -> None:
    """Wherever in the line it is named."""
    inner.lines(FORMS[form](str(private)))
    with pytest.raises(InvalidRequestError, match=r"line 1: .*not below .*allow its folder with --allow-files DIR"):
        inner.run(models=["a/m"])
    assert far.asked == []
    assert inner.run(models=["a/m"], allow_files=[private.parent]).tally.answered == 1


@pytest.mark.parametrize("kind", ["document", "audio"])
def test_a_file_of_another_kind_is_not_sent_either(inner: Batch, far: Far, private: Path, kind: str) -> None:
    """What a part calls it makes no difference."""
    inner.lines({"messages": [{"role": "user", "parts": ["p", {"type": kind, "source": str(private)}]}]})
    with pytest.raises(InvalidRequestError, match=r"line 1: .*not below .*allow its folder with --allow-files DIR"):
        inner.run(models=["a/m"])
    assert far.asked == []


def test_a_document_below_the_inputs_folder_is_sent_with_its_name(inner: Batch, far: Far) -> None:
    """Beside a prompt and as a part; a request of a program goes through the batch with it."""
    path = inner.input.parent / "report.pdf"
    path.write_bytes(PDF)
    inner.lines(
        {"prompt": "p", "model": "a/m", "documents": [str(path)]},
        {"model": "a/m", "messages": [{"role": "user", "parts": ["p", {"type": "document", "source": str(path)}]}]},
    )
    assert inner.run().tally.answered == 2
    names = [part["file"]["filename"] for content in far.contents for part in content if "file" in part]
    assert names == ["report.pdf"] * 2
    program = [ModelRequest("q", "a/m", documents=[path]), ModelRequest("q", "a/m", documents=[load_document(PDF, "x y.pdf")])]
    assert batch.run(program, inner.output.with_name("other.jsonl"), inner.client).tally.answered == 2


def test_messages_in_openais_form_are_read(inner: Batch, far: Far) -> None:
    """In lines of our own format; what the API does not have is an adjustment of the answer."""
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    talk = [
        {"role": "developer", "content": "Be brief"},
        {"role": "user", "content": [{"type": "text", "text": "Add", "citations": [1]}]},
        {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "name": "add", "content": "2"},
    ]
    inner.lines({"messages": talk, "model": "a/m"})
    assert inner.run().tally.answered == 1
    (record,) = [json.loads(line) for line in inner.output.read_text().splitlines()]
    assert [each["parameter"] for each in record["response"]["adjustments"]][:1] == ["messages[1].content[0].citations"]
    inner.lines({"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {}}]}], "model": "a/m"})
    with pytest.raises(InvalidRequestError, match=r"line 1: messages\[0\].content\[0\] is of type 'video_url'"):
        inner.run()


def test_a_file_below_the_inputs_folder_is_sent(inner: Batch, far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its absolute or its relative path, which starts at the current folder."""
    (inner.input.parent / "a").mkdir()
    path = inner.input.parent / "a" / "b.png"
    path.write_bytes(PNG)
    monkeypatch.chdir(inner.input.parent)
    inner.lines(*({"prompt": "p", "model": "a/m", "images": [each]} for each in (str(path), "a/b.png")))
    assert inner.run().tally.answered == 2


@pytest.mark.skipif(os.name != "posix", reason="links, pipes and devices of POSIX")
@pytest.mark.parametrize("kind", ["link", "pipe", "device", "folder", "dots"])
@pytest.mark.timeout(30)
def test_what_is_no_file_below_it_is_refused_at_once(inner: Batch, far: Far, private: Path, kind: str) -> None:
    """Without reading or waiting; in a dry run, too."""
    path = inner.input.parent / "x.png"
    if kind == "link":
        path.symlink_to(private)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    named = {"device": "/dev/zero", "dots": f"{path.parent}/../Pictures/passport.png"}.get(kind, str(path))
    inner.lines({"prompt": "p", "model": "a/m", "images": [named]})
    assert "line 1" in str(inner.dry_run().problems[0])
    with pytest.raises(InvalidRequestError, match="cannot be read"):
        inner.run()
    assert far.asked == []


def test_a_file_that_is_too_large_is_refused(inner: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is read."""
    monkeypatch.setattr(request_files, "MAX_FILE_BYTES", 5)
    path = inner.input.parent / "x.png"
    path.write_bytes(PNG)
    inner.lines({"prompt": "p", "model": "a/m", "images": [str(path)]})
    with pytest.raises(InvalidRequestError, match="larger than 5 bytes"):
        inner.run()


def test_what_is_no_image_is_refused_by_its_name(inner: Batch) -> None:
    """Before it is sent."""
    path = inner.input.parent / "x.png"
    path.write_bytes(b"text")
    inner.lines({"prompt": "p", "model": "a/m", "images": [str(path)]})
    with pytest.raises(InvalidRequestError, match=r"'.*x.png' is not a PNG"):
        inner.run()


def test_lines_from_a_stream_may_name_files_below_the_current_folder(
    inner: Batch, far: Far, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines of an open file or of standard input have no other folder."""
    line = json.dumps({"prompt": "p", "model": "a/m", "images": [str(private)]}) + "\n"
    monkeypatch.chdir(inner.input.parent)
    with pytest.raises(InvalidRequestError, match="not below"):
        inner.run(requests=io.StringIO(line))
    monkeypatch.chdir(private.parent)
    assert inner.run(requests=io.StringIO(line)).tally.answered == 1


def test_a_programs_own_requests_may_name_any_file(inner: Batch, far: Far, private: Path) -> None:
    """It could read them itself; a pipe is refused all the same."""
    requests: list[Any] = [{"prompt": "p", "model": "a/m", "images": [private]}]
    assert batch.run(requests, inner.output, inner.client).tally.answered == 1
    if hasattr(os, "mkfifo"):
        os.mkfifo(private.with_name("pipe"))
        with pytest.raises(InvalidRequestError, match="not a regular file"):
            batch.run([{**requests[0], "images": [private.with_name("pipe")]}], inner.output, inner.client)
