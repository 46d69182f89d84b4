"""What a reader needs to trust a report, and whether outputs confirm it."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import llm_sync
from llm_sync.errors import InvalidRequestError
from llm_sync.reports.rows import ModelRow
from llm_sync.reports.summary import Report

_ELEMENT = re.compile(r'<script type="application/json" id="certificate"[^>]*>(.*?)</script>', re.DOTALL)
_INFORMATIVE = ("versions", "format")  # they may differ between two readers of the same outputs
_TOLERANCE = 1e-9


def certificate(report: Report) -> dict[str, Any]:
    """Hashes of outputs and input, and for each model what answered, with its settings, shares and figures. JSON-ready.

    ``sha256`` of an output: of its records, unpacked; ``input_sha256``: of the hashes of the lines that its records name.
    Reads the outputs twice more. Raises OSError.
    """
    digests, inputs = report.digests(), _input_digests(report)
    return {
        "format": 1,
        "versions": {"llm-sync": llm_sync.__version__, "python": platform.python_version(), "system": sys.platform},
        "outputs": [
            {"name": os.path.basename(path), "sha256": digest, "input_sha256": inputs.get(path)}
            for path, digest in digests.items()
        ],
        "records": report.records,
        "expect": report.expect,
        "check": report.check_name,
        "check_description": report.check,
        "seed": report.seed,
        "models": [_model(model) for model in report.models],
    }


def _input_digests(report: Report) -> dict[str, str]:
    totals: dict[str, Any] = {}
    last: tuple[str, int | None] | None = None
    for row in report.rows():
        if (row.output, row.index) != last and row.line_hash is not None:  # once for all models of a line
            totals.setdefault(row.output, hashlib.sha256()).update(row.line_hash.encode())
        last = (row.output, row.index)
    return {path: total.hexdigest() for path, total in totals.items()}


def _model(model: ModelRow) -> dict[str, Any]:
    figures = model.to_dict()
    figures["output"] = os.path.basename(model.output)
    requests = model.requests or 1
    shares = {
        "cut_share": model.cut / requests,
        "blocked_share": model.blocked / requests,
        "failed_share": model.failures / requests,
    }
    return {**figures, **shares}


def read_certificate(path: str) -> dict[str, Any]:
    """The certificate in a page, or in a report that was written as JSON. Raises OSError, InvalidRequestError."""
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    element = _ELEMENT.search(text)
    try:
        values = json.loads(element[1]) if element else json.loads(text)["certificate"]
        if isinstance(values["models"], list) and isinstance(values["outputs"], list):
            return dict(values)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise InvalidRequestError(
        f"{path!r} has no certificate", guidance="Name a page or a JSON file that llm-sync report has written."
    )


def differences(stated: Mapping[str, Any], computed: Mapping[str, Any], *, scores: bool = True) -> list[str]:
    """What the certificate states otherwise than the outputs have it, a line each; [] if they confirm it.

    ``scores``: whether the answers were checked in the same way again; if not, what follows from the check is left out.
    """
    ignored = set(_INFORMATIVE) | (set() if scores else {"expect", "check", "check_description", "seed"})
    if not scores:
        stated, computed = ({**values, "models": _without_scores(values)} for values in (stated, computed))
    return list(_differences("", stated, computed, ignored))


_SCORES = ("scored", "passed", "expected", "accuracy", "accuracy_low", "accuracy_high", "mean_score", "passed_of_all", "unscored")


def _without_scores(values: Mapping[str, Any]) -> Any:
    return [
        {key: value for key, value in model.items() if key not in _SCORES} if isinstance(model, dict) else model
        for model in values["models"]
    ]


def _differences(where: str, stated: Any, computed: Any, ignored: set[str]) -> Iterator[str]:
    if isinstance(stated, dict) and isinstance(computed, dict):
        for key in [*computed, *(key for key in stated if key not in computed)]:
            if where or key not in ignored:
                yield from _differences(f"{where}.{key}".lstrip("."), stated.get(key), computed.get(key), ignored)
    elif isinstance(stated, list) and isinstance(computed, list) and len(stated) == len(computed):
        for number, (one, other) in enumerate(zip(stated, computed, strict=True), 1):
            yield from _differences(f"{where} {number}", one, other, ignored)
    elif not _equal(stated, computed):
        yield f"{where}: the report says {_short(stated)}, the outputs give {_short(computed)}"


def _equal(a: Any, b: Any) -> bool:
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (a, b))
    return math.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE) if numbers else bool(a == b)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:100] + "…"
