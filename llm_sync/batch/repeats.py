"""Which requests of a batch are equal: found on disk, so that memory does not grow with the input.

Equal requests go to the same model and differ at most in their ids. Without ``dedupe`` each is asked for itself, and the cache
needs to know which of them is which sample. With it, only the first is asked, and the others get copies of its record.
"""

from __future__ import annotations

import contextlib
import struct
import tempfile
from collections.abc import Iterator
from hashlib import blake2b

from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.requests import content_hash
from llm_sync.batch.plan import LINE_ERRORS, Plan
from llm_sync.batch.state.index import NOTHING, TO_SEND, Entry, NumberFile

_PAIR = struct.Struct("<QQ")  # the hash of a request, and its slot
_READ = _PAIR.size * 4096
_MAX_IN_MEMORY = 200_000  # different requests


class RepeatedRequests:
    """The equal requests among those of one run. ``count``: how many have an equal one before them. One thread at a time.

    Raises OSError (disk full).
    """

    def __init__(self, context: BatchContext, folder: str) -> None:
        self._context = context
        self.count = 0
        with contextlib.ExitStack() as stack:
            self._samples = stack.enter_context(contextlib.closing(NumberFile(folder)))
            self._firsts = stack.enter_context(contextlib.closing(NumberFile(folder)))  # slot + 1
            self._find(folder)
            self._files = stack.pop_all()

    def sample(self, slot: int) -> int:
        """How many equal requests stand before the one of this slot."""
        return self._samples.at(slot)

    def first(self, slot: int) -> int | None:
        """The slot of the first request that equals the one of this slot; None if this is the first."""
        return self._firsts.at(slot) - 1 if self._firsts.at(slot) else None

    def slots(self) -> Iterator[tuple[int, int]]:
        """Every slot that has an equal one before it, with the first of those."""
        return ((slot, number - 1) for slot, number in self._firsts.all() if number)

    def close(self) -> None:
        """Close the files; the system then deletes them."""
        self._files.close()

    def _find(self, folder: str) -> None:
        with tempfile.TemporaryFile(dir=folder) as pairs:
            total = 0
            for slot, entry in self._context.index.walk():
                digest = self._digest(entry)
                if digest is not None:
                    pairs.write(_PAIR.pack(digest, slot))
                    total += 1
            parts = total // _MAX_IN_MEMORY + 1
            for part in range(parts):  # each part of the hashes is looked at by itself
                seen: dict[int, tuple[int, int]] = {}  # hash -> the first slot, and how many there are
                pairs.seek(0)
                while chunk := pairs.read(_READ):
                    for digest, slot in _PAIR.iter_unpack(chunk):
                        if digest % parts == part:
                            first, number = seen.get(digest, (slot, 0))
                            seen[digest] = first, number + 1
                            if number:
                                self._samples.put(slot, number)
                                self._firsts.put(slot, first + 1)
                                self.count += 1

    def _digest(self, entry: Entry) -> int | None:
        """The hash of a request: of what its line sends, and of its model; None where no request can be made."""
        context = self._context
        if entry.state == NOTHING:
            return None
        if entry.state == TO_SEND:
            try:
                content = content_hash(context.line_format.read(context.line_format.at(context.source, entry.offset)))
            except LINE_ERRORS:  # it has changed: found when it is to be sent
                return None
        else:
            head = context.store.head(entry)
            content = head.content
            if not content:
                return None
        route = "\0".join(map(str, context.routes.named(entry.route)))
        return int.from_bytes(blake2b(f"{content}\0{route}".encode(), digest_size=8).digest(), "big")


def find_repeats(context: BatchContext, plan: Plan, folder: str) -> contextlib.AbstractContextManager[object]:
    """Set ``context.repeats`` if the run needs it, until the result is left. ``folder``: for temporary files."""
    if not plan.to_send.total() or not (context.options.dedupe or context.client.dispatcher.caching is not None):
        return contextlib.nullcontext()
    context.repeats = repeats = RepeatedRequests(context, folder)
    return contextlib.closing(repeats)
