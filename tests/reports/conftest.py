from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

# The tests are no package; what they share goes by names of its own.
for _name, _file in ("report_records", "records.py"), ("report_browser", "browser.py"):
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, Path(__file__).with_name(_file))
        assert _spec is not None
        assert _spec.loader is not None
        sys.modules[_name] = _module = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(_module)


@pytest.fixture
def output(tmp_path: Path) -> Callable[..., str]:
    """Writes records as an output; returns its path."""

    def write(records: Iterable[dict[str, Any]], name: str = "out.jsonl") -> str:
        path = tmp_path / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return str(path)

    return write
