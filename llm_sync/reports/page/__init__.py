"""The page of a report: one HTML file, which opens from disk and asks no one.

``writer`` renders what ``collected`` read, ``sample`` chooses the records, ``answers`` puts them side by side, ``timeline`` and
``charts`` draw, ``visible`` shows hidden characters; ``assets`` has template, style and scripts. It needs the extra ``report``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from llm_sync.reports.summary import Report


def write_page(report: Report, target: TextIO, *, certificate: Mapping[str, Any] | None = None, title: str = "Report") -> None:
    """Write the page of a report as HTML; the target must encode it as UTF-8.

    It reads the records once more, in bounded memory: of very many input lines it shows a random sample and says so; the table of
    models and the failures count all. ``certificate``: what a reader needs to check the report, in JSON's types; it is put into
    the page as the script element ``certificate``. Raises ConfigurationError without the extra ``report``, before it writes.
    """
    from llm_sync.errors import ConfigurationError
    from llm_sync.runtime.import_lock import import_lock

    try:
        with import_lock:
            from llm_sync.reports.page.writer import render_report
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("jinja2", "markupsafe", "pygal"):
            raise
        raise ConfigurationError(
            f"a page needs the package {error.name}", guidance="Install it: pip install 'llm-sync[report]'."
        ) from None
    target.write(render_report(report, certificate, title))


__all__ = ["write_page"]
