"""Finite automata that read each character of a text once. linear_regex.py builds them from patterns.

An automaton is nondeterministic. The sets of states that occur are computed on demand and remembered, so that a character
usually costs one look-up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

MAX_TEXT = 1_000_000  # characters that are searched
MAX_WORK = 5_000_000  # visits of single states; this many take some seconds
_MAX_CACHE = 20_000  # remembered sets of states
_AT_ENDS = ("begin", "end", "end_string")  # conditions that no position within a text fulfils
_NOT_AT_EMPTY = re.search(r"\B", "") is None  # changed in Python 3.14

Matches = Callable[[str], bool]


class TextTooLong(ValueError):
    """The text is too long for this pattern to be searched in acceptable time."""


class Edge(NamedTuple):
    """From one state to ``target``: by a character of a kind (``matcher``), under a ``condition``, or freely."""

    target: int
    matcher: int = -1
    condition: int = -1


class Condition(NamedTuple):
    """What must hold at a position. ``look``: the number of a lookaround, or -1."""

    kind: str
    look: int = -1
    is_word: Matches | None = None

    def holds(self, text: str, position: int, truths: list[bytearray]) -> bool:
        """Whether it holds before the character at ``position``; ``truths``: for each lookaround, the positions it accepts."""
        before, after = text[position - 1 : position] if position else "", text[position : position + 1]
        if self.look >= 0:
            return bool(truths[self.look][position]) == (self.kind == "look")
        if self.kind == "begin":
            return not before
        if self.kind == "begin_line":
            return not before or before == "\n"
        if self.kind == "end":
            return not after or (after == "\n" and position == len(text) - 1)
        if self.kind == "end_line":
            return not after or after == "\n"
        if self.kind == "end_string":
            return not after
        assert self.is_word is not None  # noqa: S101
        boundary = bool(before and self.is_word(before)) != bool(after and self.is_word(after))
        return boundary if self.kind == "boundary" else not boundary and not (_NOT_AT_EMPTY and not text)


class _Node:
    """What can be reached from a set of states under the conditions at a position.

    ``steps``: kind of character -> the states after it.
    """

    __slots__ = ("accepts", "edges", "steps")

    def __init__(self, accepts: bool, edges: tuple[Edge, ...]) -> None:
        self.accepts, self.edges = accepts, edges
        self.steps: dict[int, frozenset[int]] = {}


class Program:
    """An automaton that starts at every position. Steps that were computed once are remembered."""

    def __init__(self, backward: bool) -> None:
        self.backward = backward
        self.edges: list[list[Edge]] = [[]]  # state 0 accepts
        self.start = 0
        self.conditions: list[Condition] = []
        self.matchers: list[Matches] = []
        self._nodes: dict[tuple[frozenset[int], tuple[bool, ...]], _Node] = {}
        self._kinds: dict[str, int] = {}  # character -> its kind: characters that the same matchers accept are of one kind
        self._kind_numbers: dict[tuple[bool, ...], int] = {}

    def positions(self, text: str, truths: list[bytearray]) -> bytearray:
        """1 for each position (0 to the text's length) at which the automaton accepts."""
        accepting = bytearray(len(text) + 1)
        for position in self.run(text, truths):
            accepting[position] = 1
        return accepting

    def run(self, text: str, truths: list[bytearray]) -> Iterator[int]:
        """The positions at which the automaton accepts, in its direction. Raises TextTooLong."""
        states: frozenset[int] = frozenset()
        work = 0
        size = len(text)
        nowhere_within = (False,) * len(self.conditions) if all(each.kind in _AT_ENDS for each in self.conditions) else None
        for step in range(size + 1):
            position = size - step if self.backward else step
            if nowhere_within is not None and 0 < position < size - 1:
                context = nowhere_within
            else:
                context = tuple(condition.holds(text, position, truths) for condition in self.conditions)
            node = self._nodes.get((states, context))
            if node is None:
                node = self._close(states, context)
                work += len(states) + len(node.edges)
            if node.accepts:
                yield position
            if step == size:
                return
            kind = self._kind(text[position - 1 if self.backward else position])
            following = node.steps.get(kind)
            if following is None:
                following = node.steps[kind] = self._follow(node, kind)
                work += len(node.edges)
                if work > MAX_WORK:
                    raise TextTooLong("too long a text for so large a pattern")
            states = following

    def _kind(self, character: str) -> int:
        kind = self._kinds.get(character)
        if kind is None:
            accepted = tuple(matches(character) for matches in self.matchers)
            kind = self._kinds[character] = self._kind_numbers.setdefault(accepted, len(self._kind_numbers))
        return kind

    def _follow(self, node: _Node, kind: int) -> frozenset[int]:
        accepted = next(accepted for accepted, number in self._kind_numbers.items() if number == kind)
        return frozenset(edge.target for edge in node.edges if accepted[edge.matcher])

    def _close(self, states: frozenset[int], context: tuple[bool, ...]) -> _Node:
        """The states that can be reached without reading a character, under the conditions that hold."""
        pending = [*states, self.start]
        reached = set(pending)
        edges: dict[Edge, None] = {}
        while pending:
            for edge in self.edges[pending.pop()]:
                if edge.matcher >= 0:
                    edges[edge] = None
                elif (edge.condition < 0 or context[edge.condition]) and edge.target not in reached:
                    reached.add(edge.target)
                    pending.append(edge.target)
        if len(self._nodes) > _MAX_CACHE:
            self._nodes = {}
        node = self._nodes[states, context] = _Node(0 in reached, tuple(edges))
        return node
