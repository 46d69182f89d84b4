"""The text of generated answers: a few readable sentences that mention the prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
    "A token limit below its length would cut it short.",
    "The token counts beside it are estimates.",
    "Everything else about the exchange is as on the real wire.",
)


def make_text(prompt: str, model: str, number: int) -> str:
    """A few sentences that mention the prompt; the digits of ``number`` choose among the wordings."""
    prompt = excerpt(prompt)
    if _GREETING.search(prompt):
        kind = "greeting"
    elif _FAREWELL.search(prompt):
        kind = "farewell"
    else:
        kind = "question" if prompt.endswith("?") else "task"
    parts = [_pick(_OPENINGS[kind], number)]
    if prompt:
        parts.append(_pick(_MENTIONS, number >> 8).format(prompt=prompt))
    parts.append(_pick(_DISCLOSURES, number >> 16).format(model=model or "a model"))
    first = (number >> 24) % len(_REMARKS)
    parts += [_REMARKS[(first + step) % len(_REMARKS)] for step in range((number >> 32) % 3)]
    return " ".join(parts)


def excerpt(text: str, width: int = 80) -> str:
    """The beginning of a prompt on one line, printable characters only, cut between words."""
    plain = text[: width * 6]
    if not plain.isprintable():
        plain = "".join(char if char.isprintable() else " " for char in plain)
    line = " ".join(plain.split())
    if len(line) <= width:
        return line
    return (line[: width - 1].rpartition(" ")[0] or line[: width - 1]) + "…"


def _pick(options: Sequence[str], number: int) -> str:
    return options[number % len(options)]
