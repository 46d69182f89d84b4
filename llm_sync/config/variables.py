"""``${VAR}``, ``${VAR:-default}`` and ``$$`` in configuration strings, resolved after YAML parsing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# A name as shells have it. The default ends at the first "}": references do not nest.
_TOKEN = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}|\$\{")


@dataclass(frozen=True)
class Reference:
    """One ``${name}``. ``default`` is None if none is given; it is also used for an empty variable, as in shells."""

    name: str
    default: str | None


@dataclass(frozen=True)
class Template:
    """A string, split into literal text and references. ``malformed``: it contains an unreadable ``${``."""

    parts: tuple[str | Reference, ...]
    malformed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the variables, in order."""
        return tuple(part.name for part in self.parts if isinstance(part, Reference))

    @property
    def has_literal(self) -> bool:
        """Whether a part of the text is in the file itself; a default that is not empty counts."""
        return any(part if isinstance(part, str) else part.default for part in self.parts)

    def resolve(self, environ: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
        """The text, and the variables that are unset and have no default; they stay in the text as ``${NAME}``."""
        out: list[str] = []
        unset: list[str] = []
        for part in self.parts:
            if isinstance(part, str):
                out.append(part)
                continue
            value = environ.get(part.name)
            if not value and part.default is not None:
                value = part.default
            if value is None:
                unset.append(part.name)
                value = f"${{{part.name}}}"
            out.append(value)
        return "".join(out), tuple(dict.fromkeys(unset))


def parse(text: str) -> Template:
    """Split a string. A single ``$`` is an ordinary character; ``$$`` is one dollar sign."""
    if "$" not in text:
        return Template((text,))
    parts: list[str | Reference] = []
    malformed = False
    end = 0
    for match in _TOKEN.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        name, default = match["name"], match["default"]
        if name is not None:
            malformed = malformed or "${" in (default or "")
            parts.append(Reference(name, None if default is None else default[2:]))
        elif match[0] == "$$":
            parts.append("$")
        else:
            malformed = True
            parts.append(match[0])
    parts.append(text[end:])
    return Template(tuple(part for part in parts if part != ""), malformed)
