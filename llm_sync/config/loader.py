"""ConfigLoader: which file, and from the file to an LLMConfig with every problem told at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llm_sync.config import search_path
from llm_sync.config.build import build
from llm_sync.config.checks import KnownTypes, check, in_file_order
from llm_sync.config.models import LLMConfig
from llm_sync.config.normalize import Normalized, Switch, normalize
from llm_sync.config.search_path import CONFIG_VARIABLE, DEFAULT_NAME, FOLDER_VARIABLE, SUFFIXES
from llm_sync.errors import ConfigurationError, Problem
from llm_sync.events import log_facts, logger
from llm_sync.validation import closest, field_path, shown
from llm_sync.validation.document import Document, FileFormat
from llm_sync.validation.yaml_document import parse_document, read_document

if TYPE_CHECKING:
    from llm_sync.config.provenance import Provenance

_log = logger("config")
_FORMAT = FileFormat("a configuration", folder_hint="name the file in it, or use --config-dir")


class Location(NamedTuple):
    """A configuration file. ``of_project``: found by its name in the working folder, where somebody else may have put it."""

    path: Path
    of_project: bool = False


class ConfigLoader:
    """Finds and loads configurations: one file each time, nothing is merged. Keeps no state; any thread may use it.

    ``config_dir``: the one folder to look for names in; without it they are looked for in ``$LLM_SYNC_CONFIG_DIR``,
    ``./config/llms`` and the user's configuration folder, in this order. ``known_types`` is given the types a file
    uses and returns those that exist: ConfigValidator's problems are then reported with the file's other ones.
    """

    def __init__(self, config_dir: str | os.PathLike[str] | None = None, *, known_types: KnownTypes | None = None) -> None:
        self.config_dir = None if config_dir is None else Path(config_dir)
        self._known_types = known_types

    def search_path(self) -> list[Path]:
        """The folders names are looked for in, whether they exist or not."""
        return search_path.search_path(self.config_dir)

    def find(self, name_or_path: str | os.PathLike[str] | None = None) -> Path:
        """The file of a name or path; None means ``$LLM_SYNC_CONFIG``, else ``default-llms``.

        What has a slash or ends in .yaml or .yml is a path and returned as it is. Raises ConfigurationError when no folder
        has a file of that name.
        """
        return self.locate(name_or_path).path

    def find_trusted(self, name_or_path: str | os.PathLike[str] | None = None) -> Path:
        """As ``find``; also raises ConfigurationError for a file that ``load_config`` would refuse because it needs trust."""
        location = self.locate(name_or_path)
        if location.of_project:
            self._load(location.path, of_project=True)
        return location.path

    def locate(self, name_or_path: str | os.PathLike[str] | None = None) -> Location:
        """As ``find``, with where the file was found."""
        wanted = os.fspath(name_or_path) if name_or_path is not None else os.environ.get(CONFIG_VARIABLE) or DEFAULT_NAME
        if not wanted:
            raise ConfigurationError("the configuration's name is empty", guidance="Give a name or a path.")
        if search_path.is_path(wanted) or not isinstance(name_or_path, (str, type(None))):
            return Location(Path(os.path.expanduser(wanted)))
        for folder in search_path.folders(self.config_dir):
            for suffix in SUFFIXES:
                path = folder.path / f"{wanted}{suffix}"
                if "\0" not in wanted and os.path.lexists(path):
                    return Location(path, folder.of_project)
        raise self._not_found(wanted)

    def _not_found(self, wanted: str) -> ConfigurationError:
        near = closest(wanted, (name for name in self.list_available_configs() if not search_path.is_path(name)))
        looked = ", ".join(str(folder) for folder in self.search_path())
        here = next((wanted + suffix for suffix in SUFFIXES if "\0" not in wanted and os.path.isfile(wanted + suffix)), None)
        near = os.path.join(".", here) if here else near
        beside = search_path.examples()
        examples = f" Examples to copy are in {beside}." if beside else ""
        meant = f" Did you mean {near}?" if near else ""
        return ConfigurationError(
            f"no configuration named {shown(wanted)!r} in {looked}",
            guidance=f"Give a path, or set {FOLDER_VARIABLE} to the folder it is in.{meant}{examples}",
        )

    def load_config(
        self,
        name_or_path: str | os.PathLike[str] | None = None,
        *,
        strict_streaming: bool = False,
        warn: bool = True,
        require_trust: bool = True,
    ) -> LLMConfig:
        """The checked configuration. Unset variables do not fail loading (see ``LLMConfig.unset`` and ``Secret``).

        Raises ConfigurationError whose ``problems`` are all that is wrong with the file, in its order. Streaming switches are
        left out with a warning for each place (``LLMConfig.warnings``, logged too, if ``warn``); ``strict_streaming``, or the
        file's own, makes problems of them. A file that was found by its name in ``./config/llms`` is refused where it needs
        trust and has none (docs/configuration.md), unless ``require_trust`` is off: for programs that show a configuration
        without using it.
        """
        path, of_project = self.locate(name_or_path)
        config = self._load(path, strict_streaming, of_project=of_project and require_trust)[0]
        _warn(config if warn else None)
        log_facts(_log, "configuration read", file=config.file, providers=list(config.providers))
        return config

    def explain_config(self, name_or_path: str | os.PathLike[str] | None = None) -> tuple[LLMConfig, Provenance]:
        """As ``load_config`` without ``warn`` and ``require_trust``, and where each value comes from, credentials masked."""
        from llm_sync.config.provenance import trace  # only show asks for it

        config, document, normalized = self._load(self.find(name_or_path))
        return config, trace(document, normalized, config)

    def load_text(self, text: str, file: str = "<text>", *, strict_streaming: bool = False) -> LLMConfig:
        """As ``load_config``, for YAML that stands in no file; ``file`` is what problems call it."""
        document = parse_document(text.encode("utf-8", "surrogatepass"), file, _FORMAT)
        config = _load(document, strict_streaming, self._known_types)[0]
        _warn(config)
        return config

    def _load(
        self, path: Path, strict_streaming: bool = False, *, of_project: bool = False
    ) -> tuple[LLMConfig, Document, Normalized]:
        document = read_document(path, _FORMAT)
        config, normalized = _load(document, strict_streaming, self._known_types)
        if of_project:
            from llm_sync.config.trust import require_trust  # most configurations are named, or the user's own

            require_trust(document, normalized)
        return config, document, normalized

    def list_available_configs(self) -> list[str]:
        """Every configuration that can be found, in the order of the search path: the name, or the path where another file
        of that name is found first. Each can be given to ``load_config``."""
        return [found.name for found in search_path.available(self.config_dir)]


def _load(document: Document, strict_streaming: bool, known_types: KnownTypes | None) -> tuple[LLMConfig, Normalized]:
    if document.problems and document.value is None:
        raise _failure(document)
    if not isinstance(document.value, dict):
        kind = "empty" if document.value is None else "a list" if isinstance(document.value, list) else "a single value"
        document.problem((), f"the file is {kind}", "a configuration is a mapping: providers: {openai: {…}}")
        raise _failure(document)
    normalized = normalize(document)
    check(document, normalized, known_types)
    defaults = normalized.value.get("defaults")
    strict_streaming = strict_streaming or (isinstance(defaults, dict) and defaults.get("strict_streaming") is True)
    if strict_streaming:
        for switch in normalized.switches:
            document.problem((*switch.path, switch.name), "asks for streaming", "strict_streaming is on: leave it out")
    if document.problems:
        raise _failure(document)
    warnings = _warnings(document, normalized)
    return build(document, normalized, strict_streaming=strict_streaming, warnings=warnings), normalized


def _warn(config: LLMConfig | None) -> None:
    for warning in config.warnings if config else ():
        _log.warning("%s", warning)


def _warnings(document: Document, normalized: Normalized) -> tuple[str, ...]:
    """One warning for each place that has streaming switches."""
    search_path: dict[tuple[str | int, ...], list[Switch]] = {}
    for switch in sorted(normalized.switches, key=lambda switch: document.line((*switch.path, switch.name)) or 0):
        search_path.setdefault(switch.path, []).append(switch)
    told = []
    for path, switches in search_path.items():
        line = document.line((*path, switches[0].name))
        names = _enumerated([switch.name for switch in switches])
        place = ": ".join(filter(None, (f"{document.file}:{line}", field_path(path))))
        told.append(f"{place}: {names}: left out, llm-sync never streams")
    return tuple(told)


def _failure(document: Document) -> ConfigurationError:
    found: tuple[Problem, ...] = in_file_order(document.problems)
    count = "a problem" if len(found) == 1 else f"{len(found)} problems"
    return ConfigurationError(f"{count} with {document.file}", problems=found)


def _enumerated(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    cut = [shown(name) for name in names]
    return cut[0] if len(cut) == 1 else f"{', '.join(cut[:-1])} and {cut[-1]}"
