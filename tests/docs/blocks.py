"""The fenced blocks of a page, read by Sybil and run in the world of the page, with what they show held to what comes.

On a fence, after the language:

``console``          ``$ `` begins a command, a backslash at its end continues it, the rest is what it prints: a reader pastes
                     what stands there, so no line begins with a prompt for more.
``python``           is run in this process; the blocks of a page share their names. ``python run-script`` is a program of its
                     own, written for another package.
``text output``      is what the block before it printed, or what is wrong with the ``yaml wrong`` before it.
``yaml``             is a whole configuration; ``yaml fragment`` stands under ``providers:``; ``yaml wrong`` is refused;
                     ``yaml warned`` loads with a warning; ``yaml script`` is a behaviour script of the simulator; ``yaml other``
                     is nothing of ours.
``json``, ``jsonl``, ``toml``, ``sh``, ``crontab``  are read, not run.
``… file=NAME``      is put into the folder under that name, and is not run by itself.

``…`` in a shown line stands for any text, alone in a line for any lines. What cannot run stands behind a comment with the
reason: ``<!-- skip: next "needs a network" -->``.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple
from unittest import SkipTest

import yaml
from sybil import Document, Example, Region
from sybil.parsers.markdown import SkipParser
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

from llm_sync.cli.main import main
from llm_sync.config import ConfigLoader, ConfigValidator
from llm_sync.errors import ConfigurationError
from llm_sync.providers.factory import ProviderFactory
from llm_sync.simulator.faults.script import load_script

try:
    import tomllib
except ImportError:  # Python 3.10
    tomllib = None  # type: ignore[assignment]

_PROMPT = "$ "
_FENCE = re.compile(r"(?P<language>[\w-]*)(?P<marks>[^\n]*)\n")
_lexer = RawFencedCodeBlockLexer(_FENCE)


class Block(NamedTuple):
    """A fenced block: its language, the words after it, the file it is, its text, its line in the page."""

    language: str
    marks: tuple[str, ...]
    file: str | None
    text: str
    line: int


class Command(NamedTuple):
    """A command of a console block, what is shown below it (None: nothing), and its line in the page."""

    text: str
    shown: str | None
    line: int


def blocks_of(path: Path) -> list[Block]:
    """Every fenced block of a page, those that are skipped too."""
    return [region.parsed for region in _fences(Document(path.read_text("utf-8"), str(path)))]


def skips_of(path: Path) -> list[tuple[str, str]]:
    """Each block of a page that does not run: its first line, and the reason the page gives."""
    found: list[tuple[str, str]] = []
    reason: str | None = None
    for example in Document.parse(str(path), SkipParser(), _fences):
        if isinstance(example.parsed, Block):
            if reason is not None:
                found.append((example.parsed.text.partition("\n")[0], reason))
            reason = None
        else:
            action, reason = example.parsed
            assert action == "next", f"{path.name}:{example.line}: say 'skip: next', block by block"
    return found


def _fences(document: Document) -> Iterator[Region]:
    """Every fenced block of a page as a region, with nothing to evaluate it yet."""
    for region in _lexer(document):
        words = region.lexemes["marks"].split()
        file = next((word.removeprefix("file=") for word in words if word.startswith("file=")), None)
        marks = tuple(word for word in words if not word.startswith("file="))
        line = document.text.count("\n", 0, region.start) + 1
        region.parsed = Block(region.lexemes["language"], marks, file, str(region.lexemes["source"]), line)
        region.evaluator = lambda _: None
        yield region


def commands_in(block: Block) -> list[Command]:
    """The commands of a console block."""
    found: list[Command] = []
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if line.startswith(_PROMPT):
            found.append(Command(line[len(_PROMPT) :], None, number))
        elif found and found[-1].shown is None and found[-1].text.endswith("\\"):
            found[-1] = found[-1]._replace(text=f"{found[-1].text}\n{line}")
        elif found:
            found[-1] = found[-1]._replace(shown=f"{found[-1].shown or ''}{line}\n")
        else:
            raise AssertionError(f"line {number}: a console block begins with a command, after '$ '")
    return found


def matches(shown: str, printed: str) -> bool:
    """Whether ``printed`` is what is shown, ``…`` standing for anything; blanks at the ends of lines do not count."""
    pattern = "".join(
        r"(?:[^\n]*\n)*?" if line.strip() == "…" else re.escape(line.rstrip()).replace("…", r"[^\n]*") + r"\n"
        for line in shown.strip("\n").splitlines()
    )
    lines = "".join(f"{line.rstrip()}\n" for line in printed.strip("\n").splitlines())
    return re.fullmatch(pattern, lines) is not None


class Page:
    """A page being held to what it says. Files go to ``folder``; ``ports``, as the page names them, are replaced by others."""

    def __init__(self, path: Path, folder: Path, shell: Any, ports: Mapping[str, str]) -> None:
        self.path = path
        self._folder = folder
        self._shell = shell
        self._ports = ports
        self._printed: str | None = None  # by the block before, where a block with its output may follow
        self._names: dict[str, Any] = {"__name__": "__main__"}  # what the Python blocks have defined
        self._unused: dict[str, int] = {}  # files that nothing has used yet, with their lines
        self._ways = {
            "bash": self._sh,
            "console": self._console,
            "crontab": self._crontab,
            "json": lambda block: json.loads(block.text),
            "jsonl": lambda block: [json.loads(line) for line in block.text.splitlines()],
            "python": self._python,
            "sh": self._sh,
            "toml": lambda block: tomllib.loads(block.text) if tomllib else None,
            "yaml": self._yaml,
        }

    def failures(self) -> list[str]:
        """Run every block; what is not so, each with its place."""
        found: list[str] = []
        for example in Document.parse(str(self.path), SkipParser(), self._regions):
            wrong = _wrong_with(example)
            if wrong:
                found.append(f"{self.path.name}:{example.line}: {wrong}")
        return found + [f"{self.path.name}:{line}: nothing uses {file}" for file, line in self._unused.items()]

    def _regions(self, document: Document) -> Iterator[Region]:
        for region in _fences(document):
            region.evaluator = self._evaluate
            yield region

    def _evaluate(self, example: Example) -> None:
        block: Block = example.parsed
        printed, self._printed = self._printed, None
        for file in [file for file in self._unused if Path(file).stem in block.text]:
            del self._unused[file]
        if block.file is not None:
            self._put(block.file, block)
            if block.language != "yaml":
                return
        if block.language == "text":
            assert block.marks == ("output",), "a text is the output of the block before it: mark it so, or say why it is not"
            assert printed is not None, "the block before it prints nothing that is kept"
            differs = _difference(block.text, printed)
            assert not differs, differs
            return
        assert block.language in self._ways, f"nothing is known about blocks in {block.language or 'no language'}"
        self._ways[block.language](block)

    def _put(self, file: str, block: Block) -> None:
        path = self._folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._real(block.text), encoding="utf-8")
        path.chmod(0o755 if block.text.startswith("#!") else 0o644)
        self._unused[file] = block.line

    def _real(self, text: str) -> str:
        for named, real in self._ports.items():
            text = text.replace(named, real)
        return text

    def _shown(self, text: str) -> str:
        for named, real in self._ports.items():
            text = text.replace(real, named)
        return text

    def _console(self, block: Block) -> None:
        commands = commands_in(block)
        wrong = [self._wrong_with(*pair) for pair in zip_longest(commands, commands[1:])]
        assert not any(wrong), "\n".join(filter(None, wrong))

    def _wrong_with(self, command: Command, following: Command | None) -> str | None:
        """Run a command; what is shown wrong below it, or that it fails where neither output nor status is shown."""
        ran = self._shell.run(self._real(command.text))
        out, err = self._shown(ran.out), self._shown(ran.err)
        place = f"line {command.line}: $ {command.text}\n"
        if command.shown is not None:
            differs = _difference(command.shown, out + err, err + out)
            return place + differs if differs else None
        if ran.status and not (following and following.text == "echo $?"):
            return f"{place}ends with status {ran.status}:\n{_cut(out + err)}"
        return None

    def _python(self, block: Block) -> None:
        if block.marks:
            assert block.marks == ("run-script",), f"nothing is known about python {' '.join(block.marks)}"
            script = self._folder.parent / "written_for_another.py"
            script.write_text(block.text, encoding="utf-8")
            ran = self._shell.run(f"llm-sync run-script '{script}'")
            assert ran.status == 0, _cut(ran.err)
            self._printed = ran.out
            return
        printed = io.StringIO()
        code = compile("\n" * block.line + block.text, str(self.path), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, self._names)  # noqa: S102  (the project's own text)
        self._printed = printed.getvalue()

    def _yaml(self, block: Block) -> None:
        mark = "".join(block.marks)
        if mark == "other":
            yaml.safe_load(block.text)
            return
        if mark == "script":
            script = self._folder.parent / "script.yaml"
            script.write_text(block.text, encoding="utf-8")
            assert load_script(script).rules, "nothing happens in it"
            return
        assert mark in ("", "fragment", "wrong", "warned"), f"nothing is known about yaml {mark}"
        text = whole(block)
        try:
            config = ConfigLoader(known_types=ProviderFactory.types_for).load_text(text, block.file or "llms.yaml")
        except ConfigurationError as error:
            if mark != "wrong":
                raise
            self._printed = str(error)
            return
        assert mark != "wrong", "nothing is wrong with it"
        assert ConfigValidator(ProviderFactory.types()).validate_config(config) == []
        assert bool(config.warnings) == (mark == "warned"), f"its warnings: {config.warnings}"
        self._printed = "\n".join(config.warnings)
        validated = self._folder.parent / "validated.yaml"
        validated.write_text(text, encoding="utf-8")
        assert main(["validate", "--no-env", "--quiet", str(validated)]) == 0, "llm-sync validate refuses it"

    def _crontab(self, block: Block) -> None:
        for line in block.text.splitlines():
            if line.strip() and not line.startswith("#") and not re.match(r"\w+=", line):
                assert re.match(r"([\d*/,-]+\s+){5}\S", line), f"{line!r} has no five fields of time and a command"

    def _sh(self, block: Block) -> None:
        script = self._folder.parent / "checked.sh"
        script.write_text(block.text, encoding="utf-8")
        ran = self._shell.run(f"bash -n '{script}'")
        assert ran.status == 0, ran.err


def _wrong_with(example: Example) -> str | None:
    """What is not so in one block; whatever it raises, the others still run."""
    try:
        example.evaluate()
    except SkipTest:
        return None
    except AssertionError as error:
        return str(error)
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return None


def whole(block: Block) -> str:
    """A YAML block as a file: a fragment holds entries of ``providers``."""
    return "providers:\n" + textwrap.indent(block.text, "  ") if "fragment" in block.marks else block.text


def _difference(shown: str, *printed: str) -> str | None:
    """What is shown beside what was printed, unless one of the ways to print it is as shown."""
    if any(matches(shown, each) for each in printed):
        return None
    return f"shown:\n{textwrap.indent(shown, '    ')}printed:\n{textwrap.indent(_cut(printed[0]), '    ')}"


def _cut(text: str) -> str:
    """The beginning of what was printed: enough to see what went wrong."""
    return text if len(text) <= 2000 else f"{text[:2000]} …\n"
