"""docs/python.md beside the code: its reference is what the docstrings say, and names everything that is public."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import ModuleType

from docs_world import ROOT  # type: ignore[import-not-found]

import llm_sync

PAGE = (ROOT / "docs/python.md").read_text("utf-8")
PUBLIC = [name for name in llm_sync.__all__ if name != "__version__"]
ERRORS = {name for name in PUBLIC if inspect.isclass(getattr(llm_sync, name)) and issubclass(getattr(llm_sync, name), Exception)}


def test_the_reference_is_what_the_docstrings_say(script: Callable[[str], ModuleType]) -> None:
    """After a change of a docstring or a signature: make docs."""
    assert script("reference").page() == PAGE


def test_every_public_name_is_in_it() -> None:
    """Errors are on a page of their own, the rest is here."""
    assert set(re.findall(r"^### (\w+)$", PAGE.split("\n## Reference\n")[1], re.MULTILINE)) == set(PUBLIC) - ERRORS


def test_a_call_is_shown_as_it_is_called() -> None:
    """The signature that is read from the source is the one that Python sees."""
    for name, shown in re.findall(r"^#### LLMClient\.(\w+)\(\)\n\n`\.\w+(\(.*\)) -> .*`$", PAGE, re.MULTILINE):
        parameters = inspect.signature(getattr(llm_sync.LLMClient, name)).parameters.values()
        bare = [each.replace(annotation=inspect.Parameter.empty) for each in parameters if each.name != "self"]
        assert shown == str(inspect.Signature(bare)), name
