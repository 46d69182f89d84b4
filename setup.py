"""The one place for the package's metadata; pyproject.toml holds the build requirements and the tools' settings.

The version is read as text from llm_sync/__init__.py (importing it would need the dependencies), the run-time
dependencies from requirements.txt. Building also generates the man pages and the shells' completions from the command line's own
parser; the end of this file says where each is installed.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

import shtab
from build_manpages import build_manpages, get_build_py_cmd, get_install_cmd
from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # missing in an isolated build; the parser, which is loaded as a file, imports its options
SUMMARY = "The blocking LLM client for programs that are not async: one call, any provider, no event loop"


def version() -> str:
    """The literal in llm_sync/__init__.py."""
    found = re.search(r'^__version__ = "([^"]+)"$', (ROOT / "llm_sync/__init__.py").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit('llm_sync/__init__.py has no line of the form: __version__ = "1.2.3"')
    return found.group(1)


def requirements() -> list[str]:
    """The lines of requirements.txt without comments."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines())
    return [line for line in lines if line]


class BuildManPages(build_manpages):  # type: ignore[misc]  # argparse-manpage ships no types
    """The page that [tool.build_manpages] in pyproject.toml defines, and one for each command (man/pages.py).

    They do not depend on the terminal they are built on.
    """

    def finalize_options(self) -> None:
        """Take the NAME line from the summary below."""
        super().finalize_options()
        for page in self.manpages_data.values():
            page.setdefault("description", SUMMARY[0].lower() + SUMMARY[1:])

    def run(self) -> None:
        """Build without wrapped lines: roff drops a line that happens to begin with a dot or a quote."""
        os.environ["COLUMNS"] = "100000"
        os.environ["NO_COLOR"] = "1"  # argparse of Python 3.14 uses colours on a terminal
        from llm_sync.cli.parser import COMMANDS, build_parser
        from man.pages import command_page, main_page

        ((path, data),) = self.manpages_data.items()
        parser = build_parser()
        parsers = parser.commands()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        for name, summary in COMMANDS.items():
            Path(manual_of(name)).write_text(command_page(name, parsers[name], summary, data), "utf-8")
        Path(path).write_text(main_page(parser, COMMANDS, data), "utf-8")


def manual_of(command: str) -> str:
    """Where the page of a command is built."""
    return f"build/man/llm-sync-{command}.1"


def command_names() -> list[str]:
    """The names of the commands, as the command line lists them."""
    from llm_sync.cli.parser import COMMANDS

    return list(COMMANDS)


# `llm-sync completion` prints the packaged copies; shells look for the shared ones.
COMPLETIONS = {
    "bash": "share/bash-completion/completions/llm-sync",
    "zsh": "share/zsh/site-functions/_llm-sync",
    "fish": "share/fish/vendor_completions.d/llm-sync.fish",
}
# How the shells complete configurations (by their file names) and models (by `llm-sync configs`, without the network). A folder
# that --config-dir names is not searched. Names with characters that a shell would interpret are not offered: they may come from
# anybody's files in the working folder, and bash inserts them as they are.
AWK = r"""function plain(text) { return text ~ /^[A-Za-z0-9._:@+\/-]+$/ }
/^    / && !/^    warning: / {
  at = index($0, ": "); name = substr($0, 5, at - 5); sub(/ [(].*[)]$/, "", name); models = substr($0, at + 2)
  if (models == "any model") next
  count = split(models, each, ", ")
  for (i = 1; i <= count; i++) if (plain(name "/" each[i])) print name "/" each[i]
}"""
BASH = rf"""
_llm_sync_configurations() {{
  local folder file
  for folder in ${{LLM_SYNC_CONFIG_DIR:+"$LLM_SYNC_CONFIG_DIR"}} config/llms "${{XDG_CONFIG_HOME:-$HOME/.config}}/llm-sync" \
    "$HOME/Library/Application Support/llm-sync"; do
    for file in "$folder"/*.yaml "$folder"/*.yml; do
      [[ -f $file ]] || continue
      file=${{file##*/}}
      file=${{file%.*}}
      [[ $file == "$1"* && $file =~ ^[A-Za-z0-9._@+-]+$ ]] && echo "$file"
    done
  done
  compgen -f -- "$1"
}}
_llm_sync_models() {{
  llm-sync configs 2>/dev/null </dev/null | awk '{AWK}' | sort -u | grep -F -- "$1"
}}
"""
ZSH = rf"""
_llm_sync_configurations() {{
  local folder
  local -a names
  for folder in $LLM_SYNC_CONFIG_DIR config/llms ${{XDG_CONFIG_HOME:-$HOME/.config}}/llm-sync \
    "$HOME/Library/Application Support/llm-sync"; do
    names+=($folder/*.(yaml|yml)(N:t:r))
  done
  compadd -a names
  _files
}}
_llm_sync_models() {{
  local -a models
  models=(${{(f)"$(llm-sync configs 2>/dev/null </dev/null | awk '{AWK}')"}})
  compadd -a models
}}
"""
FISH = rf"""
function _llm_sync_configurations
  set -l folders $LLM_SYNC_CONFIG_DIR config/llms $HOME/.config/llm-sync "$HOME/Library/Application Support/llm-sync"
  set -q XDG_CONFIG_HOME; and set -a folders $XDG_CONFIG_HOME/llm-sync
  for folder in $folders
    for file in $folder/*.yaml $folder/*.yml
      string replace -r '^.*/' '' -- $file | string replace -r '[.]ya?ml$' ''
    end
  end
  __fish_complete_path (commandline -ct)
end
function _llm_sync_models
  llm-sync configs 2>/dev/null </dev/null | awk '{AWK}'
end
"""


def completed_by(function: str) -> dict[str, Any]:
    """A completion by one of these shell functions, in shtab's format."""
    functions = {"bash": BASH, "zsh": ZSH, "fish": FISH}
    return {"bash": function, "zsh": function, "fish": f"({function})", "preamble": functions}


COMPLETED = {  # by metavar
    **dict.fromkeys(("FILE", "FILE|URL", "NAME|FILE", "INPUT", "SCRIPT"), shtab.FILE),
    "DIR": shtab.DIRECTORY,
    "NAME|PATH": completed_by("_llm_sync_configurations"),
    "PROVIDER/MODEL": completed_by("_llm_sync_models"),
}


def completion(shell: str) -> str:
    """The completions for a shell."""
    from llm_sync.cli.parser import COMMANDS, build_parser

    parser = build_parser()
    for action in parser.all_actions():
        if action.metavar in COMPLETED:
            action.complete = COMPLETED[str(action.metavar)]  # type: ignore[attr-defined]
        if action.dest == "about":
            action.choices = tuple(COMMANDS)  # not in the parser, whose error for an unknown command says more
    script = str(shtab.complete(parser, shell))
    instructions = "# To install them, see: llm-sync completion --help\n"  # shtab's own instructions name other folders
    return re.sub(r"^# Usage:\n(?:#.*\n)+", instructions, script, count=1, flags=re.MULTILINE)


class BuildPackage(build_py):
    """The package, with the completions in it."""

    def run(self) -> None:
        """Build, then write the completions beside the code, and where they are shared from."""
        super().run()
        for shell, path in COMPLETIONS.items():
            text = completion(shell)
            for target in (Path(self.build_lib, f"llm_sync/cli/completions/llm-sync.{shell}"), Path("build", path)):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, "utf-8")


setup(
    name="llm-sync",
    version=version(),
    description=SUMMARY,
    long_description=(ROOT / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    author="llm-sync contributors",
    license_expression="MIT",
    license_files=["LICENSE"],
    keywords="llm blocking synchronous openai anthropic gemini openrouter cli batch",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Operating System :: MacOS",
        "Operating System :: Microsoft :: Windows",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    install_requires=requirements(),
    extras_require={
        "dask": ["distributed>=2024.8"],  # batch --on dask: the engine that its community keeps; 21 packages, 42 MB
        "google": ["google-auth>=2.20"],
        "bedrock": ["botocore>=1.34"],  # AWS's profiles, single sign-on and roles; access keys and API keys need nothing
        "otel": ["opentelemetry-api>=1.30", "opentelemetry-sdk>=1.30"],  # spans and metrics; an exporter is the user's choice
        "local": ["xllamacpp>=2026.8"],  # llama.cpp with its server as a prebuilt wheel, no dependencies; weights: see README.md
        "prices": ['genai-prices>=0.2; python_version >= "3.11"'],  # data of many providers; needs pydantic and an HTTP library
        # Jinja2 escapes what goes into the page; pygal draws its charts as SVG here, so that no library goes into the page.
        "report": ["Jinja2>=3.1", "pygal>=3.0.5"],
        "numpy": ["numpy>=1.24"],  # embed -o FILE.npy
        "parquet": ["pyarrow>=15"],  # report -o FILE.parquet: the format's own implementation; fastparquet needs pandas
        "schema": ["jsonschema>=4.18"],
        "simulate": ["trustme>=1.1"],  # simulate --tls: a certificate takes a few lines with it, and hundreds without
        "xlsx": ["XlsxWriter>=3.1"],  # report -o FILE.xlsx: pure Python, writes row by row; openpyxl holds each cell in memory
        "test": [
            "Jinja2>=3.1",
            "argparse-manpage[setuptools]>=4.8",
            "build>=1.2",
            'genai-prices>=0.2; python_version >= "3.11"',
            "griffelib>=2",  # reads the docstrings for docs/python.md; no dependencies of its own
            "gunicorn>=22; sys_platform != 'win32'",  # forks as servers do; pure Python, 1 MB, one small dependency
            "hypothesis>=6.100",
            "jsonschema>=4.18",
            "opentelemetry-api>=1.30",
            "opentelemetry-sdk>=1.30",  # has an exporter in memory, which tests look into
            "openpyxl>=3.1",  # reads Excel files again
            "pandas>=2.0",  # pandas and scipy compute the figures of reports independently
            "pyarrow>=15",
            "pygal>=3.0.5",
            "pytest>=8.2",
            "pytest-cov>=6.0",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "responses>=0.25",
            "scipy>=1.10",
            "setuptools>=77",
            "shtab>=1.13",
            "sybil>=9",  # reads and skips the documentation's blocks; no dependencies of its own
            "trustme>=1.1",
            "XlsxWriter>=3.1",
        ],
        "dev": [
            "import-linter>=2.15",
            "mypy>=1.15",
            "ruff>=0.15",
            "types-PyYAML",
            "types-jsonschema",
            "types-requests",
        ],
    },
    packages=[*find_packages(include=["llm_sync", "llm_sync.*"]), "llm_sync.config.llms"],
    # The example configs stand at the top of the checkout and beside llm_sync/config/ in an installation.
    package_dir={"llm_sync.config.llms": "config/llms"},
    package_data={  # py.typed goes along by itself
        "llm_sync.config.llms": ["*.yaml"],
        "llm_sync.reports.page": ["assets/*"],
        "llm_sync.simulator": ["scripts/*.yaml"],
    },
    # Other packages add dialects under the entry-point group "llm_sync.providers"; this one registers its own by name.
    entry_points={
        "console_scripts": ["llm-sync = llm_sync.cli.main:main"],
        "pytest11": [
            "llm_sync = llm_sync.simulator.pytest_plugin",
            "llm_sync_recorded = llm_sync.cache.pytest_plugin",
        ],
    },
    cmdclass={
        "build_manpages": BuildManPages,
        "build_py": get_build_py_cmd(BuildPackage),
        "install": get_install_cmd(),
    },
    data_files=[
        *((os.path.dirname(path), [f"build/{path}"]) for path in COMPLETIONS.values()),
        ("share/man/man1", [manual_of(command) for command in command_names()]),
    ],
    zip_safe=False,
)
