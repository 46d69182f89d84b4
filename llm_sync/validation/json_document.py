"""A JSON file as plain values: strict about duplicate keys, numbers and depth, as the YAML reader is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, NoReturn

from llm_sync.validation.document import Document, FileFormat, Unreadable
from llm_sync.validation.messages import shown


def read_json(text: str, document: Document, form: FileFormat) -> Any:
    """The value of a JSON text; duplicate keys are noted in the document. Raises Unreadable."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        counts = Counter(name for name, _ in pairs) if len(value) < len(pairs) else {}
        for name, count in counts.items():
            if count > 1:
                document.problem_at(None, f"the key {shown(name)} is written {count} times in one object", "keep one of them")
        return value

    try:
        value = json.loads(
            text, object_pairs_hook=members, parse_int=form.scalar, parse_float=form.scalar, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        raise Unreadable(f"not JSON: {error.msg}", error.lineno) from None
    except RecursionError:
        raise Unreadable(f"the file is nested more than {form.max_depth} deep") from None
    _check_depth(value, form)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is not JSON")


def _check_depth(value: Any, form: FileFormat) -> None:
    """Checks the depth level by level, without recursion."""
    level = _collections([value])
    depth = 0
    while level:
        depth += 1
        if depth > form.max_depth:
            raise Unreadable(f"the file is nested more than {form.max_depth} deep")
        level = [inner for item in level for inner in _collections(item.values() if isinstance(item, dict) else item)]


def _collections(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, (dict, list))]
