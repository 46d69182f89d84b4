"""The library's client as a command uses it: closed in good order, however the command ends."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from llm_sync.cli.streams import complain
from llm_sync.client import LLMClient
from llm_sync.dispatch.ending import GRACE_S


@contextmanager
def connected(args: Namespace, *, strict: bool = False) -> Iterator[LLMClient]:
    """A client for the configuration the command line names. An error aborts what is in flight: nobody waits for it."""
    client = LLMClient.from_config(args.config, config_dir=args.config_dir, strict=strict)
    try:
        yield client
    except BaseException:
        client.close(cancel_pending=True, grace=0)
        raise
    client.close()


def drain(client: LLMClient) -> None:
    """Cancel what is queued, and give what is in flight its last seconds."""
    if any(status.in_flight for status in client.status().values()):
        complain(f"waiting up to {GRACE_S:g} s for what is in flight; Ctrl-C again ends at once")
    client.close(cancel_pending=True, grace=GRACE_S)
