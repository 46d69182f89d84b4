"""Writes the finished files: JSON Lines, and a matrix for numpy if one is asked for."""

from __future__ import annotations

import contextlib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from llm_sync.batch import errors as batch_errors
from llm_sync.batch.embedding.known import Known
from llm_sync.batch.embedding.records import Record, Target, output_line, record_of
from llm_sync.batch.embedding.texts import Texts
from llm_sync.batch.replacing import replacing
from llm_sync.batch.state.finished_output import OutputChecksum
from llm_sync.batch.state.index import NumberFile
from llm_sync.batch.state.record_store import RecordStore
from llm_sync.errors import ConfigurationError


def write_output(
    output: str,
    matrix: str | None,
    target: Target,
    parts: tuple[Texts, NumberFile, Known, RecordStore],
    dimensions: int | None,
    written: Callable[[OutputChecksum], object],
) -> Counter[str]:
    """Write the record of each text in order, call ``written`` with the checksum, and replace ``output``. ``matrix``: the path of
    the .npy file, in which a text without a vector has a row of NaN. Returns the failures by the class of the error.

    Raises OSError; LLMConnectorError if a text has changed since it was read, or another program has changed a new file.
    """
    texts, keys, known, store = parts
    failed: Counter[str] = Counter()
    size = crc = 0
    with _matrix(matrix, keys.count, dimensions) as rows, replacing(output, f"{output}.part.new") as file:
        for text in texts:
            outcome = known.get(text.key) if text.key == keys.at(text.position) else None
            if outcome is None:
                raise batch_errors.misplaced_record(text.position, f"{output}.part")
            record = record_of(store.read(outcome.offset), in_journal=outcome.in_journal)
            if record.error is not None:
                failed[str(record.error.get("type"))] += 1
            line = output_line(target, text.position, text.id, text.key, record)
            size, crc = size + len(line), zlib.crc32(line, crc)
            file.write(line)
            rows(record)
        written((size, crc))
    return failed


@contextlib.contextmanager
def _matrix(path: str | None, count: int, dimensions: int | None) -> Iterator[Callable[[Record], object]]:
    """What takes the records of all texts in turn; it replaces ``path`` at the end."""
    if path is None:
        yield lambda record: None  # noqa: ARG005
        return
    numpy, width = require_numpy(), dimensions or 0
    with replacing(path) as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (count, width)}
        numpy.lib.format.write_array_header_1_0(file, header)
        yield lambda record: file.write(_row(numpy, record, width))


def _row(numpy: Any, record: Record, width: int) -> bytes:
    if record.vector is None:
        return numpy.full(width, numpy.nan, "<f4").tobytes()  # type: ignore[no-any-return]
    return numpy.asarray(record.vector, "<f4").tobytes()  # type: ignore[no-any-return]


def require_numpy() -> Any:
    """The package. Raises ConfigurationError if it is not installed."""
    try:
        import numpy
    except ImportError:
        raise ConfigurationError(
            "a .npy file needs the package numpy", guidance="Install it: pip install 'llm-sync[numpy]'."
        ) from None
    return numpy
