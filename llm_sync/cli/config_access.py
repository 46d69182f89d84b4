"""Loading configurations for commands: with all that is wrong told at once, and a way on for who has none yet."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_sync.cli.console.streams import YELLOW, say
from llm_sync.client import simulation
from llm_sync.config import ConfigLoader, LLMConfig, ProviderConfig, search_path
from llm_sync.errors import ConfigurationError
from llm_sync.providers.factory import ProviderFactory

if TYPE_CHECKING:
    from llm_sync.providers.base import LLMProvider


def loader(args: Namespace) -> ConfigLoader:
    """The one that looks where the command line says."""
    return ConfigLoader(args.config_dir, known_types=ProviderFactory.types_for)


def load(args: Namespace, name: str | None, *, strict_streaming: bool = False) -> LLMConfig:
    """The configuration of a name or path, or the default one, as it is rehearsed where it is. Raises ConfigurationError."""
    if name is None:
        require_any(args)
    with named(args, name):
        config = loader(args).load_config(name, strict_streaming=strict_streaming)
    found = simulation.rehearsal(config)
    if found.redirected:
        say(found.told, "WARNING", YELLOW)  # with --quiet too: nobody takes such answers for the real ones
    return found.config


@contextmanager
def named(args: Namespace, name: str | None) -> Iterator[None]:
    """Where the command line names no configuration, an error says who does, or which ones could be named."""
    try:
        yield
    except ConfigurationError as error:
        if name is None and os.environ.get(search_path.CONFIG_VARIABLE):
            error.args = (f"{error.message} (named by ${search_path.CONFIG_VARIABLE})",)
        elif name is None and not error.problems:
            there = ", ".join(found.name for found in search_path.available(args.config_dir))
            error.guidance = f"Name one that is there ({there}), or set {search_path.CONFIG_VARIABLE} to it."
        raise


def offline(config: ProviderConfig) -> LLMProvider:
    """A provider that sends nothing: what its dialect makes of the configuration can be asked without loading the network."""
    simulation.require_door(config)
    nowhere: Any = None
    return ProviderFactory.provider_class(config.type)(config, nowhere, nowhere)


def require_any(args: Namespace) -> None:
    """Raise ConfigurationError, with what to do next, when there is no configuration at all; a terminal is offered some."""
    if os.environ.get(search_path.CONFIG_VARIABLE) or search_path.available(args.config_dir):
        return
    from llm_sync.cli.commands import init  # most have one
    from llm_sync.cli.console import getting_started

    if init.offered(args.config_dir):
        return
    looked = ", ".join(map(_looked_in, search_path.search_path(args.config_dir)))
    raise ConfigurationError(f"there is no configuration in {looked}", guidance=f"W{getting_started.steps(args.config_dir)[1:]}")


def _looked_in(folder: Path) -> str:
    """A folder, and why nothing in it could be seen, where that is not for its absence."""
    try:
        os.listdir(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        return f"{folder} (which cannot be read: {error.strerror})"
    return str(folder)
