from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_sync.cli import parser as command_line
from llm_sync.cli.exit_codes import EXIT_CODES
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.parser import parse

COMMANDS = tuple(command_line.COMMANDS)


def refusal(*argv: str) -> str:
    """Why a command line is refused."""
    with pytest.raises(UsageError) as caught:
        parse(list(argv))
    return str(caught.value)


def help_of(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What --help prints."""
    with pytest.raises(SystemExit) as stop:
        parse([*argv, "--help"])
    assert not stop.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--temperature", "nan"),
        ("--temperature", "2.1"),
        ("--temperature", "-0.1"),
        ("--temperature", "warm"),
        ("--top-p", "1.5"),
        ("--max-tokens", "0"),
        ("--max-tokens", "1.5"),
        ("--seed", "x"),
        ("--seed", "1.0"),
        ("--timeout", "0"),
        ("--timeout", "inf"),
        ("--timeout", "nan"),
        ("--deadline", "-1"),
        ("--max-retries", "-1"),
        ("--max-retries", "2.0"),
    ],
)
def test_impossible_numbers_are_refused(option: str, value: str) -> None:
    """A number that no request can have is an error of the command line, which names the option, the value and the help."""
    wording = refusal("generate", f"{option}={value}", "x")
    assert wording.startswith(f"argument {option}: {value!r} is not a")
    assert wording.endswith("see 'llm-sync generate --help'")


@pytest.mark.parametrize("value", ["-1", "65536", "http"])
def test_impossible_ports_are_refused(value: str) -> None:
    """A port that the system does not have is reported before anything starts."""
    assert f"{value!r} is not a whole number from 0 to 65535" in refusal("simulate", f"--port={value}")


def test_numbers_arrive_as_numbers() -> None:
    """Bounds are included; negative seeds are fine."""
    args = parse(["generate", "--temperature", "2", "--top-p", "0", "--seed=-5", "--max-retries", "0", "--timeout", ".5", "x"])
    assert (args.temperature, args.top_p, args.seed, args.max_retries, args.timeout) == (2.0, 0.0, -5, 0, 0.5)


@pytest.mark.parametrize("option", ["-m", "--stop"])
def test_an_empty_choice_is_refused(option: str) -> None:
    """``-m "$UNSET"`` in a script must not quietly mean the default."""
    assert "it is empty" in refusal("generate", option, "", "x")


@pytest.mark.parametrize(
    "position",
    [
        ["generate", "PROMPT"],
        ["generate", "--system", "PROMPT", "x"],
        ["generate", "--stop", "PROMPT", "x"],
        ["generate", "-m", "PROMPT", "x"],
        ["init", "PROMPT"],
    ],
)
def test_arguments_that_are_no_utf8_are_refused(position: list[str]) -> None:
    """Bytes that are no UTF-8 reach Python as lone surrogates, which no provider could be sent, and --config-dir not name."""
    wording = refusal(*("a\udcffb" if word == "PROMPT" else word for word in position))
    assert "'a\\udcffb' is not UTF-8" in wording


def test_arguments_are_utf8_whatever_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the C locale without UTF-8 mode every byte of an umlaut is a lone surrogate; it is read as what was typed."""
    monkeypatch.setattr("os.fsencode", lambda text: text.encode("ascii", "surrogateescape"))
    assert parse(["generate", "ünï 😀".encode().decode("ascii", "surrogateescape")]).prompt == ["ünï 😀"]


def test_what_follows_two_dashes_is_prompt() -> None:
    """A prompt may begin with dashes, and hold options of ours."""
    args = parse(["generate", "-m", "a/b", "--", "--json", "-v", "x"])
    assert (args.prompt, args.json, args.verbose, args.model) == (["--json", "-v", "x"], False, 0, ["a/b"])


@pytest.mark.parametrize("argv", [["-v", "generate", "-v", "x"], ["generate", "x", "-vv"], ["-vv", "generate", "x"]])
def test_verbose_counts_before_and_after_the_command(argv: list[str]) -> None:
    """People put -v where they think of it."""
    assert parse(argv).verbose == 2


def test_an_unknown_option_names_its_like() -> None:
    """A misspelt option is refused with the one that was meant, and the command whose options are listed where."""
    wording = refusal("generate", "--temprature=1", "x")
    assert wording == "unknown option --temprature, did you mean --temperature?; see 'llm-sync generate --help'"


def test_options_are_not_abbreviated() -> None:
    """A script's --temp must not change its meaning when an option --template comes."""
    assert "unknown option --temp" in refusal("generate", "--temp", "1", "x")


def test_words_apart_are_refused() -> None:
    """A prompt in two places is not sent in half."""
    assert "'two' is separated" in refusal("generate", "one", "-m", "a/b", "two")


@pytest.mark.parametrize("argv", [[], ["-v"]])
def test_no_command_is_for_the_guide(argv: list[str]) -> None:
    """A bare call prints what to do next."""
    assert parse(argv).command is None


def test_an_unknown_option_before_the_command() -> None:
    """It is named, rather than the missing command."""
    assert refusal("--bogus").startswith("unknown option --bogus")

    assert refusal("--vresion") == "unknown option --vresion, did you mean --version?; see 'llm-sync --help'"


@pytest.mark.parametrize(
    ("argv", "wording"),
    [
        (["genrate", "x"], "unknown command 'genrate', did you mean generate?; see 'llm-sync --help'"),
        (["-vv", "simulat"], "unknown command 'simulat', did you mean simulate?; see 'llm-sync --help'"),
        (["Say hello"], "'Say hello' is not a command; to send a prompt: llm-sync generate 'Say hello'; see"),
        (["-v", "Say", "it's me"], "'Say' is not a command; to send a prompt: llm-sync generate 'Say it'\"'\"'s me'; see"),
        (["help", "genrate"], "unknown command 'genrate', did you mean generate?; see 'llm-sync --help'"),
        (["xyzzy"], f"unknown command 'xyzzy'; the commands are {', '.join(COMMANDS)}; see"),
    ],
)
def test_an_unknown_command_names_its_like(argv: list[str], wording: str) -> None:
    """Or all there are."""
    assert refusal(*argv).startswith(wording)


@pytest.mark.parametrize(
    ("argv", "wording"),
    [
        (["--config", "x.yaml", "generate", "hi"], "unknown option --config before a command: "),
        (["-m", "a/b", "generate", "hi"], "unknown option -m before a command: "),
        (["--model=a/b", "generate", "hi"], "--model goes after the command, as in: llm-sync generate --model; "),
        (["--json", "configs"], "--json goes after the command, as in: llm-sync configs --json; "),
        (["generate", "--version", "hi"], "--version is used without a command; "),
    ],
)
def test_an_option_in_the_wrong_place(argv: list[str], wording: str) -> None:
    """The error says where the option belongs, not that it is unknown, nor that its value is no command."""
    assert refusal(*argv).startswith(wording)


@pytest.mark.parametrize("argv", [["status", "more"], ["show", "one", "more"]])
def test_an_argument_too_many(argv: list[str]) -> None:
    """It is named."""
    assert refusal(*argv).startswith("unexpected argument 'more'; ")


@pytest.mark.parametrize(
    "argv",
    [["generate", "Say", "-m", "a/b", "more"], ["batch", "merge", "-o", "all", "more"], ["batch", "jobs", "--json", "more"]],
)
def test_an_argument_that_options_separate_from_the_others(argv: list[str]) -> None:
    """Where several are taken, the error says how to write them."""
    assert refusal(*argv).startswith("'more' is separated from the arguments before it: put options before or after all")


def test_only_what_is_missing_is_reported() -> None:
    """A script's own arguments may be none."""
    assert refusal("run-script").startswith("the following arguments are required: SCRIPT; ")


@pytest.mark.parametrize(
    ("argv", "child"),
    [
        (["--", "sh", "-c", "x", "--", "y"], ["--", "sh", "-c", "x", "--", "y"]),
        (["--port", "1", "--", "cmd", "--port", "2"], ["--", "cmd", "--port", "2"]),
        (["cmd", "--latency"], ["cmd", "--latency"]),
        (["--"], ["--"]),
        ([], []),
    ],
)
def test_a_simulated_commands_arguments_stay_its_own(argv: list[str], child: list[str]) -> None:
    """Every Python's argparse hands them on whole; simulate.py takes the first -- away."""
    assert parse(["simulate", *argv]).child == child


@pytest.mark.parametrize(
    ("typed", "alike"),
    [
        (["generate", "-s", "Be brief", "x"], ["generate", "--system", "Be brief", "x"]),
        (["batch", "-s", "Be brief", "in", "-o", "out"], ["batch", "--system", "Be brief", "in", "--output", "out"]),
        (["generate", "-o", "answer.txt", "x"], ["generate", "--output", "answer.txt", "x"]),
    ],
)
def test_short_options_mean_the_same_as_the_long_ones(typed: list[str], alike: list[str]) -> None:
    """-s and -o are what people type for a system prompt and an output file."""
    short, long = vars(parse(typed)), vars(parse(alike))
    assert {name: value for name, value in short.items() if name != "parser"} == {
        name: value for name, value in long.items() if name != "parser"
    }


def test_a_system_prompt_is_given_in_one_way() -> None:
    """-s does not hide that --system-file is given, too."""
    assert "not allowed with argument -s/--system" in refusal("generate", "-s", "a", "--system-file", "b", "x")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_prints_what_its_help_option_prints(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """``llm-sync help batch`` is ``llm-sync batch --help``, also with options before it."""
    expected = help_of(capsys, name)
    for argv in (["help", name], ["-q", "help", name]):
        with pytest.raises(SystemExit) as stop:
            parse(argv)
        assert not stop.value.code
        assert capsys.readouterr().out == expected


def test_help_alone_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Like --help without a command."""
    expected = help_of(capsys)
    with pytest.raises(SystemExit):
        parse(["help"])
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("argv", "wording"), [(["batch", "merge"], "unexpected argument 'merge'"), (["--json"], "unknown option --json")]
)
def test_help_explains_one_command(argv: list[str], wording: str) -> None:
    """More words, or an option it does not have, are errors rather than ignored."""
    assert refusal("help", *argv).startswith(wording)


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize("argv", [(), *((name,) for name in COMMANDS)], ids=lambda argv: "-".join(argv) or "top")
def test_help_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...], width: int
) -> None:
    """No line wraps, and no word is broken at a hyphen or in the middle."""
    monkeypatch.setenv("COLUMNS", str(width))
    lines = help_of(capsys, *argv).splitlines()
    # The longest words have no room in the narrow column of texts, but still fit the line.
    assert [line for line in lines if len(line) > width] == []
    assert [line for line in lines if line.endswith(("llm-", "$LLM_SYNC_CONFIG_", "gpt-"))] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_stands_alone(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each command's help says what it does, and how it ends; examples are kept as they are written."""
    monkeypatch.setenv("COLUMNS", "80")
    text = help_of(capsys, name)
    assert text.startswith(f"usage: llm-sync {name} ")
    words = " ".join(text.split())
    assert "exit status" in words
    if name == "generate":
        assert all(f"{code} {meaning}" in words for code, meaning in EXIT_CODES.items() if code != 10)
    if name not in ("generate", "batch", "embed"):
        assert EXIT_CODES[0] not in text  # it sends no requests
    if name != "completion":
        assert "\nexamples:\n  llm-sync " in text


def test_every_option_says_what_it_does() -> None:
    """No option without help, no help that ends like a sentence or begins like one."""
    for action in _actions(command_line.build_parser()):
        assert action.help, action.dest
        assert not action.help.endswith("."), action.help
        assert action.help[0] in "$-" or action.help[0].islower(), action.help


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    actions: list[argparse.Action] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                actions += _actions(command)
        else:
            actions.append(action)
    return actions


def _plain(roff: str) -> str:
    return " ".join(re.sub(r"^\.[A-Z]+ ?", "", roff, flags=re.MULTILINE).replace("\\-", "-").split())


@pytest.fixture
def include() -> str:
    """The hand-written part of the man page."""
    path = Path(__file__).parents[2] / "man" / "llm-sync.1.include"
    return path.read_text("utf-8")


def test_a_listing_that_is_refused_has_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    """A server that lists no models, or a wrong base_url, ends models with 7."""
    printed = help_of(capsys, "models").partition("exit status:\n")[2]
    statuses = re.findall(r"^  (\d+) ", printed, flags=re.MULTILINE)
    assert "7" in statuses
    assert "10" not in statuses


def test_the_man_page_has_the_table_of_statuses(include: str) -> None:
    """The hand-written EXIT STATUS section and the code's table say the same, in the same order."""
    section = include.partition("[=EXIT STATUS]\n")[2].partition("\n[=")[0]
    entries = [entry.partition("\n") for entry in section.partition(".PP")[0].split(".TP\n")[1:]]
    assert {int(code): _plain(meaning) for code, _, meaning in entries} == EXIT_CODES
    assert [int(code) for code, _, _ in entries] == list(EXIT_CODES)


def test_the_man_pages_examples_are_command_lines_that_parse(
    include: str, monkeypatch: pytest.MonkeyPatch, check_example: Callable[[str], None]
) -> None:
    """Every example can be copied and run."""
    examples = re.findall(r"^\.EX\n(.*?)^\.EE", include, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 4
    for example in examples:
        check_example(_plain(example))


@pytest.mark.parametrize("name", ["generate", "simulate"])
def test_the_helps_examples_are_command_lines_that_parse(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, check_example: Callable[[str], None], name: str
) -> None:
    """Nor one of the help's."""
    monkeypatch.setenv("COLUMNS", "80")
    block = help_of(capsys, name).partition("\nexamples:\n")[2].partition("\n\n")[0]
    examples = textwrap.dedent(block).replace("\\\n", " ").strip().splitlines()
    assert len(examples) >= 3
    for example in examples:
        check_example(example)


@pytest.fixture
def check_example() -> Callable[[str], None]:
    """Parses the llm-sync part of a shell line, as the shell would split it."""
    import shlex

    def check(example: str) -> None:
        commands = [shlex.split(re.sub(r"[<>]\S+", "", part)) for part in re.split(r"&&|\|(?=\s)", example)]
        ours = [words for words in commands if "llm-sync" in words]
        assert ours, example
        for words in ours:
            parse(words[words.index("llm-sync") + 1 :])

    return check


@pytest.mark.parametrize("option", ["--stream", "--no-stream", "--streaming", "--stream=true"])
def test_streaming_options_are_refused_with_a_reason(option: str) -> None:
    """Not the option that is spelled alike, but what to do."""
    name = option.partition("=")[0]
    assert refusal("generate", option, "hi").startswith(f"remove {name}: llm-sync never streams")
