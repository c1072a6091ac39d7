"""The wheel and the source archive: built once here, and opened."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("assistant", "prompts", "vision")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NEVER_SHIPPED = re.compile(r"\.(nii|nii\.gz|dcm|ima|npy|npz|zip|pt|pth|ckpt|pkl|bin)$", re.IGNORECASE)
LOADED_AS_PLUGINS = {"pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pyjpegls"}
"""pydicom finds these codecs by itself; no file imports them."""


def package_files() -> set[str]:
    files = {file for package in PACKAGES for file in (ROOT / package).rglob("*") if file.is_file()}
    return {file.relative_to(ROOT).as_posix() for file in files if "__pycache__" not in file.parts}


def canonical(requirement: str) -> str:
    """The distribution's name in a requirement, spelled as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~\[;]", requirement, maxsplit=1)[0]).lower()


def imported_libraries() -> set[str]:
    """Top-level names of every import in the three packages, the standard library and our own left out."""
    sources = [ROOT / "app.py", *(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    absolute = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in plain | absolute} - set(sys.stdlib_module_names) - {*PACKAGES, "app"}


def distributions_of(libraries: set[str]) -> set[str]:
    """Names of the distributions that provide some top-level modules; one that is not installed counts by its name."""
    known = packages_distributions()
    return {canonical(known.get(library, [library])[0]) for library in libraries}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive, built offline from a copy of the tree."""
    copy = tmp_path_factory.mktemp("copy")
    for name in (*PACKAGES, "tests", "recipes"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ROOT.iterdir():
        if file.is_file():
            shutil.copy(file, copy)
    out = copy / "dist"
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def sdist_names(built: Path) -> set[str]:
    """Names in the source archive, without its top folder."""
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        return {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}


def test_packages_listed_are_the_folders_that_hold_python() -> None:
    folders = {Path(name).parent.as_posix().replace("/", ".") for name in package_files() if name.endswith(".py")}
    assert PROJECT["tool"]["setuptools"]["packages"] == sorted(folders)


def test_every_package_folder_has_an_init_file() -> None:
    folders = [name.replace(".", "/") for name in PROJECT["tool"]["setuptools"]["packages"]]
    assert [folder for folder in folders if not (ROOT / folder / "__init__.py").is_file()] == []


def test_every_imported_library_is_declared() -> None:
    project = PROJECT["project"]
    extras = [name for extra in project["optional-dependencies"].values() for name in extra]
    declared = {canonical(name) for name in [*project["dependencies"], *extras]}
    assert distributions_of(imported_libraries()) - declared == set()


def test_every_declared_dependency_is_imported() -> None:
    declared = {canonical(name) for name in PROJECT["project"]["dependencies"]}
    assert declared - distributions_of(imported_libraries()) - LOADED_AS_PLUGINS == set()


def test_the_libraries_with_known_advisories_are_new_enough() -> None:
    wanted = {"gradio>=6.25,<7", "pydicom>=3.0.2,<4", "torch>=2.10,<3"}
    assert wanted <= set(PROJECT["project"]["dependencies"])
    assert "monai>=1.5.2" in PROJECT["project"]["optional-dependencies"]["train"]


@pytest.mark.parametrize("archive", ["wheel_names", "sdist_names"])
def test_archive_holds_every_file_of_the_three_packages(archive: str, request: pytest.FixtureRequest) -> None:
    assert package_files() - request.getfixturevalue(archive) == set()


@pytest.mark.parametrize("archive", ["wheel_names", "sdist_names"])
def test_archive_holds_the_app_the_words_and_the_licence(archive: str, request: pytest.FixtureRequest) -> None:
    names = request.getfixturevalue(archive)
    assert {"app.py", "vision/py.typed", "assistant/py.typed", "vision/structures/structures.csv"} <= names
    assert [name for name in names if name.startswith("prompts/") and not name.endswith(".py")] != []
    assert {"LICENSE", "NOTICE"} <= {Path(name).name for name in names}


@pytest.mark.parametrize("archive", ["wheel_names", "sdist_names"])
def test_archive_holds_weights_each_with_its_card(archive: str, request: pytest.FixtureRequest) -> None:
    names = request.getfixturevalue(archive)
    weights = [name for name in names if name.endswith(".safetensors")]
    assert weights != []
    assert [name for name in weights if Path(name).with_suffix(".md").as_posix() not in names] == []


@pytest.mark.parametrize("archive", ["wheel_names", "sdist_names"])
def test_archive_holds_no_ct_and_no_checkpoint(archive: str, request: pytest.FixtureRequest) -> None:
    assert [name for name in request.getfixturevalue(archive) if NEVER_SHIPPED.search(name)] == []


def test_the_wheel_holds_nothing_beside_the_packages_and_the_app(wheel_names: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_names}
    assert tops - {"app.py", *PACKAGES} == {f"bodymaps_assistant-{PROJECT['project']['version']}.dist-info"}


def test_the_installed_wheel_answers_info_away_from_its_source(wheel: Path, tmp_path: Path) -> None:
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    program = "import assistant, sys; sys.argv[1:] = ['info', '--json']; from assistant.cli import main; main()"
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert isinstance(json.loads(told.stdout), dict)
