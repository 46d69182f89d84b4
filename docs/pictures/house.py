#!/usr/bin/env python3
"""Draws the house and one request's way through it: docs/pictures/rooms.svg and path.svg, for architecture.md.

    python docs/pictures/house.py [FOLDER]

The rooms and their order are those of the import rules in pyproject.toml; a room's floor is what it stands on.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from drawing import Canvas  # type: ignore[import-not-found]

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "llm_sync"
WIDTH, FLOOR, GAP, MARGIN = 860, 34, 10, 20  # pixels

# Those that a newcomer looks for first.
FRONT = {"cli", "client", "providers", "dispatch", "transport", "config", "simulator"}
# Which library only this room may import.
ALONE = {"transport": "requests, urllib3, tenacity", "validation": "cerberus", "machine": "fcntl", "observe": "opentelemetry"}


class Hop(NamedTuple):
    """A step of a request: what does it, what it does, and in whose thread (0: the caller's, 1: the worker's)."""

    name: str
    does: str
    lane: int


HOPS = [
    Hop("Dispatcher.prepare", "routes, fills defaults, builds and checks the payload", 0),
    Hop("ProviderRequestQueue.submit", "refuses when closed, queues the request, gives a Future", 0),
    Hop("ProviderRequestQueue", "one worker takes one request after the other", 1),
    Hop("LLMProvider.send", "runs within the middleware; adds the credential", 1),
    Hop("RetryHandler.call", "enters the Gate: cool-down, pace; decides on another attempt", 1),
    Hop("HTTPClient.post", "a pooled Session, a deadline on every socket call: a Reply", 1),
    Hop("ResponseValidator", "the dialect's schema, then its reading: an answer, or an error", 1),
    Hop("ConcurrentLLMManager", "results in the order of the requests", 0),
]


def floors() -> list[list[str]]:
    """The rooms there are, from the front door down."""
    rules = (ROOT / "pyproject.toml").read_text("utf-8").split("\nlayers = [")[1].split("\n]")[0]
    levels = []
    for layer in re.findall(r'"([^"]+)"', rules):
        rooms = re.findall(r"[a-z_]+", layer)
        levels.append([room for room in rooms if (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").is_file()])
    return [rooms for rooms in levels if rooms and rooms != ["__main__"]]


def house() -> Canvas:
    """The rooms, floor by floor."""
    levels = floors()
    height = 60 + len(levels) * (FLOOR + GAP) + 34
    description = "From the front door down: " + "; ".join(", ".join(rooms) for rooms in levels) + "."
    canvas = Canvas(WIDTH, height, "The rooms of llm_sync", description)
    canvas.text(MARGIN, 28, "llm_sync: who may import whom", "title")
    left, right = MARGIN + 20, WIDTH - MARGIN
    canvas.arrow(MARGIN + 4, 50, MARGIN + 4, height - 50)
    for number, rooms in enumerate(levels):
        y = 48 + number * (FLOOR + GAP)
        width = (right - left - GAP * (len(rooms) - 1)) / len(rooms)
        for place, room in enumerate(rooms):
            x = left + place * (width + GAP)
            canvas.rect(x, y, width, FLOOR, "strong" if room in FRONT else "room")
            canvas.text(x + width / 2, y + (15 if room in ALONE else 21), room, anchor="middle")
            if room in ALONE:
                canvas.text(x + width / 2, y + 28, f"alone imports {ALONE[room]}", "small faint", anchor="middle")
    canvas.text(
        left,
        height - 26,
        "Imports go down, or to a neighbour on the same floor. Some rooms must not know each other:",
        "small faint",
    )
    description = (
        "providers import neither dispatch nor transport, the simulator only validation, models and errors, nothing imports cli."
    )
    canvas.text(left, height - 10, description, "small faint")
    return canvas


def path() -> Canvas:
    """One request, hop by hop, through two threads."""
    description = " ".join(f"{number}. {hop.name}: {hop.does}." for number, hop in enumerate(HOPS, 1))
    box, step, width = 46, 66, 400
    height = 46 + step * len(HOPS)
    canvas = Canvas(WIDTH, height, "One request's way", description)
    columns = (MARGIN, WIDTH - MARGIN - width)
    for x, name in zip(columns, ("the caller's thread", "the provider's worker thread"), strict=True):
        canvas.text(x + width / 2, 28, name, "title", anchor="middle")
        canvas.line(x + width / 2, 40, x + width / 2, height - 30, "grid")
    for number, hop in enumerate(HOPS):
        x, y = columns[hop.lane], 48 + step * number
        canvas.rect(x, y, width, box, "strong" if hop.name.startswith("LLM") else "room")
        canvas.text(x + 12, y + 19, f"{number + 1}  {hop.name}", "title")
        canvas.text(x + 12, y + 36, hop.does, "small faint")
        if number + 1 < len(HOPS):
            _lead_on(canvas, columns, hop.lane, HOPS[number + 1].lane, y + box, step - box)
    y = 48 + step * 5
    canvas.text(columns[0] + width - 8, y + 27, "the provider", "small faint", anchor="end")
    canvas.arrow(columns[1], y + 15, columns[0] + width, y + 15)
    canvas.arrow(columns[0] + width, y + 33, columns[1], y + 33)
    y = 48 + step * 2
    canvas.rect(columns[0] + width / 2 - 110, y + 12, 220, 22, "paper")
    canvas.text(columns[0] + width / 2, y + 27, "waits for the Future, or goes on", "small faint", anchor="middle")
    return canvas


def _lead_on(canvas: Canvas, columns: tuple[int, int], here: int, there: int, y: float, gap: float) -> None:
    """The arrow from a box to the next one, which may stand in the other thread."""
    if here == there:
        canvas.arrow(columns[here] + 40, y, columns[here] + 40, y + gap)
        return
    first, second = columns[here] + (360 if here == 0 else 40), columns[there] + (40 if there == 1 else 360)
    canvas.line(first, y, first, y + gap / 2, "arrow")
    canvas.line(first, y + gap / 2, second, y + gap / 2, "arrow")
    canvas.arrow(second, y + gap / 2, second, y + gap)


PICTURES = {"rooms": house, "path": path}

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for stem, make in PICTURES.items():
        make().save(folder / f"{stem}.svg")
