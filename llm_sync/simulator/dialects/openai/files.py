"""OpenAI's files: ``POST /files`` (multipart), ``GET /files``, ``/files/ID`` and ``/files/ID/content``, ``DELETE /files/ID``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from llm_sync.simulator.dialects.base import Call, Dialect, owner_of, random_id
from llm_sync.simulator.dialects.openai.checks import Refuse
from llm_sync.simulator.jobs.files import StoredFile
from llm_sync.simulator.jobs.multipart import FormField, read_form
from llm_sync.simulator.jobs.store import JobStore
from llm_sync.simulator.server.file_body import FileBody

KEPT_SECONDS = 30 * 86_400.0
_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_MAX_BYTES = 200 * 2**20
_FIELDS = ("purpose", "file", "expires_after[anchor]", "expires_after[seconds]")


class FileRules(NamedTuple):
    """What differs between the providers with such files. ``kept``: seconds, None: for ever; ``fields``: of the form;
    ``check``: refuses content; ``further``: members of a described file."""

    new_id: Callable[[], str]
    kept: float | None
    fields: tuple[str, ...]
    check: Callable[[bytes, Refuse], None] | None = None
    further: Mapping[str, Any] = {}


_RULES = FileRules(lambda: random_id("file-", 22), KEPT_SECONDS, _FIELDS)


def reply(call: Call, dialect: Dialect, jobs: JobStore, refuse: Refuse, rules: FileRules = _RULES) -> Any:
    """The body of the answer to a call under ``/files``: a document, or the content of a file."""
    owner, now = owner_of(call, dialect), jobs.clock.now()
    parts = call.path.split("/")[2:]
    if not parts:
        if call.method == "POST":
            return {**shown(_upload(call, owner, jobs, refuse, rules)), **rules.further}
        return _listing(call, jobs.files.listed(owner, now), refuse)
    file = jobs.files.get(parts[0], owner, now)
    if file is None:
        refuse(f"No such File object: {parts[0]}", param="id", status=404)
    if parts[1:] == ["content"] and call.method == "GET":
        return FileBody(file.path)
    if len(parts) > 1:
        refuse(f"Invalid URL ({call.method} /v1{call.path})", status=404)
    if call.method == "DELETE":
        jobs.files.delete(file)
        return {"id": file.id, "object": "file", "deleted": True}
    return {**shown(file), **rules.further}


def content_headers(path: str) -> dict[str, str]:
    """The headers of a file's content, by the path of the call."""
    name = path.split("/")[2]
    return {"content-type": "application/octet-stream", "content-disposition": f'attachment; filename="{name}.jsonl"'}


def shown(file: StoredFile) -> Mapping[str, Any]:
    """A file as OpenAI describes it."""
    return {
        "object": "file",
        "id": file.id,
        "purpose": file.purpose,
        "filename": file.name,
        "bytes": file.size,
        "created_at": int(file.created),
        "expires_at": None if file.expires is None else int(file.expires),
        "status": "processed",
        "status_details": None,
    }


def kept_seconds(anchor: object, seconds: object, name: str, anchors: str, refuse: Refuse) -> float:
    """How long a file is kept, from ``expires_after`` or ``output_expires_after``; the default if neither is set."""
    if anchor is None and seconds is None:
        return KEPT_SECONDS
    if anchor != anchors:
        refuse(f"Invalid value: {anchor!r}. Supported values are: '{anchors}'.", param=f"{name}.anchor", code="invalid_value")
    try:
        value = int(str(seconds))
    except ValueError:
        value = 0
    if not 3600 <= value <= 2_592_000:
        refuse(
            f"Invalid '{name}.seconds': expected an integer from 3600 to 2592000.", param=f"{name}.seconds", code="invalid_value"
        )
    return float(value)


def _upload(call: Call, owner: tuple[str, str], jobs: JobStore, refuse: Refuse, rules: FileRules) -> StoredFile:
    fields = _form(call, rules.fields, refuse)
    purpose, file = fields.get("purpose"), fields.get("file")
    if purpose is None or file is None or file.filename is None:
        name = "purpose" if purpose is None else "file"
        refuse(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    word = purpose.content.decode("utf-8", "replace")
    if word not in _PURPOSES:
        refuse(f"Invalid value: '{word}'. Supported values are: {', '.join(_PURPOSES)}.", param="purpose", code="invalid_value")
    if word == "batch" and not file.filename.endswith(".jsonl"):
        refuse("Invalid file format for Batch API. Must be .jsonl", param="file")
    if len(file.content) > _MAX_BYTES:
        refuse("File is too large.", param="file", status=413)
    given = [fields[name].content.decode("utf-8", "replace") if name in fields else None for name in _FIELDS[2:]]
    kept = rules.kept
    if any(given):
        kept = kept_seconds(given[0], given[1], "expires_after", "created_at", refuse)
    if rules.check is not None:
        rules.check(file.content, refuse)
    path, now = jobs.files.new_path(), jobs.clock.now()
    path.write_bytes(file.content)
    expires = None if kept is None else now + kept
    return jobs.files.add(StoredFile(rules.new_id(), owner, file.filename, word, path, len(file.content), now, expires))


def _form(call: Call, names: tuple[str, ...], refuse: Refuse) -> dict[str, FormField]:
    try:
        fields = read_form(call.headers.get("content-type", ""), call.body)
    except ValueError as error:
        refuse(f"The form of your request could not be read: {error}.")
    for field in fields:
        if field.name not in names:
            refuse(f"Unknown parameter: '{field.name}'.", param=field.name, code="unknown_parameter")
    return {field.name: field for field in fields}


def _listing(call: Call, files: list[StoredFile], refuse: Refuse) -> Mapping[str, Any]:
    """``purpose``, ``limit`` (10,000), ``order`` (desc) and ``after``."""
    wanted = [file for file in files if call.query.get("purpose") in (None, file.purpose)]
    if call.query.get("order", "desc") == "asc":
        wanted.reverse()
    return page([shown(file) for file in wanted], call, 10_000, 10_000, refuse)


def page(items: list[Mapping[str, Any]], call: Call, default: int, largest: int, refuse: Refuse) -> Mapping[str, Any]:
    """A page of a listing: ``limit`` items after the one whose id is ``after``."""
    text = call.query.get("limit", str(default))
    limit = int(text) if text.isdigit() and len(text) < 9 else 0
    if not 1 <= limit <= largest:
        refuse(f"Invalid 'limit': expected an integer from 1 to {largest}.", param="limit", code="invalid_value")
    names = [item["id"] for item in items]
    after = call.query.get("after")
    start = names.index(after) + 1 if after in names else 0 if after is None else len(names)
    chosen = items[start : start + limit]
    return {
        "object": "list",
        "data": chosen,
        "first_id": chosen[0]["id"] if chosen else None,
        "last_id": chosen[-1]["id"] if chosen else None,
        "has_more": start + limit < len(items),
    }
