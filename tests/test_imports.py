"""The rules of the architecture, read off the syntax trees and, for the light modules, off a fresh interpreter."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("assistant", "prompts", "vision")
SOURCES = sorted([*ROOT.glob("app.py"), *(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))])
LONGEST_FILE = 300

# Importer -> what it must not import. Deeper importers come on top of the rules of the folders above them.
FORBIDDEN_LAYERS = {
    "vision": ("assistant", "prompts", "app"),
    "assistant": ("app",),
    "prompts": ("assistant", "vision", "app"),
}
LIGHT = (
    "vision/geometry",
    "vision/structures",
    "vision/measure",
    "vision/io",
    "assistant/records.py",
    "assistant/plan.py",
)
HOMES = {
    "gradio": ("assistant/serve",),
    "nibabel": ("vision/io",),
    "pydicom": ("vision/io", "assistant/report"),
    "highdicom": ("vision/io", "assistant/report"),
    "monai": ("vision/models", "vision/training", "vision/synthesis", "vision/benchmark"),
    "transformers": ("assistant/language",),
    "peft": ("assistant/language",),
    "bitsandbytes": ("assistant/language",),
}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "getattr", "hasattr", "setattr"}
UNSAFE_METHODS = {"extractall", "system", "popen", "unpack_archive"}
UNSAFE_QUALIFIED = {"torch.load", "yaml.load", "numpy.fromstring", "tempfile.mktemp"}
UNSAFE_FLAGS = {"shell", "trust_remote_code", "allow_pickle", "share"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")

HEAVY = ("torch", "gradio", "monai", "transformers", "peft", "bitsandbytes", "matplotlib")
LIGHT_MODULES = (
    "assistant",
    "assistant.cli",
    "assistant.plan",
    "assistant.records",
    "vision",
    "vision.errors",
    "vision.geometry",
    "vision.io",
    "vision.measure",
    "vision.segmenter",
    "vision.structures",
)


def relative(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def imported(tree: ast.Module, file: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute module name) of every import in a file, nested ones too."""
    package = file.relative_to(ROOT).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, node.module] if node.module else above)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def is_inside(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def lives_in(file: Path, homes: tuple[str, ...]) -> bool:
    return any(relative(file) == home or relative(file).startswith(f"{home}/") for home in homes)


def layer_faults(tree: ast.Module, file: Path) -> Iterator[str]:
    for line, name in imported(tree, file):
        for module in FORBIDDEN_LAYERS.get(file.relative_to(ROOT).parts[0], ()):
            if is_inside(name, module):
                yield f"{relative(file)}:{line} imports {name}; the direction is app -> assistant -> vision"
        if is_inside(name, "torch") and lives_in(file, LIGHT):
            yield f"{relative(file)}:{line} imports torch on a light path"
        for library, homes in HOMES.items():
            if is_inside(name, library) and not lives_in(file, homes):
                yield f"{relative(file)}:{line} imports {name}; it lives in {', '.join(homes)}"


def resumes_own_training(node: ast.Call, file: Path) -> bool:
    """A trainer may read the optimiser state that it wrote itself, tensors only; nothing else reads torch files."""
    flags = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    return lives_in(file, ("vision/training",)) and flags.get("weights_only") == "True"


def call_faults(node: ast.Call, file: Path) -> Iterator[str]:
    called = ast.unparse(node.func)
    if called == "torch.load" and resumes_own_training(node, file):
        return
    if isinstance(node.func, ast.Name) and called in UNSAFE_CALLS:
        yield called
    if called in UNSAFE_QUALIFIED or (isinstance(node.func, ast.Attribute) and node.func.attr in UNSAFE_METHODS):
        yield called
    for keyword in node.keywords:
        if keyword.arg in UNSAFE_FLAGS and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value):
            yield f"{called}({keyword.arg}=...)"


def unsafe_faults(tree: ast.Module, file: Path) -> Iterator[str]:
    for line, name in imported(tree, file):
        if name.split(".")[0] in UNSAFE_MODULES:
            yield f"{relative(file)}:{line} imports {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from (f"{relative(file)}:{node.lineno} {fault}" for fault in call_faults(node, file))
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{relative(file)}:{node.lineno} bare except"


def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_file_imports_only_what_its_layer_may(file: Path) -> None:
    assert list(layer_faults(parse(file), file)) == []


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_file_has_no_unsafe_call(file: Path) -> None:
    assert list(unsafe_faults(parse(file), file)) == []


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_file_is_finished(file: Path) -> None:
    lines = enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
    assert [f"{relative(file)}:{number} {line.strip()}" for number, line in lines if UNFINISHED.search(line)] == []


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_file_opens_with_a_docstring(file: Path) -> None:
    assert ast.get_docstring(parse(file)), f"{relative(file)} says nowhere what it is for"


def test_no_python_file_is_longer_than_three_hundred_lines() -> None:
    files = [*SOURCES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "recipes").rglob("*.py")]
    lengths = {relative(file): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_light_module_loads_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        ("vision/measure/size.py", "from assistant import records", "direction"),
        ("vision/measure/size.py", "import torch", "light path"),
        ("vision/io/nifti.py", "def read():\n    from torch import nn", "light path"),
        ("assistant/records.py", "import torch.nn", "light path"),
        ("assistant/skills/segment.py", "import gradio as gr", "lives in assistant/serve"),
        ("assistant/skills/segment.py", "from ...app import main", "direction"),
        ("vision/measure/size.py", "import nibabel", "lives in vision/io"),
        ("assistant/api.py", "from monai.networks import nets", "lives in vision/models"),
    ],
)
def test_forbidden_import_is_found(where: str, code: str, said: str) -> None:
    assert said in " ".join(layer_faults(ast.parse(code), ROOT / where))


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "eval('1')",
        "archive.extractall(folder)",
        "subprocess.run('ls', shell=True)",
        "os.system('ls')",
        "torch.load('weights.pt')",
        "numpy.load(file, allow_pickle=flag)",
        "model.from_pretrained(name, trust_remote_code=True)",
        "demo.launch(share=True)",
        "try:\n    run()\nexcept:\n    stop()",
    ],
)
def test_unsafe_code_is_found(code: str) -> None:
    assert list(unsafe_faults(ast.parse(code), ROOT / "vision/io/nifti.py")) != []


@pytest.mark.parametrize("code", ["network.eval()", "demo.launch(share=False)", "re.compile('a')", "numpy.load(file)"])
def test_safe_code_is_left_alone(code: str) -> None:
    assert list(unsafe_faults(ast.parse(code), ROOT / "vision/io/nifti.py")) == []
