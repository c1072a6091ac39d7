"""Run-time code without the ways in which data becomes code, a name becomes a log, or a program calls out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import ROOT, SOURCES, imported, is_inside, lives_in, parse, relative

UNSAFE_MODULES = ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "pty", "code", "codeop")
UNSAFE_MODULES += ("multiprocessing.pool", "multiprocessing.managers", "multiprocessing.queues", "torch.hub")
UNSAFE_MODULES += ("multiprocessing.Pool", "multiprocessing.Manager", "concurrent.futures.ProcessPoolExecutor")
UNSAFE_MODULES += ("multiprocessing.Queue", "multiprocessing.SimpleQueue", "multiprocessing.JoinableQueue")
"""A pool, a manager and a queue unpickle whatever their child sends."""

UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "getattr", "hasattr", "setattr"}
UNSAFE_METHODS = {"extractall", "system", "popen", "unpack_archive", "mktemp", "ProcessPoolExecutor", "Pool", "Manager"}
UNSAFE_QUALIFIED = ("torch.load", "torch.hub", "yaml.load", "numpy.fromstring", "tempfile.mktemp")
UNSAFE_QUALIFIED += ("os.system", "os.popen", "os.exec", "os.spawn", "shutil.unpack_archive")
UNSAFE_QUALIFIED += ("subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell")
UNSAFE_QUALIFIED += ("gradio.load", "gradio.Interface.load", "socket.create_connection", "urllib.request")
UNSAFE_FLAGS = {"shell", "trust_remote_code", "allow_pickle"}
GRADIO_FLAGS, GRADIO_HOMES = {"share"}, ("assistant/serve", "app.py")
"""`share=True` puts a page on the internet: unsafe where gradio may be imported, and in any call of a `launch`."""

NETWORK_MODULES = ("urllib.request", "urllib3", "requests", "http.client", "http.server", "httpx", "aiohttp", "ftplib")
NETWORK_MODULES += ("smtplib", "poplib", "imaplib", "telnetlib", "socketserver", "xmlrpc", "websockets", "websocket")
NETWORK_MODULES += ("huggingface_hub", "gradio_client", "boto3", "paramiko", "wandb", "mlflow")
SOCKETS = ("assistant/serve",)
"""Where a socket may be made: the chat listens, and talks to its own workers."""

LOGGERS = {"LOG", "log", "logger", "LOGGER"}
LEVELS = {"debug": 0, "info": 0, "warning": 0, "error": 0, "exception": 0, "critical": 0, "log": 1}


def aliases(tree: ast.Module) -> dict[str, str]:
    """Name in the file -> what it stands for: np -> numpy, load -> torch.load."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def qualified(function: ast.expr, names: dict[str, str]) -> str:
    """The called function by its full name, as far as the imports tell."""
    first, dot, rest = ast.unparse(function).partition(".")
    return f"{names.get(first, first)}{dot}{rest}"


TORCH_FILES = ("vision/training", "vision/models/checkpoints/read.py")
"""Who reads torch files, tensors only: a trainer its own optimiser state, the converter public checkpoints."""


def reads_tensors_only(node: ast.Call, file: Path) -> bool:
    """Whether a torch.load runs nothing and stands where one may."""
    flags = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    return lives_in(file, TORCH_FILES) and flags.get("weights_only") == "True"


def call_faults(node: ast.Call, file: Path, names: dict[str, str]) -> Iterator[str]:
    called = qualified(node.func, names)
    if called == "torch.load" and reads_tensors_only(node, file):
        return
    if called in UNSAFE_CALLS or called.startswith(UNSAFE_QUALIFIED):
        yield called
    if isinstance(node.func, ast.Attribute):
        if node.func.attr in UNSAFE_METHODS:
            yield called
        if node.func.attr == "recv" and not node.args:
            yield f"{called}() unpickles what the other process sent; use recv_bytes"
    unsafe = UNSAFE_FLAGS | (GRADIO_FLAGS if lives_in(file, GRADIO_HOMES) or called.endswith("launch") else set())
    for keyword in node.keywords:
        if keyword.arg in unsafe and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value):
            yield f"{called}({keyword.arg}=...)"
    yield from log_faults(node)


def log_faults(node: ast.Call) -> Iterator[str]:
    """A message that is not a literal may hold a name, and the log filter lets templates of ours pass."""
    function = node.func
    if not isinstance(function, ast.Attribute) or function.attr not in LEVELS:
        return
    owner = ast.unparse(function.value)
    if owner.rpartition(".")[2] in LOGGERS or "getLogger(" in owner or owner == "logging":
        template = node.args[LEVELS[function.attr]] if len(node.args) > LEVELS[function.attr] else None
        if not (isinstance(template, ast.Constant) and isinstance(template.value, str)):
            yield f"{owner}.{function.attr}: the message is no literal text"


def unsafe_faults(tree: ast.Module, file: Path) -> Iterator[str]:
    for line, name in imported(tree, file):
        if any(is_inside(name, module) for module in UNSAFE_MODULES):
            yield f"{relative(file)}:{line} imports {name}"
        if any(is_inside(name, module) for module in NETWORK_MODULES):
            yield f"{relative(file)}:{line} imports {name}, which calls out"
        if is_inside(name, "socket") and not lives_in(file, SOCKETS):
            yield f"{relative(file)}:{line} imports {name} outside {', '.join(SOCKETS)}"
    names = aliases(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from (f"{relative(file)}:{node.lineno} {fault}" for fault in call_faults(node, file, names))
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{relative(file)}:{node.lineno} bare except"


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_file_has_no_unsafe_call(file: Path) -> None:
    assert list(unsafe_faults(parse(file), file)) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "eval('1')",
        "archive.extractall(folder)",
        "subprocess.run('ls', shell=True)",
        "os.system('ls')",
        "from os import system\nsystem('ls')",
        "os.execv('/bin/sh', [])",
        "torch.load('weights.pt')",
        "from torch import load\nload('weights.pt')",
        "import torch as t\nt.load('weights.pt', weights_only=True)",
        "torch.hub.load('owner/name', 'model')",
        "import yaml\nyaml.load(text)",
        "import numpy as np\nnp.fromstring(text)",
        "numpy.load(file, allow_pickle=flag)",
        "from tempfile import mktemp\nmktemp()",
        "model.from_pretrained(name, trust_remote_code=True)",
        "demo.launch(share=True)",
        "import gradio as gr\ngr.load('models/x')",
        "try:\n    run()\nexcept:\n    stop()",
        "connection.recv()",
        "from multiprocessing import Queue",
        "import multiprocessing\nmultiprocessing.Pool(2)",
        "from concurrent.futures import ProcessPoolExecutor",
        "import requests",
        "from urllib.request import urlopen",
        "import urllib.request",
        "import http.client",
        "import socket",
        "socket.create_connection(('example.org', 80))",
        "from huggingface_hub import snapshot_download",
        "LOG.warning(f'cannot read {path}')",
        "logging.getLogger(__name__).error(text)",
        "logging.info('a' + name)",
        "self.log.log(10, message)",
    ],
)
def test_unsafe_code_is_found(code: str) -> None:
    assert list(unsafe_faults(ast.parse(code), ROOT / "vision/io/hu.py")) != []


@pytest.mark.parametrize(
    ("code", "where"),
    [
        ("network.eval()", "vision/models/runtime.py"),
        ("demo.launch(share=False)", "assistant/serve/page/build.py"),
        ("re.compile('a')", "vision/io/hu.py"),
        ("numpy.load(file)", "vision/io/hu.py"),
        ("connection.recv_bytes(10)", "assistant/serve/work.py"),
        ("end.recv(8)", "assistant/serve/work.py"),
        ("import socket", "assistant/serve/work.py"),
        ("from urllib.parse import urlsplit", "assistant/serve/work.py"),
        ("LOG.warning('%d slices', 3)", "assistant/api.py"),
        ("math.log(x)", "vision/measure/size.py"),
        ("CaseEntry(share=0.5)", "vision/training/cases.py"),
        ("torch.load(file, weights_only=True)", "vision/training/export.py"),
    ],
)
def test_safe_code_is_left_alone(code: str, where: str) -> None:
    assert list(unsafe_faults(ast.parse(code), ROOT / where)) == []
