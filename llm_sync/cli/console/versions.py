"""What ``--version -v`` prints: this program, its Python, and the packages it stands on."""

from __future__ import annotations

import platform
import re
from importlib import metadata

from llm_sync import __version__


def versions() -> str:
    """A line a part; extras that are not installed are left out."""
    lines = [f"llm-sync {__version__}", f"Python {platform.python_version()} ({platform.system()} {platform.machine()})"]
    for name in _required():
        try:
            lines.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:  # noqa: PERF203  (an extra)
            continue
    return "\n".join(lines)


def _required() -> list[str]:
    """The packages the installed distribution names, those of its extras for users behind the others."""
    try:
        wanted = metadata.requires("llm-sync") or []
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return []
    plain = [requirement for requirement in wanted if "extra ==" not in requirement]
    extra = [requirement for requirement in wanted if re.search(r"extra == .(google|schema)\b", requirement)]
    return list(dict.fromkeys(re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in [*plain, *extra]))
