"""How commands load configurations: all problems are reported at once, and a user without a configuration is helped."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_sync.cli.console.messages import print_warning
from llm_sync.client import simulation
from llm_sync.config import ConfigLoader, LLMConfig, ProviderConfig, search_path
from llm_sync.errors import ConfigurationError
from llm_sync.providers.factory import ProviderFactory

if TYPE_CHECKING:
    from llm_sync.providers.base import LLMProvider


def config_loader(args: Namespace) -> ConfigLoader:
    """The loader that looks in the folders of the command line."""
    return ConfigLoader(args.config_dir, known_types=ProviderFactory.types_for)


def load_config(args: Namespace, name: str | None, *, strict_streaming: bool = False, sends: bool = True) -> LLMConfig:
    """The configuration of a name or path, or the default one; redirected under the simulator. Raises ConfigurationError.

    ``sends``: whether the command may send requests, so that its user must know who answers.
    """
    config = _built_in_config(args, strict_streaming=strict_streaming) if name is None else None
    if config is None:
        with explain_choice(args, name):
            config = config_loader(args).load_config(name, strict_streaming=strict_streaming)
    simulated = simulation.simulated_config(config)
    if simulated.redirected and sends:
        print_warning(simulated.notice)  # with --quiet too: nobody may take generated answers for real ones
    return simulated.config


def _built_in_config(args: Namespace, *, strict_streaming: bool) -> LLMConfig | None:
    """The built-in defaults of a user without a configuration who has set a key; None if there is a configuration.

    Raises ConfigurationError with the first steps if there is neither.
    """
    if _is_any_config(args):
        return None
    from llm_sync.client import built_in

    config = built_in.built_in_config(strict_streaming=strict_streaming) if built_in.is_wanted(args.config_dir) else None
    if config is None:
        require_any_config(args)
    return config


@contextmanager
def explain_choice(args: Namespace, name: str | None) -> Iterator[None]:
    """If the command line names no configuration, make a ConfigurationError say what named it, or which ones there are."""
    try:
        yield
    except ConfigurationError as error:
        if name is None and os.environ.get(search_path.CONFIG_VARIABLE):
            error.args = (f"{error.message} (named by ${search_path.CONFIG_VARIABLE})",)
        elif name is None and not error.problems:
            names = ", ".join(each.name for each in search_path.available(args.config_dir))
            error.guidance = f"Name one that exists ({names}), or set {search_path.CONFIG_VARIABLE} to it."
        raise


def trust_error(args: Namespace, name: str | None, *, listed: bool = False) -> ConfigurationError | None:
    """Why a valid configuration would be refused when it is used: it was found in the working folder and is not trusted.

    ``listed``: the user did not give the name.
    """
    try:
        config_loader(args).find_trusted(name, listed=listed)
    except ConfigurationError as error:
        return error
    return None


def offline_provider(config: ProviderConfig) -> LLMProvider:
    """A provider that can send nothing: it tells what its dialect makes of the configuration, without loading the network."""
    simulation.require_support(config)
    nowhere: Any = None
    return ProviderFactory.provider_class(config.type)(config, nowhere, nowhere)


def require_any_config(args: Namespace) -> None:
    """Raise ConfigurationError, with the first steps, if there is no configuration; a terminal user is offered examples."""
    if _is_any_config(args):
        return
    from llm_sync.cli import example_configs  # most users have a configuration
    from llm_sync.cli.console import getting_started

    if example_configs.offer(args.config_dir):
        return
    folders = ", ".join(map(_describe_folder, search_path.search_path(args.config_dir)))
    steps = getting_started.first_steps(args.config_dir)
    raise ConfigurationError(f"there is no configuration in {folders}", guidance=f"{steps[0].upper()}{steps[1:]}")


def _is_any_config(args: Namespace) -> bool:
    return bool(os.environ.get(search_path.CONFIG_VARIABLE) or search_path.available(args.config_dir))


def _describe_folder(folder: Path) -> str:
    """A folder, and why it cannot be read, if it exists and cannot."""
    try:
        os.listdir(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        return f"{folder} (which cannot be read: {error.strerror})"
    return str(folder)
