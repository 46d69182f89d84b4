"""``--cache`` and ``llm-sync cache``."""

from __future__ import annotations

import errno
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync.cache import files
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.options.cache_use import join_cache_folder

Ask = Callable[..., Any]


@pytest.fixture
def ask(llm: Ask, config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs a command with the configuration, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    path = Path(config)
    path.write_text(path.read_text().replace("defaults: {", "defaults: {model: first/m, "))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return lambda command, *arguments, **options: llm(command, "--config", config, *arguments, **options)


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["--cache"], ["--cache="]),
        (["--cache", "-m", "x"], ["--cache=", "-m", "x"]),
        (["--cache", "Say hello"], ["--cache=", "Say hello"]),
        (["--cache", "What is a/b?"], ["--cache=", "What is a/b?"]),
        (["--cache", "there"], ["--cache=there"]),
        (["--cache", "./new", "x"], ["--cache=./new", "x"]),
        (["--cache", "~/new"], ["--cache=~/new"]),
        (["--cache", "in.jsonl", "-o", "y"], ["--cache=", "in.jsonl", "-o", "y"]),
        (["--cache", "sub/in.jsonl"], ["--cache=", "sub/in.jsonl"]),
        (["--cache=x", "y"], ["--cache=x", "y"]),
        (["--cache", "-"], ["--cache=", "-"]),
        (["x", "--", "--cache", "y"], ["x", "--", "--cache", "y"]),
        (["--cache", ""], ["--cache=", ""]),
    ],
)
def test_the_word_after_cache_is_its_folder_only_if_it_is_one(
    words: list[str], joined: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prompt and the input of a batch may follow a --cache without a folder."""
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    Path("sub").mkdir()
    for name in ("in.jsonl", "sub/in.jsonl"):
        Path(name).touch()
    assert join_cache_folder(words) == joined


def test_a_word_that_may_be_folder_or_prompt_is_refused(ask: Ask) -> None:
    """Nothing is guessed: "answers" may be what is asked."""
    with pytest.raises(UsageError, match=r"write --cache=\./answers"):
        join_cache_folder(["--cache", "answers"])
    with pytest.raises(UsageError, match="neither a folder nor a file"):
        join_cache_folder(["--cache", os.devnull])
    assert ask("generate", "--cache", "hello").status == 2


def test_generate_stores_and_uses_answers(ask: Ask, script: Any) -> None:
    """In the user's own folder; the second answer needs no request, and no key."""
    script.answer("first")
    script.answer("second")
    assert ask("generate", "--cache", "Say hello").out == "first\n"
    assert ask("generate", "--cache", "Say hello").out == "first\n"
    record = json.loads(ask("generate", "--json", "--cache", "Say hello").out)
    assert (record["response"]["cached"], record["response"]["attempts"]) == (True, 0)
    assert ask("generate", "--no-cache", "Say hello").out == "second\n"
    assert len(list(Path("xdg/llm-sync/answers").rglob("*.json"))) == 1


def test_offline_a_miss_ends_with_status_7(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names what is stored; a hit needs no key."""
    ask("generate", "--cache", "./d", "Say hello")
    monkeypatch.delenv("CLI_TEST_KEY")
    assert ask("generate", "--offline", "--cache", "./d", "Say hello").status == 0
    done = ask("generate", "--offline", "--cache", "./d", "Say goodbye")
    assert done.status == 7
    assert '"Say hello" is stored, "Say goodbye" is asked' in done.err
    assert ask("generate", "--offline", "--no-cache", "x").status == 2


def test_a_batch_sends_equal_lines_once(ask: Ask) -> None:
    """The summary says so."""
    Path("in.txt").write_text("a\nb\na\n")
    done = ask("batch", "--text", "in.txt", "-o", "out.jsonl", "--dedupe")
    assert "1 line with the answer to an equal line" in done.out
    done = ask("batch", "--text", "--cache", "./d", "in.txt", "-o", "2.jsonl")
    assert done.status == 0
    done = ask("batch", "--text", "--cache", "./d", "in.txt", "-o", "3.jsonl")
    assert "3 answers from the cache" in done.out
    assert "sent    nothing" in done.out
    done = ask("batch", "--text", "--cache", "./d", "in.txt", "-o", "4.jsonl", "--dry-run")
    assert "3 answers of these are stored" in done.out
    assert json.loads(ask("batch", "--text", "--cache", "./d", "in.txt", "-o", "5.jsonl", "--json").out)["cached"] == 3


def test_what_is_stored_is_listed_and_shown(ask: Ask, llm: Ask, script: Any) -> None:
    """By model, by line, in full, and as JSON."""
    script.answer("a fine answer")
    ask("generate", "--cache", "./d", "Say hello to the world")
    ask("generate", "--cache", "./d", "-m", "second/m", "Another")
    out = llm("cache", "info", "--dir", "d").out
    assert "2 answers" in out
    assert "2  openai/m" in out
    assert json.loads(llm("cache", "info", "--dir", "d", "--json").out)["answers"] == 2
    lines = llm("cache", "list", "--dir", "d").out.splitlines()
    assert len(lines) == 2
    (line,) = (line for line in lines if "Say hello to the world" in line)
    key = line.split()[0]
    shown = llm("cache", "show", key, "--dir", "d").out
    assert "a fine answer" in shown
    assert '"content": "Say hello to the world"' in shown
    record = json.loads(llm("cache", "show", key, "--dir", "d", "--json").out)
    assert record["key"].startswith(key)
    assert {json.loads(each)["model"] for each in llm("cache", "list", "--dir", "d", "--json").out.splitlines()} == {"m"}
    assert llm("cache", "show", "zz", "--dir", "d").status == 2
    assert llm("cache", "show", "", "--dir", "d").status == 2


def test_each_sample_is_shown_by_the_key_that_the_list_has(ask: Ask, llm: Ask, tmp_path: Path) -> None:
    """Equal lines of a batch are stored under one key, with numbers behind it; without a number it is the first."""
    Path("in.txt").write_text("same\nsame\nother\n")
    assert ask("batch", "--text", "in.txt", "-o", "out.jsonl", "--cache=./d").status == 0
    keys = [line.split()[0] for line in llm("cache", "list", "--dir", "d").out.splitlines()]
    assert sorted("-" in key for key in keys) == [False, False, True]
    for key in keys:
        digest, _, sample = key.partition("-")
        shown = json.loads(llm("cache", "show", key, "--dir", "d", "--json").out)
        assert shown["key"].startswith(digest)
        assert shown["sample"] == int(sample or 0)
    assert llm("cache", "show", f"{keys[0][:12]}-7", "--dir", "d").status == 2


def test_answers_are_exported_and_imported(ask: Ask, llm: Ask) -> None:
    """Also packed, and through a pipe; what is there is left, what is none is counted."""
    for prompt in ("one two", "three four"):
        ask("generate", "--cache", "./d", prompt)
    assert llm("cache", "export", "x.jsonl.gz", "--dir", "d").status == 0
    assert len(gzip.decompress(Path("x.jsonl.gz").read_bytes()).splitlines()) == 2
    assert os.stat("x.jsonl.gz").st_mode & 0o777 == 0o600
    assert "2 answers stored" in llm("cache", "import", "x.jsonl.gz", "--dir", "e").out
    assert "0 answers stored, 2 were stored before" in llm("cache", "import", "x.jsonl.gz", "--dir", "e").out
    assert ask("generate", "--offline", "--cache", "./e", "one two").status == 0
    lines = llm("cache", "export", "-", "--dir", "d").out
    forged = lines.replace("one two", "one too").splitlines()
    Path("y.jsonl").write_text("\n".join([*forged, "{}", ""]))
    assert "1 answer stored, 2 lines are no answers" in llm("cache", "import", "y.jsonl", "--dir", "f").out
    Path("z.jsonl").write_text('{"index": 0}\n')
    assert "needs its --input" in llm("cache", "import", "z.jsonl", "--dir", "f").err


def test_forged_lines_are_refused_one_by_one(ask: Ask, llm: Ask) -> None:
    """What was made up or damaged does not keep the other answers of a file out, and nothing of it is stored."""
    ask("generate", "Say hello", "--cache=./d")
    llm("cache", "export", "a.jsonl", "--dir", "d")
    right = Path("a.jsonl").read_text()
    forged = [
        right.replace('"model": "m"', '"model": "n"', 1),
        right.replace('"key": "', '"key": "../', 1),
        right.replace('"attempts": 1', '"attempts": NaN'),
        right.replace('"cost_estimate": null', '"cost_estimate": 1e999'),
        right.replace('"stored": "2', '"stored": "0'),
        right[: len(right) // 2] + "\n",
        "[" * 100_000 + "\n",
    ]
    assert right not in forged
    Path("b.jsonl").write_text("".join([*forged, right]))
    result = llm("cache", "import", "b.jsonl", "--dir", "e", "--json")
    assert json.loads(result.out) == {"file": "b.jsonl", "stored": 1, "present": 0, "refused": len(forged)}
    assert json.loads(llm("cache", "info", "--dir", "e", "--json").out)["answers"] == 1


def test_a_store_that_cannot_be_written_ends_an_import(ask: Ask, llm: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says why, and names the store."""
    ask("generate", "Say hello", "--cache=./d")
    llm("cache", "export", "a.jsonl", "--dir", "d")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "replace", full)
    result = llm("cache", "import", "a.jsonl", "--dir", "e")
    assert result.status == 2
    assert f"answers cannot be stored in {Path('e').resolve()}: {os.strerror(errno.ENOSPC)}" in result.err


@pytest.mark.parametrize("limit", ["--max-age=99999999999w", f"--max-bytes={'9' * 400}"])
def test_a_limit_of_any_size_is_taken(ask: Ask, llm: Ask, limit: str) -> None:
    """Nothing is as old or as large as that."""
    ask("generate", "Say hello", "--cache=./d")
    assert llm("cache", "prune", limit, "--dir", "d").out == "0 answers removed\n"


def test_the_output_of_a_batch_is_imported_with_its_input(ask: Ask) -> None:
    """Afterwards the same lines cost nothing."""
    Path("in.txt").write_text("a\nb\n")
    ask("batch", "--text", "in.txt", "-o", "out.jsonl")
    assert "2 answers stored" in ask("cache", "import", "out.jsonl", "--input", "in.txt", "--text", "--dir", "d").out
    assert ask("batch", "--text", "in.txt", "-o", "2.jsonl", "--cache", "./d", "--offline").status == 0


def test_old_and_surplus_answers_are_removed(ask: Ask, llm: Ask) -> None:
    """With files that are no answers, and what killed processes left; clear asks first."""
    for prompt in ("one two", "three four", "five six"):
        ask("generate", "--cache", "./d", prompt)
    paths = sorted(Path("d").rglob("*.json"))
    paths[0].write_text(paths[0].read_text().replace('"stored": "2', '"stored": "1'))
    paths[1].write_text("{")
    (paths[2].parent / ".x.tmp").touch()
    os.utime(paths[2].parent / ".x.tmp", (1, 1))
    done = llm("cache", "prune", "--max-age", "30d", "--dir", "d").out
    assert done.startswith("1 answer removed")
    assert "1 file that was no answer, 1 leftover of killed processes" in done
    assert llm("cache", "clear", "--dir", "d").status == 2
    assert len(list(Path("d").rglob("*.json"))) == 1
    assert "1 answer removed" in llm("cache", "clear", "--yes", "--dir", "d").out
    assert not Path("d").exists()
    assert "answers need --max-age or --max-bytes" in llm("cache", "prune", "--dir", "d").err
    assert json.loads(llm("cache", "prune", "--max-bytes", "1k", "--json", "--dir", "d").out)["answers"] == 0


def test_prune_leaves_an_answer_of_a_later_release(ask: Ask, llm: Ask) -> None:
    """It is no answer for this release, but one for that."""
    ask("generate", "--cache", "./d", "Say hello")
    (path,) = Path("d").rglob("*.json")
    path.write_text(path.read_text().replace('"llm_sync_answer": 1', '"llm_sync_answer": 2'))
    assert llm("cache", "prune", "--max-age", "0", "--dir", "d").out == "0 answers removed\n"
    assert path.exists()


def test_prune_leaves_a_file_that_cannot_be_read_now(ask: Ask, llm: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many files may be open, or the disk of a server away."""
    ask("generate", "--cache", "./d", "Say hello")
    (path,) = Path("d").rglob("*.json")

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as context:
        context.setattr(files, "read", broken)
        assert llm("cache", "prune", "--max-age", "0", "--dir", "d").out == "0 answers removed\n"
    assert path.exists()


def _half_of_a_pair(content: str) -> str:
    return content.replace('"model": "m"', '"model": "\\ud800"')


def _out_of_range(content: str) -> str:
    document = json.loads(content)
    del document["reply"]
    response = {"text": "x", "finish_reason": "stop", "latency_ms": float("inf")}
    return json.dumps({**document, "response": response}).replace("Infinity", "1e999")


@pytest.mark.parametrize("edit", [_half_of_a_pair, _out_of_range])
def test_an_answer_that_could_not_be_written_again_is_left_out(ask: Ask, llm: Ask, edit: Callable[[str], str]) -> None:
    """And the others are exported and shown all the same."""
    ask("generate", "--cache", "./d", "one")
    ask("generate", "--cache", "./d", "two")
    path = sorted(Path("d").rglob("*.json"))[0]
    path.write_text(edit(path.read_text()))
    assert llm("cache", "export", "out.jsonl", "--dir", "d").status == 0
    assert len(Path("out.jsonl").read_text().splitlines()) == 1
    assert llm("cache", "show", path.stem, "--json", "--dir", "d").status == 2


def test_a_packed_file_that_is_damaged_is_not_imported(llm: Ask, tmp_path: Path) -> None:
    """With a sentence, also where gzip's own header is whole."""
    packed = bytearray(gzip.compress(b"{}"))
    packed[10] = 7  # a kind of block that there is not
    (tmp_path / "in.jsonl.gz").write_bytes(packed)
    done = llm("cache", "import", str(tmp_path / "in.jsonl.gz"), "--dir", str(tmp_path / "d"))
    assert done.status == 2
    assert "in.jsonl.gz' cannot be imported" in done.err


def test_clear_leaves_what_is_not_its_own(ask: Ask, llm: Ask) -> None:
    """Other files and folders, and the folder itself if there was no answer in it."""
    for name in ("ab", "go"):
        Path("d", name).mkdir(parents=True)
    llm("cache", "clear", "--yes", "--dir", "d")
    assert sorted(each.name for each in Path("d").iterdir()) == ["ab", "go"]
    ask("generate", "--cache", "./d", "Say hello")
    (Path("d") / "notes.txt").touch()
    llm("cache", "clear", "--yes", "--dir", "d")
    assert sorted(each.name for each in Path("d").iterdir()) == ["go", "notes.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["wash"], "invalid choice"),
        (["info", "x"], "cache info takes none"),
        (["show"], "cache show needs a KEY; 'llm-sync cache list' shows them"),
        (["export", "a", "b"], "writes one file"),
        (["info", "--yes"], "--yes is for cache clear"),
        (["prune", "--max-age", "soon"], "max_age is 'soon': Give seconds"),
        (["import", "x", "-m", "a/m"], "-m is for cache import --input"),
        (["import", "nowhere"], "'nowhere' cannot be imported"),
        (["export", "no/where"], "'no/where' cannot be written"),
        (["export", "."], "'.' cannot be written"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(llm: Ask, arguments: list[str], message: str, tmp_path: Path) -> None:
    """With status 2."""
    done = llm("cache", *arguments, "--dir", str(tmp_path / "d"))
    assert done.status == 2
    assert message in done.err
