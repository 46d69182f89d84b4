"""What ``--version -v`` prints: the versions of llm-sync, of Python, and of the packages it uses."""

from __future__ import annotations

import platform
import re
from importlib import metadata

from llm_sync import __version__


def versions() -> str:
    """One line each; extras that are not installed are left out."""
    lines = [f"llm-sync {__version__}", f"Python {platform.python_version()} ({platform.system()} {platform.machine()})"]
    for name in _required_packages():
        try:
            lines.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:  # noqa: PERF203  (an extra)
            continue
    return "\n".join(lines)


def _required_packages() -> list[str]:
    """The packages that the installed distribution requires, then those of the extras for users."""
    try:
        requirements = metadata.requires("llm-sync") or []
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return []
    always = [requirement for requirement in requirements if "extra ==" not in requirement]
    extras = [requirement for requirement in requirements if re.search(r"extra == .(google|otel|schema)\b", requirement)]
    return list(dict.fromkeys(re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in [*always, *extras]))
