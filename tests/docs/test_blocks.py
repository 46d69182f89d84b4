"""What holds the pages to what they say would notice if they did not, and what they leave out is little and known."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docs_blocks import Block, Page, blocks_of, commands_in, matches, skips_of  # type: ignore[import-not-found]
from docs_shell import Shell  # type: ignore[import-not-found]
from docs_world import ROOT  # type: ignore[import-not-found]

from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.parser import build_parser, parse

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples/README.md"]

# Every block that does not run: its page and first line. The reason stands on the page.
EXEMPT = {
    ("README.md", "$ make demo     # builds and installs into .venv, starts a simulator, sends one prompt to several models"),
    ("README.md", "$ . .venv/bin/activate"),
    ("README.md", "$ export OPENAI_API_KEY=sk-…"),
    ("README.md", "$ llm-sync simulate -- bash"),
    ("README.md", '$ llm-sync generate --json "Say hello" | jq -r .response.text'),
    ("cli.md", '$ llm-sync generate --json "Say hello" | jq -r .response.text'),
    ("concurrency.md", "$ llm-sync status"),
    ("errors.md", "LLMConnectorError"),
    ("concurrency.md", "from gevent import monkey"),
    (
        "python.md",
        'client = LLMClient.from_config(session=lambda session: session.mount("https://llm.example.com/", CompanyAdapter()))',
    ),
    ("local.md", "$ pip install 'llm-sync[local]'"),
    ("local.md", "from llm_sync.local import LocalModel"),
    ("cli.md", '$ llm-sync local -- llm-sync generate "Say hello"'),
    ("README.md", "$ pip install '.[local]'"),
    ("migrating.md", "$ llm keys set openai"),
    ("migrating.md", "$ curl https://api.openai.com/v1/chat/completions \\"),
    ("performance.md", "$ make bench            # everything, about half an hour; writes benchmarks/results/"),
    (
        "performance.md",
        '$ make bench-in-flight BENCH_ARGS=\'--rounds 3 --only "64 in flight" --ways "llm-sync map" aiohttp\'',
    ),
    ("scale.md", "#!/bin/bash"),
    ("scale.md", "$ sbatch --parsable array.sh"),
    ("scale.md", "apiVersion: batch/v1"),
    ("scale.md", "from concurrent.futures import Executor"),
    ("architecture.md", "cli            one file per command; parser.py makes help, man page and completions"),
}


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("one\ntwo\n", "one\ntwo\n", True),
        ("one\n", "one\ntwo\n", False),
        ("one…\n", "one and more\n", True),
        ("o…e\n", "one\ntone\n", False),
        ("one\n…\nfour\n", "one\ntwo\nthree\nfour\n", True),
        ("one\n…\nfour\n", "one\nfour\n", True),
        ("…\nfour\n", "one\nfive\n", False),
        ("a.c\n", "abc\n", False),
        ("trailing blanks  \n", "trailing blanks\n", True),
        ("", "something\n", False),
    ],
)
def test_what_is_shown_is_compared(shown: str, printed: str, same: bool) -> None:
    """Word for word, but for what an ellipsis stands for."""
    assert matches(shown, printed) is same


def test_a_console_block_is_read_as_a_terminal_shows_it() -> None:
    """Commands, their further lines, and what each prints."""
    block = Block("console", (), None, "$ printf '%s\\n' one \\\n  two\none\ntwo\n$ true\n$ echo $?\n0\n", 10)
    found = [(command.text, command.shown, command.line) for command in commands_in(block)]
    assert found == [("printf '%s\\n' one \\\n  two", "one\ntwo\n", 11), ("true", None, 15), ("echo $?", "0\n", 16)]


def test_no_command_has_a_prompt_for_more() -> None:
    """Pasted into a shell, a line that begins with ``> `` would write to a file."""
    lines = [
        line for path in PAGES for block in blocks_of(path) if block.language == "console" for line in block.text.splitlines()
    ]
    assert [line for line in lines if line.startswith("> ")] == []


WRONG = {
    "another output": "```console\n$ echo one\ntwo\n```\n",
    "a command that fails": "```console\n$ false\n```\n",
    "another status": "```console\n$ false\n$ echo $?\n0\n```\n",
    "a command that ends the shell": "```console\n$ exit 0\n```\n",
    "an option that is not there": "```console\n$ llm-sync generate --no-such-option hello\n```\n",
    "a script that raises": "```python\nraise ValueError('no')\n```\n",
    "a script that ends the program": "```python\nraise SystemExit(1)\n```\n",
    "a script for another package that raises": "```python run-script\nimport openai\n\nopenai.no_such_thing()\n```\n",
    "another print": "```python\nprint('one')\n```\n\n```text output\ntwo\n```\n",
    "a text of no origin": "```text\nanything\n```\n",
    "an output of nothing": "```text output\nanything\n```\n",
    "a configuration with a mistake": "```yaml\nproviders: {openai: {temprature: 1}}\n```\n",
    "a mistake that is none": "```yaml wrong\nproviders: {openai: {temperature: 1}}\n```\n",
    "a type nobody knows": "```yaml\nproviders: {opnai: {}}\n```\n",
    "a streaming switch nobody speaks of": "```yaml fragment\nopenai: {provider_specific: {stream: true}}\n```\n",
    "a behaviour that is none": "```yaml script\nrules: [{latency: soon}]\n```\n",
    "a block in no language": "```\nanything\n```\n",
    "a block in an unknown language": "```perl\nprint 1\n```\n",
    "a file that nothing uses": "```python file=unused.py\nprint(1)\n```\n",
    "JSON Lines that are none": "```jsonl\n{}\n{\n```\n",
    "a crontab without its times": "```crontab\n15 6 llm-sync models\n```\n",
    "JSON that is none": "```json\n{'a': 1}\n```\n",
    "a shell script that is none": "```sh\nif true; then\n```\n",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_page_that_is_wrong_fails(open_page: Callable[[Path], Page], tmp_path: Path, name: str) -> None:
    """Each of these is told, once, with its line."""
    path = tmp_path / "wrong.md"
    path.write_text(f"# A page\n\n{WRONG[name]}", encoding="utf-8")
    failures = open_page(path).failures()
    assert len(failures) == 1
    assert failures[0].startswith("wrong.md:")


def test_a_page_that_is_right_passes(open_page: Callable[[Path], Page], tmp_path: Path) -> None:
    """Variables, folders, files, background jobs and names last through the page; standard input is empty."""
    path = tmp_path / "right.md"
    path.write_text(
        """
```python file=answer.py
import sys
print("to both", file=sys.stderr)
print(sys.argv[1:], sys.stdin.read(), sys.stdout.isatty())
sys.exit(3)
```

```console
$ export WORD=seven
$ python answer.py $WORD
['seven']  True
to both
$ echo $?
3
```

```python
print(len("seven"))
length = 5
```

```text output
5
```

```python
assert length == 5
```

<!-- skip: next "there is no such thing" -->
```console
$ no-such-command
```

```yaml fragment
openai: {models: [m]}
```

```yaml warned
providers: {openai: {provider_specific: {stream: true}}}
```

```text output
…openai.provider_specific: stream: left out, llm-sync never streams
```
""",
        encoding="utf-8",
    )
    assert open_page(path).failures() == []


def test_what_does_not_run_is_known() -> None:
    """Whoever adds a block that cannot run adds it here too; each has a reason of some words on its page."""
    skipped = {(path.name, first): reason for path in PAGES for first, reason in skips_of(path)}
    assert skipped.keys() == EXEMPT
    assert all(len(reason.split()) > 2 for reason in skipped.values())


def _command_lines() -> Iterator[tuple[str, list[str]]]:
    """Every command line of ours on a page, whether it runs or not, and in the prose: where, and its words."""
    for path in PAGES:
        texts = [
            (command.line, command.text)
            for block in blocks_of(path)
            if block.language == "console"
            for command in commands_in(block)
        ]
        prose = re.sub(r"^```.*?^```$", lambda block: "\n" * block[0].count("\n"), path.read_text("utf-8"), flags=re.M | re.S)
        named = re.finditer(r"`(llm-sync [a-z][^`…]*)`", prose)
        texts += [(prose.count("\n", 0, found.start()) + 1, found[1].replace("\n", " ")) for found in named]
        for line, text in texts:
            for words in _simple_commands(text):
                if "llm-sync" in words:
                    yield f"{path.name}:{line}", words[words.index("llm-sync") + 1 :]


def _simple_commands(text: str) -> Iterator[list[str]]:
    """The simple commands of a shell line as words, redirections left out; none where it is too much for shlex."""
    lexer = shlex.shlex(text.replace("\\\n", " ").replace("\n", " ; "), posix=True, punctuation_chars="();<>|&")
    lexer.commenters = "#"
    words: list[str] = []
    skip = False
    try:
        for word in lexer:
            if set(word) <= set("<>&") and set(word) & set("<>"):
                skip = True
            elif set(word) <= set("();|&"):
                yield words
                words = []
            elif skip:
                skip = False
            else:
                words.append(word)
    except ValueError:
        return
    yield words


def test_a_command_line_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """The parser takes it, also where the block cannot run; a bare command, as prose names it, is a command."""
    lines = list(_command_lines())
    assert lines
    assert [f"{place}: llm-sync {' '.join(words)}: {why}" for place, words in lines if (why := _refusal(words))] == []


def _refusal(words: list[str]) -> str | None:
    """Why the parser does not take a command line; None: it does."""
    try:
        parse(words)
    except UsageError as error:
        return str(error) or "refused"
    except SystemExit:  # --help
        return None
    return None


def test_an_option_the_pages_name_is_there() -> None:
    """Options in the prose are ours, or those of a program that is named beside them."""
    ours = {option for parser in _parsers(build_parser()) for option in parser._option_string_actions}
    others = {
        "--allow-hosts",
        "--allow-unix-socket",
        "--api-key",
        "--disable-socket",
        "--llm-recorded",
        "--no-deps",
        "--no-stream",
        "--preload",
    }
    named = {
        (path.name, option)
        for path in PAGES
        for code in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.M | re.S))
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", code)
    }
    assert {(page, option) for page, option in named if option not in ours | others} == set()


def _parsers(parser: object) -> Iterator[object]:
    yield parser
    for action in parser._actions:  # type: ignore[attr-defined]
        if isinstance(getattr(action, "choices", None), dict):
            for inner in action.choices.values():
                yield from _parsers(inner)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_is_python(path: Path) -> None:
    """Also where it cannot run."""
    for block in blocks_of(path):
        if block.language == "python":
            compile(block.text, f"{path.name}:{block.line}", "exec")


def test_a_warm_command_is_a_command(shell: Shell, checkout: Path) -> None:
    """Standard streams, arguments, environment, folder, status and signals reach it as they reach any program."""
    Path("deep").mkdir()
    Path("deep/there.py").write_text(
        "import os, signal, sys\n"
        "print(sys.argv[1:], os.environ['WORD'], os.getcwd()[-5:], sys.stdin.read(), sys.stdout.isatty())\n"
        "print(os.path.basename(sys.path[0]), __name__, file=sys.stderr)\n"
        "if sys.argv[1] == 'kill':\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.exit(int(sys.argv[1]))\n"
    )
    ran = shell.run("cd deep; export WORD=w; echo in | python there.py 7 'a b'")
    assert ran == (7, "['7', 'a b'] w /deep in\n True\n", "deep __main__\n")
    assert shell.run("python there.py kill").status == 128 + 15
    assert shell.run("llm-sync --version | cat").out.startswith("llm-sync ")
    assert shell.run("llm-sync simulate >url & while [ ! -s url ]; do sleep 0.01; done; kill -TERM $!; wait $!").status == 143
    assert shell.run('python -c "print(1)"').out == "1\n"
