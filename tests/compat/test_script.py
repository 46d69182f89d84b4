"""Unmodified scripts run with the originals' names redirected: as processes of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipapp
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llm_sync
from llm_sync.compat import __main__ as command
from llm_sync.compat.redirect import finder

ROOT = Path(llm_sync.__file__).parent.parent
ASK = """
import openai
client = openai.OpenAI(api_key="sk-script-0123456789")
answer = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Say hello"}], max_tokens=500)
print(answer.choices[0].message.content)
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(upstream: Any, tmp_path: Path) -> Run:
    """Runs a script by ``llm-sync run-script``, or ``python -m llm_sync.compat``; ``before`` stands before its name."""

    def start(
        source: str | None,
        *arguments: str,
        before: tuple[str, ...] = (),
        module: bool = False,
        name: str = "script.py",
        **options: Any,
    ) -> subprocess.CompletedProcess[str]:
        if source is not None:
            (tmp_path / name).write_text(source)
        way = ["-m", "llm_sync.compat"] if module else ["-m", "llm_sync", "run-script"]
        environ = {"OPENAI_BASE_URL": upstream.url(), "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "HOME": str(tmp_path)}
        kept = {name: os.environ[name] for name in ("PATH", "LLM_SYNC_RUNTIME_DIR") if name in os.environ}
        return subprocess.run(
            [sys.executable, *way, *before, name, *arguments],
            env={**kept, **environ, **options.pop("environ", {})},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
            **options,
        )

    return start


@pytest.mark.parametrize("module", [True, False])
def test_a_script_runs_unmodified(run: Run, upstream: Any, module: bool) -> None:
    """Its output is its own; what was redirected is said once, on standard error."""
    done = run(f"{ASK}import openai.error, openai\n", module=module)
    assert done.returncode == 0, done.stderr
    assert "Say hello" in done.stdout
    assert done.stderr == "llm-sync: import openai finds llm_sync.compat.openai\n"
    assert len(upstream.bodies) == 1


def test_a_script_with_a_configuration_of_its_own_is_rehearsed(run: Run, upstream: Any, tmp_path: Path) -> None:
    """Where the variable of the simulator says so; it is told once."""
    (tmp_path / "real.yaml").write_text("providers: {openai: {api_key: sk-real-0123456789, models: [gpt-4o-mini]}}")
    rehearsed = {"LLM_SYNC_SIMULATOR_URL": upstream.simulator.root}
    told = f"answered by the simulator at {upstream.simulator.root} (LLM_SYNC_SIMULATOR_URL), not as configured: openai\n"
    done = run(ASK, before=("--config", "real.yaml", "--quiet"), environ=rehearsed)
    assert "Say hello" in done.stdout, done.stderr
    assert done.stderr == f"llm-sync: {told}"
    assert run(ASK, before=("--config", "real.yaml"), environ=rehearsed).stderr.count(told) == 1
    assert len(upstream.bodies) == 2


def test_nothing_of_the_originals_and_no_event_loop_is_loaded(run: Run, tmp_path: Path) -> None:
    """sys.modules says so, with packages of those names at hand that would not import."""
    for original in finder.ORIGINALS:
        (tmp_path / original).mkdir()
        (tmp_path / original / "__init__.py").write_text("raise SystemExit('the real one')")
    source = f"""{ASK}
import anthropic, litellm, sys
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from openai.error import RateLimitError
from anthropic.types import Message, TextBlock
from litellm.exceptions import Timeout
from openai.openai_object import OpenAIObject
assert isinstance(answer, ChatCompletion)
import json
print(json.dumps({{name: getattr(module, "__name__", None) for name, module in sys.modules.items()}}))
"""
    done = run(source)
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stdout.splitlines()[-1])
    assert not {"asyncio", "httpx", "aiohttp", "pydantic"} & modules.keys()
    under = {name: home for name, home in modules.items() if name.partition(".")[0] in finder.ORIGINALS}
    assert {"openai", "openai.error", "anthropic", "litellm"} <= under.keys()
    assert all(home.startswith("llm_sync.compat.") for home in under.values())
    assert done.stderr.count("\n") == 3


def test_only_redirects_what_is_named(run: Run, tmp_path: Path) -> None:
    """The others are looked for as usual."""
    (tmp_path / "litellm.py").write_text("print('the real one')")
    done = run("import openai, litellm", before=("--only", "openai"))
    assert (done.returncode, done.stdout) == (0, "the real one\n")
    assert done.stderr == "llm-sync: import openai finds llm_sync.compat.openai\n"
    done = run("import openai, litellm", before=("--only", "openai", "--only", "litellm"), module=True)
    assert done.stderr.count("finds llm_sync.compat") == 2


def test_a_part_that_the_shim_lacks_is_no_module(run: Run) -> None:
    """The error says whose it is; a script may catch it."""
    source = "try:\n    import openai.embeddings_utils\nexcept ImportError as error:\n    print(type(error).__name__, error)\n"
    done = run(source)
    assert done.stdout.startswith("ModuleNotFoundError llm-sync's stand-in for openai has no 'openai.embeddings_utils'")
    done = run("from openai import Nothing")
    assert done.returncode == 1
    assert "ImportError: cannot import name 'Nothing'" in done.stderr


def test_the_script_is_main_as_python_has_it(run: Run, tmp_path: Path) -> None:
    """Name, file, arguments (those that look like options too), the folder on sys.path, pickles of its own classes."""
    (tmp_path / "beside.py").write_text("VALUE = 7")
    source = """
import pickle, sys
from beside import VALUE
class Mine: pass
assert isinstance(pickle.loads(pickle.dumps(Mine())), Mine)
import os; assert os.path.isabs(__file__) and __loader__.get_filename() == __file__
mine = sys.modules["__main__"].__dict__ is globals()
print(__name__, os.path.basename(__file__), sys.argv, VALUE, __builtins__.__name__, __spec__, mine)
"""
    done = run(source, "-v", "--config", "x", "--", "-")
    assert done.stdout == "__main__ script.py ['script.py', '-v', '--config', 'x', '--', '-'] 7 builtins None True\n", done.stderr


@pytest.mark.parametrize(
    ("source", "status", "said"),
    [
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(7)", 7, ""),
        ("import sys; sys.exit('so be it')", 1, "so be it\n"),
        ("raise OSError('no')", 1, "OSError: no\n"),
        ("import openai; raise openai.OpenAIError('no')", 1, "OpenAIError: no\n"),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt\n"),
        ("def f(:", 1, "SyntaxError: invalid syntax\n"),
    ],
)
@pytest.mark.parametrize("module", [True, False])
def test_it_ends_as_python_would(run: Run, source: str, status: int, said: str, module: bool) -> None:
    """Nothing of it is taken for the command line's own; a traceback begins in the script."""
    done = run(source, module=module)
    assert done.returncode == status, done.stderr
    assert done.stderr.endswith(said)
    if "Traceback" in done.stderr:
        first = done.stderr[done.stderr.index("Traceback") :].splitlines()[1]
        assert re.fullmatch(r'  File "/.*/script.py", line 1, in <module>', first)


NO_KEY = """
import openai
def ask():
    return openai.OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "x"}])
"""
WITHOUT_KEY = "providers: {openai: {api_key: '${NOBODY_SETS_THIS}', models: [gpt-4o-mini]}}"


def frames(stderr: str) -> list[str]:
    """The functions in which a traceback's frames are."""
    return re.findall(r'File ".*", line \d+, in (\S+)', stderr)


def test_a_missing_key_is_one_traceback_through_the_script_alone(run: Run, tmp_path: Path) -> None:
    """With the message at its end, and Python's status for an uncaught exception; with -v all that led there."""
    (tmp_path / "c.yaml").write_text(WITHOUT_KEY)
    done = run(f"{NO_KEY}\nask()\n", before=("--config", "c.yaml"))
    assert (done.returncode, done.stderr.count("Traceback"), frames(done.stderr)) == (1, 1, ["<module>", "ask"])
    assert "exceptions.AuthenticationError: openai/gpt-4o-mini: the environment variable NOBODY_SETS_THIS" in done.stderr
    assert done.stderr.count("the environment variable NOBODY_SETS_THIS") == 1
    whole = run(f"{NO_KEY}\nask()\n", before=("-v", "--config", "c.yaml"))
    assert whole.stderr.count("Traceback") == 2


def test_an_exception_of_the_script_about_one_of_a_shim_is_shown_with_it(run: Run, tmp_path: Path) -> None:
    """Each once, from the script's lines."""
    (tmp_path / "c.yaml").write_text(WITHOUT_KEY)
    source = f"{NO_KEY}\ntry:\n    ask()\nexcept openai.OpenAIError as error:\n    raise ValueError('mine') from error\n"
    done = run(source, before=("--config", "c.yaml"))
    assert (done.stderr.count("Traceback"), frames(done.stderr)) == (2, ["<module>", "ask", "<module>"])
    assert done.stderr.endswith("ValueError: mine\n")


def test_an_excepthook_of_the_script_gets_the_whole_exception(run: Run, tmp_path: Path) -> None:
    """What reports errors elsewhere may want to know the cause."""
    (tmp_path / "c.yaml").write_text(WITHOUT_KEY)
    hook = "import sys\nsys.excepthook = lambda kind, error, traceback: print(type(error.__cause__).__module__)\n"
    assert run(f"{hook}{NO_KEY}\nask()\n", before=("--config", "c.yaml")).stdout == "llm_sync.errors\n"


def test_a_script_that_cannot_be_read(run: Run) -> None:
    """Status 2, as Python's."""
    for module in (True, False):
        done = run(None, module=module, name="nosuch.py")
        assert done.returncode == 2
        assert "'nosuch.py' cannot be read: No such file" in done.stderr


def test_standard_input_a_folder_and_a_zip_file_are_scripts(run: Run, tmp_path: Path) -> None:
    """As with Python."""
    source = "import openai, os, sys; print(openai.__name__, sys.argv, os.path.relpath(__file__))"
    assert run(None, "a", name="-", input=source).stdout == "llm_sync.compat.openai ['-', 'a'] <stdin>\n"
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text(source)
    assert run(None, "a", name="app").stdout == "llm_sync.compat.openai ['app', 'a'] app/__main__.py\n"
    zipapp.create_archive(tmp_path / "app", tmp_path / "app.pyz", interpreter="/usr/bin/env python3")
    assert run(None, "a", name="app.pyz").stdout == "llm_sync.compat.openai ['app.pyz', 'a'] app.pyz/__main__.py\n"


def test_a_script_finds_itself_after_changing_folders(run: Run) -> None:
    """Its own file is named in full, whatever folder it goes to; inspect finds its lines."""
    source = """
import inspect, os
def mine(): return 7
os.chdir("/")
assert "return 7" in inspect.getsource(mine)
assert os.path.exists(os.path.join(os.path.dirname(__file__), "script.py"))
"""
    done = run(source)
    assert done.returncode == 0, done.stderr


def test_a_folder_or_a_zip_file_without_a_main_is_told(run: Run, tmp_path: Path) -> None:
    """In one line, with status 2."""
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as file:
        file.writestr("other.py", "")
    for name in ("empty", "empty.zip"):
        done = run(None, name=name)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "__main__" in done.stderr


def test_versions_are_those_of_the_originals(run: Run) -> None:
    """Scripts decide by them which generation they speak, by the module or by importlib.metadata; others are as installed."""
    source = """
import importlib.metadata as metadata
import anthropic, litellm, openai
from openai.version import VERSION
assert metadata.version("openai") == openai.__version__ == openai.VERSION == VERSION == openai.version.VERSION
assert (metadata.version("anthropic"), metadata.version("litellm")) == (anthropic.__version__, litellm.__version__)
assert metadata.metadata("openai")["Name"] == "openai" and not metadata.files("openai")
assert int(openai.__version__.partition(".")[0]) >= 1
assert metadata.version("requests") == __import__("requests").__version__
assert all(each.metadata["Name"] != "litellm" for each in metadata.distributions())
"""
    done = run(source)
    assert done.returncode == 0, done.stderr


def test_every_module_of_types_is_found(run: Run) -> None:
    """They are many, and scripts take classes from any of them."""
    source = """
from openai.types.chat.chat_completion_message_tool_call import ChatCompletionMessageToolCall, Function
from openai.types.completion_usage import CompletionUsage
from openai.types.shared_params import FunctionDefinition
from openai.types.chat import ChatCompletionChunk
from openai import OpenAI, Stream
from anthropic.types.text_block import TextBlock
from litellm.types.utils import ModelResponse
import openai.types.chat.completion_create_params, openai
def hinted(it: Stream[ChatCompletionChunk]) -> None: ...
try:
    from openai import pydantic_function_tool
except ImportError as error:
    print(error)
try:
    from openai.types.chat import Nonsense
except ImportError as error:
    print(error)
"""
    done = run(source)
    assert done.stdout.startswith("openai.pydantic_function_tool is not supported by llm-sync. Instead:"), done.stderr
    assert "cannot import name 'Nonsense'" in done.stdout


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("from litellm import completion, token_counter", "litellm.token_counter"),
        ("from litellm.utils import token_counter", "litellm.token_counter"),
        ("from litellm import acompletion as ask", "litellm.acompletion"),
        ("from openai import OpenAI, moderations", "openai.moderations"),
        ("from anthropic import beta_tool", "anthropic.beta_tool"),
    ],
)
def test_an_unsupported_function_is_refused_at_its_import(run: Run, upstream: Any, line: str, name: str) -> None:
    """By name and with the alternative, before the script asks anything."""
    done = run(f"{line}\n{ASK}")
    assert done.returncode == 1
    assert f"\nImportError: {name} is not supported by llm-sync. Instead: " in done.stderr
    assert upstream.bodies == []


def test_unsupported_names_are_reported_when_the_original_is_imported(run: Run) -> None:
    """In one line, however the script has them; what it does not use, and what others call by the same names, is not listed."""
    source = """
import json, litellm as lite, openai
text = "encode".encode()
class Late:
    def count(self): return lite.token_counter(model="m", text="x"), openai.images.edit, json.decoder
def raw(client): return client.chat.completions.with_raw_response.create(model="m")
print(hasattr(lite, "token_counter"), hasattr(lite, "nonsense"))
"""
    done = run(source)
    assert done.stdout == "True False\n", done.stderr
    lines = [line.partition(": ")[2] for line in done.stderr.splitlines() if "the script uses" in line]
    rest = ": llm-sync does not support that, and raises an exception when it is used"
    assert lines == [f"the script uses litellm.token_counter{rest}", f"the script uses openai.images, with_raw_response{rest}"]
    assert run("import openai, litellm; print(openai.OpenAI, litellm.completion)").stderr.count("\n") == 2


@pytest.mark.parametrize("source", ["import litellm\nlitellm.completion_cost", "from litellm import completion_cost"])
@pytest.mark.parametrize("installed", [True, False])
def test_costs_without_a_price_list_are_reported_at_the_import(run: Run, source: str, installed: bool, tmp_path: Path) -> None:
    """Before the answer is paid for whose cost would be unknown."""
    hide = "" if installed else "import sys; sys.modules['genai_prices'] = None\n"
    (tmp_path / "genai_prices.py").write_text("")
    done = run(f"{hide}{source}\n")
    assert done.returncode == 0, done.stderr
    assert ("no price list is installed" in done.stderr) is not installed


def test_signals_are_the_scripts(run: Run) -> None:
    """Ctrl-C is Python's own, SIGTERM and SIGHUP kill, however the command line has them."""
    source = """
import signal
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
"""
    done = run(source)
    assert done.returncode == 0, done.stderr


def test_a_configuration_may_be_named(run: Run, upstream: Any, tmp_path: Path) -> None:
    """By --config, or looked for in --config-dir; one that is not there is status 3."""
    text = f"providers: {{mine: {{type: openai, api_key: k, base_url: '{upstream.url()}', models: [gpt-4o-mini]}}}}"
    (tmp_path / "mine.yaml").write_text(text)
    source = "import openai; print(openai.OpenAI().chat.completions.create(model='gpt-4o-mini', messages=[{'role': 'user', 'content': 'x'}]).llm_sync[0].provider)"  # noqa: E501
    assert run(source, before=("--config", "./mine.yaml")).stdout == "mine\n"
    assert run(source, before=("--config-dir", ".", "--config", "mine")).stdout == "mine\n"
    done = run(source, before=("--config", "./none.yaml"))
    assert done.returncode != 0
    assert "none.yaml" in done.stderr


def test_one_warning_for_a_cut_answer(run: Run) -> None:
    """The library's own is not repeated; -q says nothing."""
    cut = ASK.replace("500", "3")
    done = run(cut)
    assert done.stderr.count("cut") == 1
    assert done.returncode == 0
    assert run(cut, before=("-q",)).stderr == ""
    done = run(cut, environ={"LLM_SYNC_STRICT": "1"})
    assert done.returncode == 1
    assert "LengthFinishReasonError" in done.stderr


def test_a_script_that_ends_leaves_nothing_behind(run: Run) -> None:
    """No thread keeps the process, no warning of an open socket is printed."""
    done = run(f"{ASK}\nimport gc; del client, answer; gc.collect()", environ={"PYTHONDEVMODE": "1"})
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stderr


@pytest.mark.parametrize("arguments", [[], ["--only"], ["--only", "requests", "x.py"], ["--nothing", "x.py"]])
def test_a_wrong_command_line_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and the usage."""
    assert command.main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: python -m llm_sync.compat")


def test_a_redirect_can_be_undone() -> None:
    """Imports find what is installed again, or nothing."""
    on_import: list[str] = []
    before = {name: sys.modules.get(name) for name in finder.ORIGINALS}
    made = finder.install(["litellm"], on_import.append)
    try:
        import litellm  # type: ignore[import-not-found,unused-ignore]

        assert litellm.__name__ == "llm_sync.compat.litellm"
        assert litellm.__spec__.name == "llm_sync.compat.litellm"
        import litellm.exceptions  # type: ignore[import-not-found,unused-ignore]

        assert on_import == ["litellm"]
    finally:
        finder.remove(made)
    assert "litellm" not in sys.modules
    assert before["openai"] is sys.modules.get("openai")
