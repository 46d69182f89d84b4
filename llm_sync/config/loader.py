"""ConfigLoader: finds a configuration file and loads it; all problems of the file are reported at once."""

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
    """Finds and loads configurations, one file at a time; nothing is merged. Keeps no state; any thread may use it.

    ``config_dir``: the only folder to look up names in. Without it, names are looked up in ``$LLM_SYNC_CONFIG_DIR``,
    ``./config/llms`` and the user's configuration folder, in this order. ``known_types`` takes the provider types that a file
    uses and returns those that exist; with it, the problems that ConfigValidator finds are reported together with the others.
    """

    def __init__(self, config_dir: str | os.PathLike[str] | None = None, *, known_types: KnownTypes | None = None) -> None:
        self.config_dir = None if config_dir is None else Path(config_dir)
        self._known_types = known_types

    def search_path(self) -> list[Path]:
        """The folders that names are looked up in, whether they exist or not."""
        return search_path.search_path(self.config_dir)

    def find(self, name_or_path: str | os.PathLike[str] | None = None) -> Path:
        """The file for a name or path; None means ``$LLM_SYNC_CONFIG``, else ``default-llms``.

        A text with a slash, or that ends in .yaml or .yml, is a path and is returned unchanged. Raises ConfigurationError if no
        folder has a file of that name.
        """
        return self.locate(name_or_path).path

    def find_trusted(self, name_or_path: str | os.PathLike[str] | None = None, *, listed: bool = False) -> Path:
        """As ``find``; also raises ConfigurationError for a file that ``load_config`` would refuse because it needs trust.

        ``listed``: the name comes from ``list_available_configs``, not from the user; then a path in ``./config/llms`` needs
        trust, too.
        """
        path, of_project = self.locate(name_or_path)
        is_listed_path = listed and isinstance(name_or_path, str) and search_path.is_path(name_or_path)
        if of_project or (is_listed_path and self.config_dir is None and search_path.is_of_project(path)):
            self._load(path, of_project=True)
        return path

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
        folder = search_path.examples()
        examples = f" Examples to copy are in {folder}." if folder else ""
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
        """The checked configuration. Unset variables are no error here (see ``LLMConfig.unset`` and ``Secret``).

        Raises ConfigurationError; its ``problems`` list everything that is wrong with the file, in the order of lines.
        Streaming switches are left out with one warning for each mapping that has some (``LLMConfig.warnings``; also logged if
        ``warn``). Under ``strict_streaming``, of the call or of the file, they are problems. A file that was found by its name
        in ``./config/llms`` is refused if it needs trust and has none (docs/configuration.md). ``require_trust=False`` is for
        programs that show a configuration and do not use it.
        """
        path, of_project = self.locate(name_or_path)
        config = self._load(path, strict_streaming, of_project=of_project and require_trust)[0]
        _warn(config if warn else None)
        log_facts(_log, "configuration read", file=config.file, providers=list(config.providers))
        return config

    def load_sound_part(self, name_or_path: str | os.PathLike[str] | None = None) -> LLMConfig | None:
        """The configuration without the fields that are wrong, for further checks only; None if nothing of it is left.

        Raises ConfigurationError if the file cannot be found or read.
        """
        from llm_sync.config.sound_part import sound_part  # only validate asks for it, and only after a mistake

        return sound_part(read_document(self.locate(name_or_path).path, _FORMAT), self._known_types)

    def explain_config(self, name_or_path: str | os.PathLike[str] | None = None) -> tuple[LLMConfig, Provenance]:
        """As ``load_config`` without ``warn`` and ``require_trust``, and where each value comes from, credentials masked."""
        from llm_sync.config.provenance import trace  # only show asks for it

        config, document, normalized = self._load(self.find(name_or_path))
        return config, trace(document, normalized, config)

    def load_text(self, text: str, file: str = "<text>", *, strict_streaming: bool = False) -> LLMConfig:
        """As ``load_config``, for YAML text; ``file`` is its name in problems."""
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
        """Every configuration that can be found, in the order of the search path. Each is given by its name, or by its path if
        another file of that name is found first; ``load_config`` accepts both."""
        return [config.name for config in search_path.available(self.config_dir)]


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
    warnings = () if strict_streaming else _warnings(document, normalized)
    if document.problems:
        raise _failure(document, warnings)
    return build(document, normalized, strict_streaming=strict_streaming, warnings=warnings), normalized


def _warn(config: LLMConfig | None) -> None:
    for warning in config.warnings if config else ():
        _log.warning("%s", warning)


def _warnings(document: Document, normalized: Normalized) -> tuple[str, ...]:
    """One warning for each mapping that has streaming switches."""
    switches_by_path: dict[tuple[str | int, ...], list[Switch]] = {}
    for switch in sorted(normalized.switches, key=lambda switch: document.line((*switch.path, switch.name)) or 0):
        switches_by_path.setdefault(switch.path, []).append(switch)
    warnings = []
    for path, switches in switches_by_path.items():
        line = document.line((*path, switches[0].name))
        names = _enumerated([switch.name for switch in switches])
        place = ": ".join(filter(None, (f"{document.file}:{line}", field_path(path))))
        warnings.append(f"{place}: {names}: left out, llm-sync never streams")
    return tuple(warnings)


def _failure(document: Document, warnings: tuple[str, ...] = ()) -> ConfigurationError:
    problems: tuple[Problem, ...] = in_file_order(document.problems)
    count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
    return ConfigurationError(f"{count} with {document.file}", problems=problems, warnings=warnings)


def _enumerated(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    cut = [shown(name) for name in names]
    return cut[0] if len(cut) == 1 else f"{', '.join(cut[:-1])} and {cut[-1]}"
