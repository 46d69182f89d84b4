"""The library's client as a command uses it: closed in good order, however the command ends."""

from __future__ import annotations

import dataclasses
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llm_sync.cli.streams import complain
from llm_sync.client import LLMClient
from llm_sync.config import ConfigLoader, LLMConfig
from llm_sync.dispatch.ending import GRACE_S
from llm_sync.machine.status import call_process
from llm_sync.providers.factory import ProviderFactory

_OVERRIDES = ("machine_wide",)  # options that hold for every provider of the run


def configured(args: Namespace) -> LLMConfig:
    """The configuration the command line names, with what it says of every provider. Raises ConfigurationError."""
    config = ConfigLoader(args.config_dir, known_types=ProviderFactory.types_for).load_config(args.config)
    changes: dict[str, Any] = {name: value for name in _OVERRIDES if (value := getattr(args, name, None)) is not None}
    if not changes:
        return config
    providers = {name: dataclasses.replace(provider, **changes) for name, provider in config.providers.items()}
    return dataclasses.replace(config, providers=providers)


@contextmanager
def connected(args: Namespace, *, strict: bool = False) -> Iterator[LLMClient]:
    """A client for the configuration the command line names. An error aborts what is in flight: nobody waits for it."""
    call_process(f"llm-sync {args.command}")
    client = LLMClient(configured(args), strict=strict, publish_status=True)
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
