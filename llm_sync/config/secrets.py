"""Keys by reference: a Secret knows where a key comes from, and reads it when it is needed."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import shlex
from typing import Any, NoReturn

from llm_sync.config.key_command import CommandFailure, forget, run_once
from llm_sync.config.variables import Template, parse
from llm_sync.errors import AuthenticationError, ConfigurationError

_MAX_FILE = 64 * 1024  # bytes; a key file is a line
# What examples and docs write in the place of a key. "none", "EMPTY" and "ollama" are keys: local servers want them.
_PLACEHOLDER = re.compile(
    r"""(?ix) .*(?:\.\.\.|\*\*\*).* | <.*> | \[.*\] | \{.*\}
    | (?:[a-z0-9]{1,8}[-_])* x{3,} [-_x]*
    | (?:[a-z0-9]{1,8}[-_])* your [a-z0-9_-]* (?:key|token|secret) (?:[-_]?goes)? (?:[-_]?here)?
    | (?:insert|enter|put|paste|add|replace) [a-z0-9_-]* (?:key|token|secret|me|this|here)
    | (?:sk|api|key|token)[-_]? (?:key|here)
    | change[-_]?(?:me|this|it) | placeholder | todo | fixme | redacted
    """
)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_API_(?:KEY|TOKEN)(?:_[A-Z0-9]+)?")  # as OPENAI_API_KEY
_MAX_PLACEHOLDER = 80  # characters; matching takes time in the square of their number


class Secret:
    """A key that is read by ``reveal()``. Immutable; any thread may use it.

    It comes from a template (``api_key: ${VAR}``; the environment is read at every reveal), a file (read at every reveal) or a
    command (run once per process). ``repr`` and ``str`` never show it. A pickle holds the reference; pickling a key that is
    literal text in the configuration raises ConfigurationError. A copy is the same object.
    """

    __slots__ = ("_folder", "_kind", "_provider", "_spec", "_where")

    def __init__(
        self, kind: str, spec: str | tuple[str, ...], *, provider: str | None = None, where: str = "", folder: str = ""
    ) -> None:
        """``kind``: "template", "literal", "file" or "command". ``where``: file:line, for messages. ``folder``: where relative
        paths of key files start, and where a command runs."""
        self._kind, self._spec, self._provider, self._where, self._folder = kind, spec, provider, where, folder

    @classmethod
    def from_variable(cls, name: str, *, provider: str | None = None) -> Secret:
        """The key held by an environment variable."""
        return cls("template", f"${{{name}}}", provider=provider)

    @classmethod
    def literal(cls, text: str, *, provider: str | None = None) -> Secret:
        """A key given as text. It cannot be pickled."""
        return cls("literal", text, provider=provider)

    @property
    def kind(self) -> str:
        """ "template", "literal", "file" or "command"."""
        return self._kind

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the environment variables it needs, in order."""
        return tuple(dict.fromkeys(name for template in self._templates() for name in template.names))

    @property
    def is_literal(self) -> bool:
        """Whether the key, or a part of it, is text in the configuration; such a key is not pickled."""
        return self._kind == "literal" or (self._kind == "template" and self._templates()[0].has_literal)

    @property
    def source(self) -> str:
        """Where the key comes from, without the key: ``OPENAI_API_KEY (llms.yaml:4)``."""
        if self._kind == "file":
            what = f"api_key_file {self._path_shown()}"
        elif self._kind == "command":
            what = f"api_key_command {self.program}"
        elif self._kind == "template" and self.variables:
            what = " and ".join(self.variables)
        else:
            what = "api_key"
        return f"{what} ({self._where})" if self._where else what

    def reveal(self) -> str:
        """The key. Raises AuthenticationError (status None) if it is unset, cannot be read, or cannot be a key; the error names
        the source and never shows the key. A command may take up to 30 s; other threads wait for the same run."""
        if self._kind == "file":
            key = self._read()
        elif self._kind == "command":
            key = self._run()
        elif self._kind == "literal":
            key = str(self._spec)
        else:
            (template,) = self._templates()
            if template.malformed:
                self._fail(f"{self._named()} holds an unreadable ${{…}}", "Write ${NAME} or ${NAME:-default}, and $$ for $.")
            key = self._resolved(template)
        trouble = key_problem(key)
        if self._is_a_variables_name(key):
            self._fail(f"{self._named()} is the name of a variable", f"Did you mean api_key: ${{{key}}}?")
        if trouble:
            self._fail(f"the key from {self.source} {trouble}", "Set it to the key as the provider gave it.")
        return key

    def _is_a_variables_name(self, key: str) -> bool:
        """Whether a text in the configuration is a variable's name where its value is meant. No key looks like that."""
        if self._kind != "template" or self.variables:
            return False
        return _VARIABLE.fullmatch(key) is not None or (key.isupper() and key.isidentifier() and "_" in key and key in os.environ)

    def check_command(self) -> None:
        """Raise AuthenticationError where a command's program is missing, or a variable it needs. Runs nothing."""
        program = self._words()[0]
        if not _is_program(program, self._folder):
            guidance = "Give the full path of the program; no shell is used."
            self._fail(f"{self.source} cannot be run: there is no such program", guidance)

    def refresh(self) -> bool:
        """Forget a command's output, so that the next reveal runs it again (for tokens that expire).

        Returns False for a literal key, which cannot have changed.
        """
        if self._kind == "command":
            forget(self._run_name())
        return not (self._kind == "literal" or (self._kind == "template" and not self.variables))

    def identity(self) -> str:
        """A digest that is the same for the same key in every process, and from which the key cannot be found.

        Of a command, which may print a new token each time, its words are digested. Raises AuthenticationError, as ``reveal``
        does.
        """
        text = "\0".join(self._words()) if self._kind == "command" else self.reveal()
        return hashlib.sha256(f"{self._kind == 'command'}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()

    def _templates(self) -> list[Template]:
        return [parse(part) for part in ((self._spec,) if isinstance(self._spec, str) else self._spec)]

    def _resolved(self, template: Template) -> str:
        text, unset = template.resolve(os.environ)
        if unset:
            names = " and ".join(unset)
            place = f" ({self._where})" if self._where else ""
            self._fail(
                f"the environment variable {names}{place} is not set",
                f"Set it in the environment, as in: export {unset[0]}=…",
            )
        return text

    def _fail(self, message: str, guidance: str) -> NoReturn:
        raise AuthenticationError(message, provider=self._provider, guidance=guidance) from None

    def _named(self) -> str:
        return f"api_key ({self._where})" if self._where else "api_key"

    def _path_shown(self) -> str:
        return str(self._spec)

    @property
    def program(self) -> str:
        """The first word of a command. Its arguments are never shown: they may contain secrets."""
        try:
            words = shlex.split(self._spec) if isinstance(self._spec, str) else self._spec
        except ValueError:
            words = []
        return os.path.basename(words[0]) if words else ""

    def _read(self) -> str:
        path = os.path.expanduser(self._resolved(self._templates()[0]))
        path = os.path.join(self._folder, path)
        try:
            # Non-blocking: a FIFO in place of the file reads as empty, where a blocking open would wait.
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
            try:
                mode = os.fstat(descriptor).st_mode  # of the open file: the path may name another one by now
                content = os.read(descriptor, _MAX_FILE)
            finally:
                os.close(descriptor)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not a file name"
            self._fail(f"{self.source} cannot be read: {reason}", "Check the path, and that this user may read it.")
        if os.name == "posix" and mode & 0o077:
            self._fail(f"{self.source} is open to others (mode {mode & 0o777:o})", f"Close it: chmod 600 {shlex.quote(path)}")
        return _without_line_end(content)

    def _run_name(self) -> tuple[Any, ...]:
        return self._spec, tuple(os.environ.get(name) for name in self.variables), self._folder

    def _run(self) -> str:
        try:
            return _without_line_end(run_once(self._run_name(), self._words, self._folder or None))
        except CommandFailure as failure:
            self._fail(f"{self.source} {failure.message}", failure.guidance)

    def _words(self) -> list[str]:
        """The command line, with its variables resolved."""
        try:
            words = shlex.split(self._spec) if isinstance(self._spec, str) else list(self._spec)
        except ValueError as error:
            self._fail(f"{self.source} is not a command line: {error}", "Check its quotes, or write it as a list.")
        command = [os.path.expanduser(self._resolved(parse(word))) for word in words]
        if not command:
            self._fail(f"{self.source} is empty", "Name the program that prints the key.")
        return command

    def __repr__(self) -> str:
        if self._kind == "file":
            return f"Secret(file {self._path_shown()})"
        if self._kind == "command":
            return f"Secret(command {self.program})"
        return "Secret(***)" if self.is_literal else f"Secret({self._spec})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._state() == other._state()

    def __hash__(self) -> int:
        return hash(self._state())

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, "_folder"):  # the last attribute that __init__ sets
            raise AttributeError("a Secret cannot be changed")
        object.__setattr__(self, name, value)

    def _state(self) -> tuple[Any, ...]:
        return self._kind, self._spec, self._provider, self._where, self._folder

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        if self.is_literal:
            raise ConfigurationError(
                f"{self._named()} is in the configuration itself, so it cannot be pickled",
                guidance="Write api_key: ${VAR} and set VAR in the environment of both processes.",
            )
        return _restore, self._state()


def _restore(kind: str, spec: str | tuple[str, ...], provider: str | None, where: str, folder: str) -> Secret:
    return Secret(kind, spec, provider=provider, where=where, folder=folder)


def _is_program(name: str, folder: str) -> bool:
    """Whether a command of this name can be started in ``folder``, from which relative paths start."""
    import shutil

    try:
        return shutil.which(os.path.join(folder, name) if os.path.dirname(name) else name) is not None
    except ValueError:  # a NUL in the name
        return False


def _without_line_end(content: bytes) -> str:
    """The text of a key file or a command's output, without the line end that editors and echo leave."""
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"  # Windows tools
    return content.decode(encoding, "replace").rstrip("\r\n")


def key_problem(key: str) -> str | None:
    """Why a text cannot be a key ("is empty" …), or None. Shows none of the text."""
    if not key:
        return "is empty"
    if "\ufffd" in key or not key.isascii():
        return "holds a character that is not ASCII"
    if any(ord(character) < 32 or ord(character) == 127 for character in key):
        return "holds a line end or another control character"
    if " " in key:
        return "holds a blank"
    if '"' in key or "'" in key or "`" in key:
        return "holds a quotation mark"
    if "${" in key:
        return "holds an unresolved ${"
    if re.fullmatch(r"\$\w+", key):
        return "is a variable's name without its braces: write ${NAME}"
    if len(key) <= _MAX_PLACEHOLDER and _PLACEHOLDER.fullmatch(key):
        return "is a placeholder from an example"
    return None
