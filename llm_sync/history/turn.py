"""One turn of a conversation, and the line of JSON that holds it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import Message, ModelResponse
from llm_sync.models.frozen import Frozen
from llm_sync.models.media import Media, is_path
from llm_sync.models.messages import read_messages

FORMAT = 1
_FIELDS: Mapping[str, Collection[type]] = {
    "model": (str,),
    "at": (str,),
    "system_prompt": (str, type(None)),
    "usage": (dict, type(None)),
    "cost_estimate": (int, float, type(None)),
}


class UnreadableLine(Exception):
    """A line that is no turn; the message says why."""


@dataclass(frozen=True, repr=False, eq=False)
class Turn(Frozen):
    """What was asked, and what was answered, which belong together.

    ``asked``: the messages that this turn added, files as data URLs. ``answer``: the model's message, with what the provider
    wants back. ``model``: the name that was asked for, or the route's. ``system_prompt``: the one that the command gave. ``at``:
    when the answer was complete, ISO 8601 in UTC. ``usage``: tokens by name; ``cost``: USD, None where unknown.
    """

    asked: tuple[Message, ...]
    answer: Message
    model: str
    at: str
    system_prompt: str | None = None
    usage: dict[str, Any] | None = None
    cost: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, as the file has it."""
        return {
            "format": FORMAT,
            "at": self.at,
            "model": self.model,
            **({"system_prompt": self.system_prompt} if self.system_prompt is not None else {}),
            "asked": [_plain(message) for message in self.asked],
            "answer": _plain(self.answer),
            "usage": self.usage,
            "cost_estimate": self.cost,
        }


def turn_of(asked: Sequence[Message], response: ModelResponse, model: str, system_prompt: str | None) -> Turn:
    """The turn that an answer completes."""
    at = response.timestamp.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    usage = dict(vars(response.usage))
    return Turn(tuple(asked), response.message, model, at, system_prompt, usage, response.cost_estimate)


def encode(turn: Turn) -> str:
    """The turn as one line, without its end. A lone surrogate is written as an escape."""
    return json.dumps(turn.to_dict(), ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8")


def decode(line: bytes) -> Turn:
    """The turn in a line. Raises UnreadableLine, also for a later format and for a message that names a file of this machine."""
    try:
        value = json.loads(line)
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise UnreadableLine("it is not a turn in a format that is known")
        for name, kinds in _FIELDS.items():
            if type(value.get(name)) not in kinds:
                raise UnreadableLine(f"its {name} is of a wrong type")
        asked, (answer,) = read_messages(value["asked"]), read_messages([value["answer"]])
        at = datetime.fromisoformat(value["at"]).isoformat(timespec="milliseconds")
    except (ValueError, TypeError, KeyError, RecursionError, InvalidRequestError) as error:
        raise UnreadableLine(f"{type(error).__name__}: {error}") from None
    if answer.role != "assistant" or any(_names_file(message) for message in asked):
        raise UnreadableLine("it has an answer of another role, or names a file of this machine")
    return Turn(asked, answer, value["model"], at, value.get("system_prompt"), value.get("usage"), value.get("cost_estimate"))


def _names_file(message: Message) -> bool:
    return any(is_path(source) for source in (*message.images, *(part.source for part in message.parts)))


def _plain(message: Message) -> dict[str, Any]:
    """The message in JSON's types: files that were read become data URLs."""
    out = message.to_dict()
    if "images" in out:
        out["images"] = [_source(image) for image in out["images"]]
    for part in out.get("parts", ()):
        if "source" in part:
            part["source"] = _source(part["source"])
    return out


def _source(source: Any) -> Any:
    if not isinstance(source, Media):
        return source
    from llm_sync.models.documents import data_url  # few conversations have files

    return data_url(source)
