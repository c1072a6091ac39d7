"""Starting the chat: for whom, on which port, with which of Gradio's defaults pinned."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from assistant.serve import ServerSettings, launch
from assistant.serve.guard.origins import is_loopback
from assistant.serve.page.build import PINS
from assistant.serve.place import PREFIX, sweep
from assistant.serve.site import GRADIO_FOLDER, Site
from assistant.serve.start import SHARE_FOR_CONNECTIONS, Server, most_open_files, require_safe
from tests.assistant.fake_conversation import open_fake
from vision.errors import UsageError


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "ct.example.org"])
def test_serving_others_without_a_password_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match=rf"E_AUTH: On {re.escape(host)} anybody could open the CTs.*--auth"):
        launch(host=host)
    require_safe(host, ("ann", "secret"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.9"])
def test_this_machine_alone_needs_no_password(host: str) -> None:
    require_safe(host, None)
    assert is_loopback(host)


def test_a_port_that_is_taken_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"E_PORT: 127.0.0.1:{port} cannot be served from"):
            launch(port=port)


def test_an_empty_password_is_refused() -> None:
    with pytest.raises(UsageError, match="name or the password is empty"):
        launch(auth=("ann", ""))


def test_nothing_is_shared_recorded_or_monitored() -> None:
    off = ("show_error", "enable_monitoring", "run_history", "mcp_server", "ssr_mode", "pwa")
    assert {name: PINS[name] for name in off} == dict.fromkeys(off, False)
    assert list(PINS["allowed_paths"]) == []
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"


def test_gradio_keeps_nothing_of_a_visitor_and_the_site_leaves_nothing_behind() -> None:
    before = os.environ.get(GRADIO_FOLDER)
    site = Site(open_with=open_fake)
    assert site.folder.stat().st_mode & 0o077 == 0
    assert os.environ[GRADIO_FOLDER] == str(site.uploads.folder)
    page = site.page
    assert page.analytics_enabled is False
    assert page.share is not True
    assert [block for block in page.blocks.values() if type(block).__name__ == "State"] == []
    site.close()
    assert os.environ.get(GRADIO_FOLDER) == before
    assert not site.folder.exists()


def test_the_limits_in_force_are_printed() -> None:
    printed = ServerSettings(upload_bytes=2**30, waiting=3, job_seconds=60).printed(5 * 2**30)
    for words in ("files up to 1 GiB", "3 questions waiting", "1 min a question", "5.0 GiB for open CTs", "2 h"):
        assert words in printed


def test_a_question_gets_all_cores_unless_several_compute_at_once() -> None:
    cores = ServerSettings().worker_threads
    assert cores >= 1
    assert ServerSettings(at_once=cores * 2).worker_threads == 1
    assert ServerSettings(threads=3).worker_threads == 3


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_as_many_files_may_be_open_as_the_system_allows_and_few_of_them_are_connections() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, before[1]), before[1]))
    site = Site(open_with=open_fake)
    try:
        server = Server(site, "127.0.0.1", 0)
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert most == most_open_files() >= min(before[1], 512)
        assert server.config.limit_concurrency == min(8 * site.settings.visitors, most // SHARE_FOR_CONNECTIONS)
    finally:
        site.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_package_is_light_until_it_serves() -> None:
    program = "import sys, assistant.serve; print(*sorted({'gradio', 'torch', 'fastapi'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""


@contextmanager
def place_of_another_process(inside: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    program = (
        "import sys\n"
        "from assistant.serve.place import Place\n"
        "place = Place()\n"
        "print(place.folder, flush=True)\n"
        "sys.stdin.read()\n"
        "sys.exit('an error')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(inside)},
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        (folder / "upload").write_bytes(b"a CT")
        yield process, folder


def test_what_a_killed_server_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    with place_of_another_process(tmp_path) as (process, folder):
        sweep(tmp_path)
        assert (folder / "upload").exists()
        process.kill()
    assert folder.exists()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_ends_by_an_error_leaves_nothing(tmp_path: Path) -> None:
    with place_of_another_process(tmp_path) as (_, folder):
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_another_user_or_behind_a_link_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "elsewhere")
    sweep(tmp_path)
    (tmp_path / f"{PREFIX}theirs").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{PREFIX}link", f"{PREFIX}theirs", "elsewhere"]
