"""What a check finds: one line, with a level and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OK, WARN, FAIL = "ok", "warn", "fail"
_ORDER = {FAIL: 0, WARN: 1, OK: 2}


@dataclass(frozen=True)
class Finding:
    """``topic``: configuration, key, address, folder …; ``subject``: the provider, file or variable; ``status``: the exit status
    that a failure stands for, or a missing key, even where that is only a warning. No field ever holds a key, a password or the
    value of a variable."""

    level: str
    topic: str
    subject: str
    message: str
    hint: str | None = None
    status: int = 0

    def __str__(self) -> str:
        text = f"{self.level:<4}  {self.topic}: {self.subject}: {self.message}"
        return text if not self.hint else f"{text}{'' if text.endswith('.') else '.'} {self.hint}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the fields by name, without the exit status."""
        return {name: value for name, value in vars(self).items() if name != "status"}


def worst_first(findings: list[Finding]) -> list[Finding]:
    """Failures, then warnings, then the rest; each in the order in which they were found: causes before what follows of them."""
    return sorted(findings, key=lambda finding: _ORDER[finding.level])
