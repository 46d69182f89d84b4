"""YAML as plain values with lines; everything that is wrong with its form."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from llm_sync.validation.document import MAX_BYTES, Document, FileFormat
from llm_sync.validation.yaml_document import parse_document, read_document
from llm_sync.validation.yaml_scalars import plain_value

FORMAT = FileFormat("a configuration")


def parse(text: str | bytes) -> Document:
    """The document of a text."""
    return parse_document(text.encode() if isinstance(text, str) else text, "x.yaml", FORMAT)


def problem_texts(text: str | bytes) -> list[str]:
    """The problems as texts."""
    return [str(problem) for problem in parse(text).problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("On", "On"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12:30", "12:30"),
        ("2024-08-06", "2024-08-06"),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-3", -3),
        ("+3", 3),
        ("010", 10),
        ("0x1f", 31),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("1.2.3", "1.2.3"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("gpt-4o", "gpt-4o"),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_scalars_are_read_by_yaml_1_2(text: str, value: object) -> None:
    """The traps of YAML 1.1 (yes, 12:30, dates, octal, 1e3 as text) are none here."""
    assert plain_value(text) == value
    assert type(plain_value(text)) is type(value)
    assert parse(f"a: {text}").value == {"a": value}


def test_nan_is_a_number() -> None:
    """``.nan`` is for the schema to refuse."""
    assert math.isnan(plain_value(".nan"))


def test_quoted_scalars_are_text() -> None:
    """Whatever stands in quotes, in a block or under !!str."""
    document = parse(
        "a: '5'\nb: \"true\"\nc: |\n  5\nd: !!str 5\ne: ! 5\nf: !!float 5\ng: !!int 7\nh: !!bool true\ni: !!null ~\n"
    )
    assert document.value == {"a": "5", "b": "true", "c": "5\n", "d": "5", "e": "5", "f": 5.0, "g": 7, "h": True, "i": None}
    assert document.problems == []


def test_keys_are_text_as_written() -> None:
    """``no:``, ``1:`` and ``2024-01-01:`` are names, not a boolean, a number and a date."""
    assert parse("no: 1\n1: 2\n2024-01-01: 3\n~: 4\n'yes': 5").value == {"no": 1, "1": 2, "2024-01-01": 3, "~": 4, "yes": 5}


def test_every_field_knows_its_line() -> None:
    """In blocks and flows, lists and mappings; for what is absent, the nearest thing around it."""
    document = parse("# c\na:\n  b: [1,\n      {c: 2}]\n\nd: x\n")
    assert document.lines == {
        (): 2,
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "b", 0): 3,
        ("a", "b", 1): 4,
        ("a", "b", 1, "c"): 4,
        ("d",): 6,
    }
    assert document.line(("a", "zzz", 5)) == 2


def test_aliases_stand_for_what_they_name() -> None:
    """Scalars, lists and mappings; changes at one place do not show at the other."""
    value = parse("a: &x [1, 2]\nb: *x\nc: &s hi\nd: *s\n").value
    assert value == {"a": [1, 2], "b": [1, 2], "c": "hi", "d": "hi"}
    assert value["a"] is not value["b"]


def test_merge_keys_fill_in_what_is_not_written() -> None:
    """``<<`` takes one mapping or several, the first wins; a quoted "<<" is a name."""
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 0}\nd:\n  y: 5\n  <<: *a\ne: {'<<': 1}\n"
    value = parse(text).value
    assert value["c"] == {"x": 0, "y": 1, "z": 2}
    assert value["d"] == {"x": 1, "y": 5}
    assert value["e"] == {"<<": 1}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "a:\n\tb: 1",
            "x.yaml:2: not YAML: while scanning for the next token found character that cannot start any token (YAML is",
        ),
        ("a: [1,\nb\n", "x.yaml:2: not YAML: while parsing a flow sequence begun in line 1, did not find expected"),
        ("a: b: c", "x.yaml:1: not YAML"),
        ("a: 'x", "x.yaml:1: not YAML"),
        ("a: %x", "x.yaml:1: not YAML"),
        ('a: "\\ud800"', "x.yaml:1: not YAML"),
        ("a: 1\nb: 2\na: 3", "x.yaml:3: the key a is written twice, first in line 1 (keep one of them)"),
        ("a: {b: 1, b: 2}", "x.yaml:1: the key b is written twice, first in line 1"),
        ("a: 1\n---\nb: 2", "x.yaml:2: a second document begins here (---) (one file holds one document)"),
        ("---\n---\nb: 2", "x.yaml:2: a second document begins here"),
        ("a: *b", "x.yaml:1: the alias *b names nothing (its &anchor must come before it)"),
        ("a: &a [*a]", "x.yaml:1: the alias *a is inside what it names"),
        ("a: &a {b: {c: *a}}", "x.yaml:1: the alias *a is inside what it names"),
        ("a: 1\n<<: 5", "x.yaml:2: << takes a mapping or a list of mappings"),
        ("a: !!python/object/apply:os.system [x]", "x.yaml:1: the tag !!python/object/apply:os.system is not allowed"),
        ("a: !!python/name:os.system", "x.yaml:1: the tag !!python/name:os.system is not allowed"),
        ("a: !!binary aGk=", "x.yaml:1: the tag !!binary is not allowed"),
        ("a: !!timestamp 2024-01-01", "x.yaml:1: the tag !!timestamp is not allowed"),
        ("a: !!set {b}", "x.yaml:1: the tag !!set is not allowed"),
        ("a: !own b", "x.yaml:1: the tag !own is not allowed"),
        ("a: !!int x", "x.yaml:1: the value is not of the type its tag !!int says"),
        ("a: !!int true", "x.yaml:1: the value is not of the type its tag !!int says"),
        ("!!int 5: a", "x.yaml:1: the tag !!int is not allowed on a key"),
        ("? [a]\n: b", "x.yaml:1: a key is a list or a mapping"),
        ("{a: 1}: b", "x.yaml:1: "),
        ("? a: 1\n: b", "x.yaml:1: a key is a list or a mapping"),
        ("a: &a x\n*a : b", "x.yaml:2: a key is an alias"),
        ("? \n: b", "x.yaml:1: a key is empty (write a name before the colon)"),
        ("a: \0", "x.yaml:1: the file holds the control character U+0000"),
        ("a: 1\nb: \x1b[0m", "x.yaml:2: the file holds the control character U+001B"),
        (b"a: 1\nb: \xe9\n", "x.yaml:2: the file is not UTF-8 (save it as UTF-8)"),
        ("a: 1".encode("utf-16"), "x.yaml:1: the file is not UTF-8"),
        (b"#" * (MAX_BYTES + 1), "x.yaml: the file is over 1 MiB"),
        ("[" * 5000, "x.yaml:1: the file is nested more than 40 deep"),
        ("- " * 5000, "x.yaml:1: the file is nested more than 40 deep"),
        ("%YAML 3.0\n---\na: 1", "x.yaml:1: not YAML"),
    ],
)
def test_problems_are_reported_with_their_lines(text: str | bytes, problem: str) -> None:
    """One problem a mistake, never an exception."""
    reported = problem_texts(text)
    assert reported[0].startswith(problem)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n...\n", "null"])
def test_an_empty_file_has_no_value_and_no_problem(text: str) -> None:
    """The reader leaves it to its caller whether a file may be empty."""
    document = parse(text)
    assert (document.value, document.problems) == (None, [])


def test_problems_of_form_do_not_hide_each_other() -> None:
    """Duplicates and tags are reported all at once, and the rest of the file is still read."""
    document = parse("a: 1\na: 2\nb: !x 1\nb: 3\nc: 4\n")
    assert [problem.line for problem in document.problems] == [2, 3, 4]
    assert document.value == {"a": 1, "b": "1", "c": 4}


def test_an_alias_bomb_is_bounded() -> None:
    """Nine levels of ten aliases would be a thousand million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    (problem,) = problem_texts("\n".join(lines))
    assert problem == "x.yaml:5: the file says more than 50000 values (are aliases nested in aliases?)"


def test_a_chain_of_aliases_cannot_outgrow_the_stack() -> None:
    """Depth counts what aliases stand for: recursion over the result is safe."""
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 2000))]
    (problem,) = problem_texts("\n".join(lines))
    assert problem == "x.yaml:40: the file is nested more than 40 deep (are aliases nested in aliases?)"


def test_merged_mappings_count_too() -> None:
    """A bomb of merge keys is bounded like any other."""
    lines = ["a0: &a0 {k: 1}", *(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}], k{i}: 1}}" for i in range(1, 60))]
    (problem,) = problem_texts("\n".join(lines))
    assert "says more than 50000 values" in problem


def test_a_byte_order_mark_is_let_pass() -> None:
    """Windows editors write one."""
    assert parse(b"\xef\xbb\xbfa: \xc3\xa9").value == {"a": "é"}


def test_line_ends_of_windows_are_line_ends() -> None:
    """CRLF files read alike, with the same lines."""
    document = parse("a: 1\r\nb: 2\r\n")
    assert (document.value, document.lines["b",]) == ({"a": 1, "b": 2}, 2)


def test_a_folder_and_a_missing_file_say_so(tmp_path: Path) -> None:
    """The path is named, nothing is raised."""
    assert str(read_document(tmp_path, FORMAT).problems[0]).startswith(f"{tmp_path}: is a folder, not a file")
    assert str(read_document(tmp_path / "no.yaml", FORMAT).problems[0]) == f"{tmp_path / 'no.yaml'}: there is no such file"
    assert str(read_document("a\0b", FORMAT).problems[0]) == "a\\x00b: cannot be read: it is not a file name"


def test_an_unreadable_file_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the system answers is passed on (made up here, as root may read everything)."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x.yaml").write_bytes(b"")
    monkeypatch.setattr("llm_sync.validation.yaml_document.open_user_file", refuse)
    assert str(read_document(tmp_path / "x.yaml", FORMAT).problems[0]).endswith("x.yaml: cannot be read: Permission denied")


def test_a_device_is_not_read() -> None:
    """It might never end."""
    if not Path("/dev/zero").exists():
        pytest.skip("there is no /dev/zero")
    assert str(read_document("/dev/zero", FORMAT).problems[0]) == (
        "/dev/zero: cannot be read: it is a device, not a regular file"
    )


def test_an_endless_file_is_not_read_to_its_end() -> None:
    """At most a byte over the limit is read."""
    if not Path("/dev/fd").exists():
        pytest.skip("there is no /dev/fd")
    with open("/dev/zero", "rb") as zero:
        assert "over 1 MiB" in str(read_document(f"/dev/fd/{zero.fileno()}", FORMAT).problems[0])


def test_without_libyaml_files_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML's own parser is the fall-back where the C one was not built."""
    import yaml

    texts = [
        "a: yes\nb: [1, 'x', {c: ~}]\nd: &d {e: 1e3}\nf: {<<: *d}\n",
        "a: 1\na: 2",
        "a: !!python/name:x",
        "a:\n\tb: 1",
        "a: &a [*a]",
    ]
    before = [(parse(text).value, [problem.line for problem in parse(text).problems]) for text in texts]
    monkeypatch.setattr("llm_sync.validation.yaml_document._LOADER", yaml.SafeLoader)
    assert [(parse(text).value, [problem.line for problem in parse(text).problems]) for text in texts] == before
