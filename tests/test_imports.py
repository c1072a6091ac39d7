"""The rules of the architecture, read off the syntax trees and, for the light modules, off a fresh interpreter."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import ROOT, SOURCES, imported, is_inside, lives_in, parse, relative

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
    "starlette": ("assistant/serve",),
    "uvicorn": ("assistant/serve",),
    "nibabel": ("vision/io",),
    "pydicom": ("vision/io", "assistant/report"),
    "highdicom": ("vision/io", "assistant/report"),
    "monai": ("vision/models", "vision/training", "vision/synthesis", "vision/benchmark"),
    "transformers": ("assistant/language",),
    "peft": ("assistant/language",),
    "bitsandbytes": ("assistant/language",),
}
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


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_file_imports_only_what_its_layer_may(file: Path) -> None:
    assert list(layer_faults(parse(file), file)) == []


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
        ("vision/io/hu.py", "def read():\n    from torch import nn", "light path"),
        ("assistant/records.py", "import torch.nn", "light path"),
        ("assistant/skills/segment.py", "import gradio as gr", "lives in assistant/serve"),
        ("assistant/skills/segment.py", "from ...app import main", "direction"),
        ("vision/measure/size.py", "import nibabel", "lives in vision/io"),
        ("assistant/api.py", "from monai.networks import nets", "lives in vision/models"),
    ],
)
def test_forbidden_import_is_found(where: str, code: str, said: str) -> None:
    assert said in " ".join(layer_faults(ast.parse(code), ROOT / where))
