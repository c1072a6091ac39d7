"""What the README shows runs as it stands: its commands exist, its Python answers, its pictures and links are there."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import pytest

from vision.phantom import make_phantom

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(ROOT.glob("*.md"))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELLS = {"bash", "sh", "shell", "console"}
PROMPTS = re.compile(r"^[$>] ")


def blocks(*languages: str) -> list[str]:
    return [code for language, code in FENCE.findall(README) if language in languages]


def commands() -> list[str]:
    """Every shell line, continuation lines joined, prompts and comments left out."""
    joined = "\n".join(blocks(*SHELLS)).replace("\\\n", " ")
    lines = [PROMPTS.sub("", line).split(" #")[0].strip() for line in joined.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def used(pattern: str) -> list[str]:
    """First groups of a pattern over all shell lines, each once."""
    return sorted({name for line in commands() for name in re.findall(pattern, line)})


def write_phantom_where_read(code: str, folder: Path) -> None:
    """Put a small CT at every relative NIfTI path that a snippet names."""
    phantom = make_phantom(seed=0, spacing_mm=(3.0, 3.0, 3.0))
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith((".nii", ".nii.gz")):
            path = folder / node.value
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(phantom.ct.hu, phantom.ct.grid.affine), path)


def test_readme_shows_shell_and_python() -> None:
    assert blocks("python") != []
    assert commands() != []


@pytest.mark.parametrize("code", blocks("python"))
def test_python_of_the_readme_runs_on_the_phantom(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_phantom_where_read(code, tmp_path)
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "readme_snippet.py"
    script.write_text(code, encoding="utf-8")
    runpy.run_path(str(script))
    if "print(" in code:
        assert capsys.readouterr().out.strip() != ""


@pytest.mark.parametrize("target", used(r"\bmake ([a-z][\w-]*)"))
def test_make_target_of_the_readme_exists(target: str) -> None:
    assert target in make_targets()


@pytest.mark.parametrize("command", used(r"\bbodymaps ([a-z][\w-]*)"))
def test_command_of_the_readme_explains_itself(command: str) -> None:
    program = f"import sys; sys.argv = ['bodymaps', {command!r}, '--help']; from assistant.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--" in done.stdout


@pytest.mark.parametrize("module", used(r"python3? -m ((?:vision|assistant)[\w.]*)"))
def test_module_that_the_readme_runs_exists(module: str) -> None:
    path = ROOT / module.replace(".", "/")
    assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


@pytest.mark.parametrize("recipe", used(r"\b(recipes/[\w./-]+)"))
def test_recipe_of_the_readme_exists(recipe: str) -> None:
    assert (ROOT / recipe).is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_of_a_page_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if not re.match(r"https?:|mailto:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("target", ["demo", "chat", "test", "check"])
def test_makefile_offers_the_four_ways_in(target: str) -> None:
    assert target in make_targets()
