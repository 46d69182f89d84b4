"""The files for the repository's host and for editors: workflows, forms, updates, hooks. Only a clone has them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
if (ROOT / "PKG-INFO").exists():
    pytest.skip("an sdist has no files of the repository's host", allow_module_level=True)

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
BY_BRANCH = {"pypa/gh-action-pypi-publish@release/v1"}  # its documentation asks for the branch


def read(path: Path) -> Any:
    """A YAML file; the key ``on`` of a workflow comes as True, as YAML 1.1 has it."""
    return yaml.safe_load(path.read_text("utf-8"))


def steps(workflow: Path) -> list[dict[str, Any]]:
    """The steps of all jobs."""
    return [step for job in read(workflow)["jobs"].values() for step in job.get("steps", ())]


def test_ci_runs_the_same_script_on_every_system_and_python() -> None:
    """Linux, macOS and Windows, each with every Python that setup.py and `make test-all` name, and later ones at most."""
    matrix = read(ROOT / ".github/workflows/ci.yml")["jobs"]["ci"]["strategy"]["matrix"]
    classified = re.findall(r"Python :: (3\.\d+)", (ROOT / "setup.py").read_text("utf-8"))
    tried = re.findall(r"for v in ([\d. ]+);", (ROOT / "Makefile").read_text("utf-8"))
    assert matrix["system"] == ["ubuntu", "macos", "windows"]
    assert matrix["python"] == tried[0].split()
    assert set(classified) <= set(matrix["python"])
    assert ".ci/run" in [step.get("run") for step in steps(ROOT / ".github/workflows/ci.yml")]


def test_what_ci_runs_on_windows_are_rooms_that_exist() -> None:
    """The folders that .ci/run names for Windows hold tests; no other system would notice a wrong name."""
    (named,) = re.findall(r"for room in ([a-z_ ]+);", (ROOT / ".ci/run").read_text("utf-8"))
    assert all(list((ROOT / "tests" / room).glob("test_*.py")) for room in named.split())


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_fixed_code_with_few_rights(workflow: Path) -> None:
    """Actions are pinned to a commit, with its version beside it; without a job that asks for more, a token can read at most."""
    lines = re.findall(r"uses: (\S+)(.*)", workflow.read_text("utf-8"))
    assert lines
    for action, comment in lines:
        assert action in BY_BRANCH or (re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) and re.search(r"# v\d+", comment)), action
    assert read(workflow)["permissions"] in ({}, {"contents": "read"})
    checkouts = [step for step in steps(workflow) if str(step.get("uses")).startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_only_the_publishing_job_can_publish() -> None:
    """One job runs in the environment that PyPI trusts, after the files were built, checked and attested."""
    jobs = read(ROOT / ".github/workflows/release.yml")["jobs"]
    publishing = [name for name, job in jobs.items() if any("pypi-publish" in str(step.get("uses")) for step in job["steps"])]
    assert publishing == [name for name, job in jobs.items() if "environment" in job] == ["publish"]
    assert (jobs["publish"]["needs"], jobs["attest"]["needs"]) == ("attest", "build")
    built = " ".join(str(step.get("run")) for step in jobs["build"]["steps"])
    assert "make release-check" in built
    assert "make dist-check" in built


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_make_target_of_a_workflow_exists(workflow: Path) -> None:
    """A workflow runs on the host only: a misspelt target would be noticed late."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"\bmake (?:--\S+ )?([a-z-]+)", " ".join(str(step.get("run", "")) for step in steps(workflow))):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_a_form_can_be_filled_in(form: Path) -> None:
    """It has a name, a description, and fields of known types with labels and ids of their own."""
    found = read(form)
    assert found["name"]
    assert found["description"]
    fields = [each for each in found["body"] if each["type"] != "markdown"]
    assert {each["type"] for each in fields} <= {"textarea", "input", "dropdown", "checkboxes"}
    assert all(each["attributes"]["label"] for each in fields)
    assert len({each["id"] for each in fields}) == len(fields) > 0


def test_there_are_forms_for_bugs_and_features() -> None:
    """Both forms exist, and a template for pull requests."""
    assert {path.stem for path in FORMS} == {"bug", "feature"}
    assert (ROOT / ".github/PULL_REQUEST_TEMPLATE.md").is_file()


def test_updates_are_asked_for_actions_and_packages() -> None:
    """Dependabot looks for new versions of what CI runs and of what the package needs."""
    assert {each["package-ecosystem"] for each in read(ROOT / ".github/dependabot.yml")["updates"]} == {"github-actions", "pip"}


def test_the_hooks_are_the_project_s_own_checks() -> None:
    """The hooks run the parts of `make check`, all of them and nothing else."""
    config = read(ROOT / ".pre-commit-config.yaml")
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    (parts,) = re.findall(r"^check: ([a-z ]+?) ##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    assert [hook["entry"] for hook in hooks] == [f"make {part}" for part in parts.split()]


def test_the_container_makes_the_environment_that_editors_are_told_of() -> None:
    """The commands that run when it is created end with the environment for checks, whose Python editors use."""
    text = re.sub(r"^\s*//.*$", "", (ROOT / ".devcontainer/devcontainer.json").read_text("utf-8"), flags=re.MULTILINE)
    found = json.loads(text)
    assert found["onCreateCommand"].endswith("make .venv/.for-checks")
    assert "/.venv/bin/python" in found["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
