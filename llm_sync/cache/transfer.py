"""Answers as JSON Lines: out of one store, into another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llm_sync.cache.entry import Entry, decode, encode_line
from llm_sync.cache.key import digest_of
from llm_sync.cache.store import Store


@dataclass
class Imported:
    """``stored``: answers that are new in the store; ``present``: those that it had; ``refused``: lines that are no answers."""

    stored: int = 0
    present: int = 0
    refused: int = 0


def export(store: Store) -> Iterator[bytes]:
    """Every answer of a store as a line. Files that are no answers are left out."""
    for path in store.paths():
        entry = store.load(path)
        if entry is not None:
            yield encode_line(entry)


def import_lines(store: Store, lines: Iterable[bytes]) -> Imported:
    """Store the answers in ``lines``, as ``export`` writes them, unless the store has them.

    An answer whose digest is not that of its request is refused. Raises OSError if the store cannot be written.
    """
    result = Imported()
    for line in filter(bytes.strip, lines):
        try:
            entry = decode(line)
            if not _is_consistent(entry):
                result.refused += 1
            elif store.has(entry.digest, entry.sample):
                result.present += 1
            else:
                store.write(entry)
                result.stored += 1
        except (ValueError, RecursionError):  # noqa: PERF203  (each line by itself)
            result.refused += 1
        except OSError as error:
            raise OSError(error.errno, f"answers cannot be stored in {store.folder}: {error.strerror or error}") from None
    return result


def _is_consistent(entry: Entry) -> bool:
    """Whether the digest fits the request. It cannot be told of a request whose secrets were removed."""
    return entry.redacted or entry.digest == digest_of(entry.dialect, entry.url, entry.model, entry.body)
