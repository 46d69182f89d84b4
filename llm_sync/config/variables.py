"""``${VAR}``, ``${VAR:-default}`` and ``$$`` in configuration strings, resolved after YAML parsing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# A name as shells have it. The default ends at the first "}": references do not nest.
_TOKEN = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}|\$\{")


@dataclass(frozen=True)
class Reference:
    """One ``${name}``; ``default`` is None where none is given, and also stands in for an empty variable, as in shells."""

    name: str
    default: str | None


@dataclass(frozen=True)
class Template:
    """A string taken apart into literal text and references. ``malformed``: it holds a ``${`` that cannot be read."""

    parts: tuple[str | Reference, ...]
    malformed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The variables referred to, in order."""
        return tuple(part.name for part in self.parts if isinstance(part, Reference))

    @property
    def has_literal(self) -> bool:
        """Whether some of the text stands in the file itself, a non-empty default included."""
        return any(part if isinstance(part, str) else part.default for part in self.parts)

    def resolve(self, environ: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
        """The text, and the variables that are unset and have no default; these stay in the text as ``${NAME}``."""
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
    """Take a string apart. A lone ``$`` is itself; ``$$`` is one dollar sign."""
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
