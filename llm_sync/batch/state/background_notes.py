"""Background answers that earlier runs asked for and did not fetch, as the journal has them.

``{"started": KEY, "line": HASH, "via": "background"}`` is written before the create, and ``{"background": KEY, "line": HASH,
"settings": HASH, "job": ID}`` as soon as the provider's id is known. An answer that can be read once only is written before it
is read, too (``"reply"``). The outcome's line ends all of it.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections import Counter
from typing import Any, NamedTuple

from llm_sync.batch.state.journal_format import lines_of, pieces_of
from llm_sync.batch.state.records import Head, Key, read_head
from llm_sync.models import Reply
from llm_sync.providers.background_wire import job_id

_START = b'{"background": ['


class MadeAnswer(NamedTuple):
    """An answer that a provider makes, or has made. ``reply``: what was read of it, but has no outcome yet."""

    job: str
    settings: str
    reply: Reply | None = None


class BackgroundNotes:
    """``lost``: requests that were on their way when their run was killed, so that nobody knows an id. One thread at a time."""

    def __init__(self) -> None:
        self.lost: set[tuple[Key, str]] = set()
        self._made: dict[tuple[Key, str], MadeAnswer] = {}  # with the hash of the line

    def take_note(self, key: Key, note: dict[str, Any]) -> None:
        """Read one note. Raises KeyError, TypeError, ValueError for a damaged one."""
        place = key, str(note["line"])
        if job_id(note["job"]) is None:
            raise ValueError("this is no id of an answer")
        reply = _reply_of(note["reply"]) if "reply" in note else None
        self._made[place] = MadeAnswer(str(note["job"]), str(note["settings"]), reply)
        self.lost.discard(place)

    def lose(self, place: tuple[Key, str]) -> None:
        """A request was on its way when its run ended; a former answer, if there was one, has come to nothing before that."""
        self._made.pop(place, None)
        self.lost.add(place)

    def end(self, head: Head) -> None:
        """A request has an outcome."""
        self._made.pop((head.key, head.line), None)
        self.lost.discard((head.key, head.line))

    def find(self, key: Key, line: str, settings: str) -> MadeAnswer | None:
        """The answer that was made for a request under these settings. A line may have moved meanwhile."""
        made = self._made.get((key, line))
        if made is not None and made.settings == settings:
            return made
        wanted = (key.provider, key.model, line, settings)
        equal = ((place, made) for place, made in self._made.items() if (*place[0][1:], place[1], made.settings) == wanted)
        return next((made for _, made in equal), None)

    def give(self, made: MadeAnswer) -> None:
        """Somebody fetches this answer; it is found no more."""
        self._made = {place: other for place, other in self._made.items() if other is not made}

    def by_model(self) -> dict[tuple[str, str], int]:
        """How many answers nobody has fetched, for each provider and model."""
        names = ((key.provider, key.model) for key, _ in self._made)
        return dict(Counter((name, model) for name, model in names if isinstance(name, str) and isinstance(model, str)))

    @property
    def left(self) -> int:
        """The number of answers that nobody has fetched."""
        return len(self._made)


def unfetched_answers(path: str) -> dict[tuple[str, str], int]:
    """How many answers nobody has fetched, by the journal at a path, for each provider and model. Raises OSError."""
    notes = BackgroundNotes()
    for _, line in lines_of(path):
        for piece in (line,) if line.startswith(_START) else pieces_of(line):
            if piece.startswith(_START):
                with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):  # damaged
                    (_, value), *more = json.loads(piece).items()
                    notes.take_note(Key(*value), dict(more))
            elif notes.left and (head := read_head(piece)) is not None:
                notes.end(head)
    return notes.by_model()


def made_note(key: Key, line: str, settings: str, job: str) -> dict[str, Any]:
    """The journal's note of an answer that is being made."""
    return {"background": key, "line": line, "settings": settings, "job": job}


def reply_note(key: Key, line: str, settings: str, job: str, reply: Reply) -> dict[str, Any]:
    """The journal's note of an answer that was fetched and cannot be fetched again."""
    content = base64.b64encode(reply.content).decode("ascii")
    headers = {name: str(value) for name, value in reply.headers.items()}
    return {**made_note(key, line, settings, job), "reply": {"status": reply.status, "headers": headers, "body": content}}


def _reply_of(note: dict[str, Any]) -> Reply:
    headers = {str(name).lower(): str(value) for name, value in note["headers"].items()}
    return Reply(int(note["status"]), headers, base64.b64decode(note["body"], validate=True))
