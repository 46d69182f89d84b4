"""What the simulated models say: decided by dialect, model, messages and seed, and by nothing else."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_sync.simulator.instances import instance

_PIECE = re.compile(r"\s*(?:\w{1,6}|[^\w\s])")
_LONG = 4000  # characters from which tokens are estimated instead of counted
_GREETING = re.compile(r"\b(hello|hi|hey|greet\w*|welcome)\b", re.IGNORECASE)
_FAREWELL = re.compile(r"\b(bye|goodbye|farewell)\b", re.IGNORECASE)

_OPENINGS = {
    "greeting": ("Hello!", "Hello there!", "Hello, and welcome!", "A warm hello to you!"),
    "farewell": ("Goodbye!", "Goodbye, and until next time!", "Farewell!"),
    "question": ("Good question.", "Let us see.", "Here is a short answer.", "In brief:"),
    "task": ("Certainly.", "Of course.", "Gladly.", "Here you are."),
}
_MENTIONS = (
    'You wrote "{prompt}".',
    'Your prompt was "{prompt}".',
    'You asked for this: "{prompt}".',
    'I read "{prompt}" and this is my reply.',
)
_DISCLOSURES = (
    "This is a simulated answer in the place of {model}.",
    "No model was asked: the simulator plays {model}.",
    "The simulator answers here for {model}, and nothing is billed.",
)
_REMARKS = (
    "Ask again with the same words and seed, and the answer stays the same.",
    "Another seed would bring other words.",
    "A real model would have more to say about it.",
    "Its length is cut where the token limit says.",
    "The token counts beside it are estimates.",
    "Everything else about the exchange is as on the real wire.",
)


@dataclass
class Asked:
    """What a dialect read from a payload. ``turns``: (role, text) in order, the system prompt first."""

    dialect: str
    model: str
    turns: Sequence[tuple[str, str]]
    seed: object
    limit: int | None = None
    stops: Sequence[str] = ()
    schema: Any = None  # a JSON Schema the text has to be an instance of
    any_json: bool = False
    tools: Sequence[tuple[str, Any]] = ()  # name and JSON Schema of the arguments; those that may be called
    forced: bool = False
    reasoning: int = 0  # tokens spent before the first word


@dataclass(frozen=True)
class Answer:
    """``tokens`` counts text or arguments, ``reasoning`` what came before; ``cut`` when the limit ended it, ``stop`` when a
    stop sequence did. ``number`` is the digest everything was drawn from, for further draws."""

    text: str
    tokens: int
    reasoning: int
    cut: bool
    stop: str | None
    tool: str | None
    arguments: Any
    raw_arguments: str
    number: int


def answer(asked: Asked, choice: int = 0) -> Answer:
    """The answer; ``choice`` counts the alternatives of one request."""
    number = draw(asked, choice)
    tool, arguments, stop = None, None, None
    if asked.forced and asked.tools:
        tool, schema = asked.tools[number % len(asked.tools)]
        arguments = instance(schema, number)
        if not isinstance(arguments, dict):
            arguments = {}
        text = json.dumps(arguments, ensure_ascii=False)
    elif asked.schema is not None:
        text = json.dumps(instance(asked.schema, number), ensure_ascii=False)
    elif asked.any_json:
        text = json.dumps({"answer": sentence(asked, number)}, ensure_ascii=False)
    else:
        text = sentence(asked, number)
    if tool is None:
        for candidate in asked.stops:
            before, found, _ = text.partition(candidate)
            if found:
                text, stop = before, candidate
    pieces = split(text)
    overhead = 0 if tool is None else 8 + len(split(tool))  # the call's own syntax is billed too
    reasoning, left = asked.reasoning, None
    if asked.limit is not None:
        reasoning = min(reasoning, asked.limit)
        left = asked.limit - reasoning
    cut = left is not None and len(pieces) + overhead > left
    if cut and left is not None:
        pieces = pieces[: max(0, left - overhead)]
        text, stop, overhead = "".join(pieces), None, min(overhead, left)
    return Answer(
        text="" if tool else text,
        tokens=len(pieces) + overhead,
        reasoning=reasoning,
        cut=cut,
        stop=stop,
        tool=tool,
        arguments=arguments,
        raw_arguments=text if tool else "",
        number=number,
    )


def draw(asked: Asked, choice: int = 0) -> int:
    """A number that depends on dialect, model, turns and seed alone."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (asked.dialect, asked.model, repr(asked.seed), str(choice)):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    for role, text in asked.turns:
        digest.update(role.encode("utf-8", "surrogatepass") + b"\1" + text.encode("utf-8", "surrogatepass") + b"\2")
    return int.from_bytes(digest.digest(), "big")


def sentence(asked: Asked, number: int) -> str:
    """A few readable sentences that mention the last turn."""
    prompt = excerpt(next((text for role, text in reversed(asked.turns) if role in ("user", "tool")), ""))
    if _GREETING.search(prompt):
        kind = "greeting"
    elif _FAREWELL.search(prompt):
        kind = "farewell"
    else:
        kind = "question" if prompt.endswith("?") else "task"
    parts = [_pick(_OPENINGS[kind], number)]
    if prompt:
        parts.append(_pick(_MENTIONS, number >> 8).format(prompt=prompt))
    parts.append(_pick(_DISCLOSURES, number >> 16).format(model=asked.model or "a model"))
    first = (number >> 24) % len(_REMARKS)
    parts += [_REMARKS[(first + step) % len(_REMARKS)] for step in range((number >> 32) % 3)]
    return " ".join(parts)


def excerpt(text: str, width: int = 80) -> str:
    """The beginning of a prompt on one line, only characters that print, cut between words."""
    plain = "".join(char if char.isprintable() else " " for char in text[: width * 6])
    line = " ".join(plain.split())
    if len(line) <= width:
        return line
    return (line[: width - 1].rpartition(" ")[0] or line[: width - 1]) + "…"


def split(text: str) -> list[str]:
    """The tokens of a text, as this simulator cuts them; joined they are the text, but for blanks at its end."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """Tokens of a text; long ones are estimated at four characters a token."""
    return len(text) // 4 if len(text) > _LONG else len(split(text))


def weigh(document: object) -> int:
    """Tokens of a part of a payload that is sent as JSON (tools, schemas)."""
    return count(json.dumps(document)) if document else 0


def image_text(reference: object) -> str:
    """What stands in a turn for an image, so that another image draws another answer."""
    return f"[image {hashlib.blake2b(str(reference).encode('utf-8', 'surrogatepass'), digest_size=6).hexdigest()}]"


def text_of(parts: object, key: str = "text") -> str:
    """The text of a content that is a string or a list of parts; other parts stand as their digest."""
    if isinstance(parts, str):
        return parts
    if not isinstance(parts, list):
        return ""
    found = []
    for part in parts:
        if isinstance(part, Mapping) and isinstance(part.get(key), str):
            found.append(part[key])
        else:
            found.append(image_text(json.dumps(part)))
    return "\n".join(found)


def _pick(options: Sequence[str], number: int) -> str:
    return options[number % len(options)]
