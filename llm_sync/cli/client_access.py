"""The library's client as a command uses it: configured, told what the command line says, closed in good order."""

from __future__ import annotations

import dataclasses
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llm_sync.cli import config_access
from llm_sync.cli.console.streams import YELLOW, say
from llm_sync.config import LLMConfig
from llm_sync.dispatch.shutdown import GRACE_S
from llm_sync.machine.status import set_process_name

if TYPE_CHECKING:
    from llm_sync.client.client import LLMClient

_OVERRIDES = ("concurrency", "requests_per_minute", "machine_wide")  # options that hold for every provider of the run


def configured(args: Namespace) -> LLMConfig:
    """The configuration the command line names, with what it says of every provider. Raises ConfigurationError."""
    config = config_access.load(args, args.config, strict_streaming=getattr(args, "strict_streaming", False))
    changes: dict[str, Any] = {name: value for name in _OVERRIDES if (value := getattr(args, name, None)) is not None}
    if not changes:
        return config
    providers = {name: dataclasses.replace(provider, **changes) for name, provider in config.providers.items()}
    return dataclasses.replace(config, providers=providers)


@contextmanager
def connected(args: Namespace) -> Iterator[LLMClient]:
    """A client for the configuration the command line names. An error aborts what is in flight: nobody waits for it."""
    config = configured(args)
    rehearsed = any(provider.simulated for provider in config.providers.values())
    set_process_name(f"llm-sync {args.command}{' (simulated)' if rehearsed else ''}")
    from llm_sync.client.client import LLMClient  # and with it requests: a configuration with mistakes is refused without

    strict, strict_streaming = getattr(args, "strict", False), getattr(args, "strict_streaming", False)
    client = LLMClient(config, strict=strict, strict_streaming=strict_streaming, publish_status=True)
    try:
        yield client
    except BaseException:
        client.close(cancel_pending=True, grace=0)
        raise
    client.close()


def drain(client: LLMClient) -> None:
    """Cancel what is queued, and give what is in flight its last seconds."""
    if any(status.in_flight for status in client.status().values()):
        say(f"waiting up to {GRACE_S:g} s for what is in flight; Ctrl-C again ends at once", "WARNING", YELLOW)
    client.close(cancel_pending=True, grace=GRACE_S)
