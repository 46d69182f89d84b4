"""Gemini's files, as batches use them: a resumable upload in two calls, metadata, download and deletion."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.dialects.base import Call, Dialect, owner_of, random_id, read_json
from llm_sync.simulator.dialects.gemini import batches
from llm_sync.simulator.dialects.gemini.proto_json import Refuse
from llm_sync.simulator.jobs.clock import timestamp
from llm_sync.simulator.jobs.files import StoredFile
from llm_sync.simulator.jobs.store import JobStore
from llm_sync.simulator.server.file_body import FileBody
from llm_sync.simulator.server.response import Response

_KEPT = 48 * 3600.0
_PURPOSE_OPEN, _PURPOSE = "upload", "file"


def upload(call: Call, dialect: Dialect, jobs: JobStore, refuse: Refuse, headers: tuple[tuple[str, str], ...]) -> Response:
    """``start`` answers with the URL for the bytes, ``upload, finalize`` with the file."""
    owner, now = owner_of(call, dialect), jobs.clock.now()
    command = call.headers.get("x-goog-upload-command", "")
    identifier = call.query.get("upload_id")
    if identifier is None:
        if command != "start" or call.headers.get("x-goog-upload-protocol") != "resumable":
            refuse("Invalid upload: expected the protocol resumable and the command start.")
        identifier = random_id("", 32)
        opened = StoredFile(identifier, owner, _display_name(call, refuse), _PURPOSE_OPEN, jobs.files.new_path(), 0, now)
        jobs.files.add(opened)
        url = f"{call.root}/gemini/upload/v1beta/files?upload_id={identifier}&upload_protocol=resumable"
        return Response(
            200,
            b"",
            (("content-type", "text/plain; charset=utf-8"), ("x-goog-upload-url", url), ("x-goog-upload-status", "active")),
        )
    unfinished = jobs.files.of_any_owner(identifier)
    if unfinished is None or unfinished.purpose != _PURPOSE_OPEN:
        refuse("Upload has already been terminated.", 400)
    if command.replace(" ", "") != "upload,finalize" or call.headers.get("x-goog-upload-offset") != "0":
        refuse("Invalid upload: expected the command 'upload, finalize' at the offset 0.")
    unfinished.path.write_bytes(call.body)
    jobs.files.delete(unfinished)
    name = f"files/{random_id('', 12)}"
    file = StoredFile(name, unfinished.owner, unfinished.name, _PURPOSE, unfinished.path, len(call.body), now, now + _KEPT)
    return Response(200, {"file": shown(jobs.files.add(file))}, (*headers, ("x-goog-upload-status", "final")))


def _display_name(call: Call, refuse: Refuse) -> str:
    try:
        document = read_json(call.body) if call.body else {}
    except (ValueError, RecursionError) as error:
        refuse(f"Invalid JSON payload received. {error}")
    file = document.get("file") if isinstance(document, dict) else None
    name = (file.get("displayName") or file.get("display_name")) if isinstance(file, dict) else None
    return name if isinstance(name, str) else ""


def reply(call: Call, dialect: Dialect, jobs: JobStore, refuse: Refuse, headers: tuple[tuple[str, str], ...]) -> Response:
    """The answer to a call under ``/files``."""
    owner, now = owner_of(call, dialect), jobs.clock.now()
    if call.job_call == "list":
        listed = [shown(file) for file in jobs.files.listed(owner, now) if file.purpose == _PURPOSE]
        return Response(200, {"files": listed} if listed else {}, headers)
    name = call.path.removeprefix("/").removesuffix(":download")
    if call.job_call == "results":
        job = batches.result_file(name.removeprefix("files/"), owner, jobs)
        if job is None or call.query.get("alt") != "media":
            refuse(f"Requested entity was not found: {name}", 404)
        return Response(200, FileBody(job.outputs[0].path), (("content-type", "application/jsonl"),))
    file = jobs.files.get(name, owner, now)
    if file is None:
        refuse("You do not have permission to access the File, or it may not exist.", 403)
    if call.job_call == "delete":
        jobs.files.delete(file)
        return Response(200, {}, headers)
    return Response(200, shown(file), headers)


def shown(file: StoredFile) -> Mapping[str, Any]:
    """A file as Gemini describes it."""
    digest = hashlib.sha256(file.id.encode()).hexdigest()
    return {
        "name": file.id,
        **({"displayName": file.name} if file.name else {}),
        "mimeType": "application/jsonl",
        "sizeBytes": str(file.size),
        "createTime": timestamp(file.created),
        "updateTime": timestamp(file.created),
        "expirationTime": timestamp(file.expires or file.created),
        "sha256Hash": base64.b64encode(digest.encode()).decode(),
        "uri": f"https://generativelanguage.googleapis.com/v1beta/{file.id}",
        "state": "ACTIVE",
        "source": "UPLOADED",
    }
