r"""Regular expressions whose search takes time linear in the text, whatever the pattern.

Python's own engine backtracks: ``(a+)+$`` takes years on forty letters, and holds the interpreter meanwhile, so that no
timeout, no Ctrl-C and no other thread gets a turn. Patterns of schemas and scripts come from other people, and the texts from
models. Here a pattern becomes a finite automaton, which reads each character once. It accepts the syntax of ``re`` with the same
meaning, including lookaheads and lookbehinds. Backreferences, atomic groups and possessive repeats are refused: no automaton has
them.
"""

from __future__ import annotations

import re
from typing import Any

from llm_sync.validation.automaton import MAX_TEXT, Condition, Edge, Matches, Program, TextTooLong

MAX_STATES = 25_000  # of the automaton; {m,n} counts n times
_UNSUPPORTED = {
    "GROUPREF": "a backreference",
    "GROUPREF_EXISTS": "a conditional group",
    "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive repeat",
}
_CATEGORIES = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}


class UnsupportedPattern(ValueError):
    """The pattern is valid, but no automaton of acceptable size can search for it."""


class LinearPattern:
    """A compiled pattern. Any thread may use it."""

    def __init__(self, pattern: str | re.Pattern[str]) -> None:
        """Raises re.error for a text that is no pattern, and UnsupportedPattern."""
        compiled = re.compile(pattern)
        self.pattern = compiled.pattern
        parser = _parser()
        try:
            tree = parser.parse(compiled.pattern, compiled.flags)
            self._fast = None if _has_repeat(tree) else compiled  # without repeats, re does not backtrack far
            builder = _Builder(compiled.flags, int(parser.MAXREPEAT))
            self._program = builder.program(tree, compiled.flags, backward=False)
        except RecursionError:
            raise UnsupportedPattern("is nested too deeply") from None
        self._looks = builder.looks

    def search(self, text: str) -> bool:
        """Whether the pattern matches anywhere in the text. Raises TextTooLong."""
        if self._fast is not None:
            return self._fast.search(text) is not None
        if len(text) > MAX_TEXT:
            raise TextTooLong(f"more than {MAX_TEXT} characters")
        truths: list[bytearray] = []
        for program in self._looks:  # inner ones come before those that contain them
            truths.append(program.positions(text, truths))
        return any(True for _ in self._program.run(text, truths))

    def matches(self, text: str) -> bool:
        """As ``search``, and False for a text that is too long."""
        try:
            return self.search(text)
        except TextTooLong:
            return False


def compile_pattern(pattern: str | re.Pattern[str]) -> LinearPattern:
    """The compiled pattern. Raises UnsupportedPattern for anything that cannot be used; its text continues "the pattern …"."""
    try:
        return LinearPattern(pattern)
    except (re.error, OverflowError) as error:
        raise UnsupportedPattern(f"is not a regular expression: {error}") from None
    except RecursionError:
        raise UnsupportedPattern("is nested too deeply") from None


def _parser() -> Any:
    try:
        from re import _parser as parser  # type: ignore[attr-defined]
    except ImportError:  # Python 3.10
        import sre_parse as parser
    return parser


def _has_repeat(tree: Any) -> bool:
    return any(
        str(op) not in ("LITERAL", "NOT_LITERAL", "ANY", "IN", "AT", "BRANCH", "SUBPATTERN")
        or (str(op) == "SUBPATTERN" and _has_repeat(value[-1]))
        or (str(op) == "BRANCH" and any(map(_has_repeat, value[1])))
        for op, value in tree
    )


class _Builder:
    """Builds the program of a pattern, and one for each of its lookarounds."""

    def __init__(self, flags: int, unlimited: int) -> None:
        self.looks: list[Program] = []
        self._flags = flags
        self._unlimited = unlimited
        self._size = 0

    def program(self, tree: Any, flags: int, *, backward: bool) -> Program:
        """The program of a syntax tree. Raises UnsupportedPattern."""
        program = Program(backward)
        program.start = self._sequence(program, tree, 0, flags)
        return program

    def _state(self, program: Program, *edges: Edge) -> int:
        self._size += 1
        if self._size > MAX_STATES:
            raise UnsupportedPattern(f"needs more than {MAX_STATES} states for its repeats")
        program.edges.append(list(edges))
        return len(program.edges) - 1

    def _sequence(self, program: Program, tree: Any, target: int, flags: int) -> int:
        """The first state of a sequence that ends in ``target``."""
        for op, value in tree if program.backward else reversed(list(tree)):
            target = self._item(program, str(op), value, target, flags)
        return target

    def _item(self, program: Program, op: str, value: Any, target: int, flags: int) -> int:
        if op in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            return self._state(program, Edge(target, matcher=_add(program.matchers, _matcher(op, value, flags))))
        if op == "SUBPATTERN":
            _, added, removed, tree = value
            return self._sequence(program, tree, target, (flags | added) & ~removed)
        if op == "BRANCH":
            return self._state(program, *(Edge(self._sequence(program, branch, target, flags)) for branch in value[1]))
        if op in ("MAX_REPEAT", "MIN_REPEAT"):
            return self._repeat(program, value, target, flags)
        if op == "AT":
            return self._conditional(program, _anchor(str(value), flags), target)
        if op in ("ASSERT", "ASSERT_NOT"):
            direction, tree = value
            self.looks.append(self.program(tree, flags, backward=direction > 0))
            condition = Condition("look" if op == "ASSERT" else "look_not", len(self.looks) - 1)
            return self._conditional(program, condition, target)
        if op == "FAILURE":
            return self._state(program)
        raise UnsupportedPattern(f"has {_UNSUPPORTED.get(op, 'a construct')}, which cannot be searched for in linear time")

    def _conditional(self, program: Program, condition: Condition, target: int) -> int:
        return self._state(program, Edge(target, condition=_add(program.conditions, condition)))

    def _repeat(self, program: Program, value: Any, target: int, flags: int) -> int:
        low, high, tree = int(value[0]), int(value[1]), value[2]
        if high >= self._unlimited:
            start = self._state(program, Edge(target))
            program.edges[start].append(Edge(self._sequence(program, tree, start, flags)))
        else:
            start = target
            for _ in range(high - low):
                start = self._state(program, Edge(self._sequence(program, tree, start, flags)), Edge(target))
        for _ in range(low):
            start = self._sequence(program, tree, start, flags)
        return start


def _add(items: list[Any], item: Any) -> int:
    items.append(item)
    return len(items) - 1


def _anchor(name: str, flags: int) -> Condition:
    if name in ("AT_BOUNDARY", "AT_NON_BOUNDARY"):
        return Condition(name.removeprefix("AT_").lower(), is_word=_category("WORD", flags))
    lines = bool(flags & re.MULTILINE)
    kinds = {
        "AT_BEGINNING": "begin_line" if lines else "begin",
        "AT_BEGINNING_STRING": "begin",
        "AT_END": "end_line" if lines else "end",
        "AT_END_STRING": "end_string",
    }
    return Condition(kinds[name])


def _category(name: str, flags: int) -> Matches:
    matches = re.compile(_CATEGORIES[name], flags & re.ASCII).match
    return lambda character: matches(character) is not None


def _matcher(op: str, value: Any, flags: int) -> Matches:
    """Whether one character is accepted by an item of a pattern."""
    if op == "ANY":
        return (lambda _: True) if flags & re.DOTALL else (lambda character: character != "\n")
    if op == "IN":
        items = [(str(item), argument) for item, argument in value]
        negated = bool(items) and items[0][0] == "NEGATE"
        tests = [_member(item, argument, flags) for item, argument in items if item != "NEGATE"]
    else:
        negated = op == "NOT_LITERAL"
        tests = [_member("LITERAL", value, flags)]
    if not flags & re.IGNORECASE:
        return lambda character: any(test(character) for test in tests) != negated
    return lambda character: any(test(variant) for test in tests for variant in _cases(character)) != negated


def _member(op: str, value: Any, flags: int) -> Matches:
    if op == "LITERAL":
        wanted = frozenset(_cases(chr(value))) if flags & re.IGNORECASE else frozenset({chr(value)})
        return lambda character: character in wanted
    if op == "RANGE":
        low, high = chr(value[0]), chr(value[1])
        return lambda character: low <= character <= high
    name = str(value).removeprefix("CATEGORY_")
    accepts = _category(name.removeprefix("NOT_"), flags)
    return (lambda character: not accepts(character)) if name.startswith("NOT_") else accepts


def _cases(character: str) -> set[str]:
    return {case for case in (character, character.lower(), character.upper()) if len(case) == 1}
