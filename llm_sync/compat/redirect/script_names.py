"""Reports unsupported names of an original that a script uses, before the script asks, and pays for, anything.

``from litellm import token_counter`` raises at the import (shim/unsupported.py). ``litellm.token_counter(…)`` raises only when it
is reached, which may be after many paid calls; so the script's code is searched for such names.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from types import CodeType

from llm_sync.compat.shim import notices
from llm_sync.compat.shim.client import RAW

_COST = "completion_cost"


def report_unsupported(script: CodeType, original: str) -> None:
    """Print a notice that lists the unsupported names of ``original`` in the script's own code, its functions included."""
    instructions = [(each.opname, each.argval) for code in _codes(script) for each in dis.get_instructions(code)]
    used = _attributes_of(original, instructions)
    names = [f"{original}.{name}" for name in used & import_module(f"llm_sync.compat.{original}").NOT_SUPPORTED.keys()]
    if original != "litellm":
        names += RAW.keys() & {name for operation, name in instructions if operation in _ATTRIBUTE}
    if names:
        listed = ", ".join(sorted(names))
        notices.notify_once(f"the script uses {listed}: llm-sync does not support that, and raises an exception when it is used")
    if original == "litellm" and (_COST in used or ("IMPORT_FROM", _COST) in instructions) and find_spec("genai_prices") is None:
        notices.notify(
            f"the script uses litellm.{_COST}, and no price list is installed (pip install 'llm-sync[prices]'): it raises an "
            "exception for models without pricing in the configuration"
        )


_ATTRIBUTE = ("LOAD_ATTR", "LOAD_METHOD")  # the second one up to Python 3.11


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a module, and of all functions and classes in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _attributes_of(module: str, instructions: list[tuple[str, object]]) -> set[object]:
    """The attributes that are taken from ``module``, under any name that it is imported by."""
    steps = list(pairwise(each for each in instructions if each[0] != "EXTENDED_ARG"))
    imported = {
        name
        for (operation, path), (following, name) in steps
        if operation == "IMPORT_NAME" and str(path).partition(".")[0] == module and following.startswith("STORE_")
    }
    return {
        attribute
        for (operation, name), (following, attribute) in steps
        if operation.startswith("LOAD_") and name in imported and following in _ATTRIBUTE
    }
