"""The library's client as a command uses it: configured by the command line, closed in an orderly way."""

from __future__ import annotations

import dataclasses
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llm_sync.cli import config_access
from llm_sync.cli.console.messages import print_warning
from llm_sync.cli.options.cache_use import cache_argument
from llm_sync.config import LLMConfig
from llm_sync.config.schema import AUTO_CONCURRENCY
from llm_sync.dispatch.shutdown import GRACE_S
from llm_sync.machine.status import set_process_name

if TYPE_CHECKING:
    from llm_sync.client.client import LLMClient

_PROVIDER_OPTIONS = (
    "concurrency",
    "requests_per_minute",
    "tokens_per_minute",
    "machine_wide",
)  # they apply to every provider of the run


def load_run_config(args: Namespace, *, sends: bool = True) -> LLMConfig:
    """The configuration that the command line names, with its options for all providers. ``sends``: see ``load_config``.

    Raises ConfigurationError.
    """
    strict_streaming = getattr(args, "strict_streaming", False)
    config = config_access.load_config(args, args.config, strict_streaming=strict_streaming, sends=sends)
    changes: dict[str, Any] = {name: value for name in _PROVIDER_OPTIONS if (value := getattr(args, name, None)) is not None}
    if "concurrency" in changes:
        is_auto = changes["concurrency"] == "auto"
        changes |= {"concurrency": AUTO_CONCURRENCY, "concurrency_from": 1} if is_auto else {"concurrency_from": None}
    if changes:
        providers = {name: dataclasses.replace(provider, **changes) for name, provider in config.providers.items()}
        config = dataclasses.replace(config, providers=providers)
    share = getattr(args, "share", None)
    if share is None:
        return config
    from llm_sync.config.sharing import share_of

    return share_of(config, *share)


@contextmanager
def open_client(args: Namespace) -> Iterator[LLMClient]:
    """A client for the configuration that the command line names. An error aborts the requests in flight."""
    config = load_run_config(args)
    simulated = any(provider.simulated for provider in config.providers.values())
    set_process_name(f"llm-sync {args.command}{' (simulated)' if simulated else ''}")
    from llm_sync.client.client import LLMClient  # imports requests, which a configuration with mistakes does not need

    strict, strict_streaming = getattr(args, "strict", False), getattr(args, "strict_streaming", False)
    cache = cache_argument(args) if hasattr(args, "cache") else None
    max_cost, share = getattr(args, "max_cost", None), getattr(args, "share", None)
    max_cost = max_cost / share[1] if max_cost is not None and share is not None else max_cost
    more = {"cache": cache, "max_cost": max_cost, "tag": getattr(args, "tag", None)}
    client = LLMClient(config, strict=strict, strict_streaming=strict_streaming, publish_status=True, **more)
    try:
        yield client
    except BaseException:
        client.close(cancel_pending=True, grace=0)
        raise
    client.close()


def drain(client: LLMClient) -> None:
    """Cancel queued requests, give those in flight their last seconds, and close the client."""
    if any(status.in_flight for status in client.status().values()):
        print_warning(f"waiting up to {GRACE_S:g} s for requests in flight; press Ctrl-C again to stop at once")
    client.close(cancel_pending=True, grace=GRACE_S)
