"""Logs, warnings and tracebacks: what a library says about a file goes nowhere."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import textwrap
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from assistant.logs import CleanRecord, install_clean_logs, lines_of_code
from vision.errors import InputRefused

CANARY = "DOE_JANE_MRN4711"
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def written() -> io.StringIO:
    """Everything that is logged anywhere, formatted as generously as a handler may."""
    install_clean_logs()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(pathname)s %(funcName)s %(args)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def raised(error: BaseException) -> BaseException:
    """The error with the traceback of somebody who let a name into a local variable and into a cause."""
    name = CANARY
    try:
        try:
            raise KeyError(name)
        except KeyError as cause:
            raise error from cause
    except type(error) as caught:
        return caught


@pytest.mark.parametrize(
    "library",
    ["pydicom", "nibabel.global", "highdicom", "PIL", "gradio", "uvicorn.error", "asyncio", "py.warnings", ""],
)
def test_library_leaves_its_level_and_line_of_code_only(
    library: str, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logging.getLogger(library)
    # A server that ran in this process before has uvicorn write for itself.
    for each in {log, logging.getLogger(library.partition(".")[0])} - {logging.getLogger()}:
        monkeypatch.setattr(each, "propagate", True)
    log.setLevel(logging.DEBUG)
    log.warning("cannot read %s", CANARY)
    log.info(f"of {CANARY}", extra={"file": CANARY})
    log.debug("%(who)s", {"who": CANARY}, stack_info=True)
    log.error("failed", exc_info=raised(ValueError(CANARY)))
    log.critical(Path(CANARY))
    text = written.getvalue()
    assert CANARY not in text
    assert "WARNING of" in text
    assert "test_privacy_logs.py line" in text
    assert "ValueError\n  test_privacy_logs.py:" in text


def test_logger_named_after_a_patient_is_another_library(written: io.StringIO) -> None:
    record = logging.getLogger(CANARY).makeRecord(CANARY, logging.INFO, "f.py", 3, "read", (), None)
    assert record.getMessage() == "INFO of another library, f.py line 3"


def test_handler_of_a_library_that_does_not_propagate_gets_clean_records() -> None:
    install_clean_logs()
    own, stream = logging.getLogger("library_with_handler"), io.StringIO()
    handler = logging.StreamHandler(stream)
    own.propagate = False
    own.addHandler(handler)
    try:
        own.error("%s", CANARY)
    finally:
        own.removeHandler(handler)
    assert CANARY not in stream.getvalue()
    assert "ERROR of another library" in stream.getvalue()


@pytest.mark.parametrize(
    ("template", "args", "said"),
    [
        ("%d of %d slices in %.1f s", (3, np.int64(20), np.float32(1.5)), "3 of 20 slices in 1.5 s"),
        ("refused with %s", ("E_TRUNCATED",), "refused with E_TRUNCATED"),
        ("refused with %s", (InputRefused("E_TYPE", CANARY, CANARY),), "refused with E_TYPE"),
        ("%s and %s", (ValueError(CANARY), OSError), "ValueError and OSError"),
        ("a %s", ("ZeroDivisionError",), "a ZeroDivisionError"),
        ("opened %s", (CANARY,), "opened [hidden]"),
        ("opened %r", (Path(CANARY),), "opened '[hidden]'"),
        ("code %s", (f"E_{CANARY}",), "code [hidden]"),
        ("%(code)s of %(who)s", ({"code": "W_GAPS", "who": CANARY},), "W_GAPS of [hidden]"),
        ("%d slices", (CANARY,), "%d slices"),
        ("%s slices", (), "%s slices"),
        ("list %s", ([CANARY],), "list [hidden]"),
    ],
)
def test_our_own_templates_are_filled_with_what_is_harmless(
    template: str, args: tuple[object, ...], said: str, written: io.StringIO
) -> None:
    logging.getLogger("assistant.batch").warning(template, *args)
    assert written.getvalue().rstrip().endswith(f"() {said}")


def test_our_own_message_that_is_no_text_is_not_shown(written: io.StringIO) -> None:
    logging.getLogger("vision.io").warning(Path(CANARY))
    assert CANARY not in written.getvalue()
    assert "WARNING of vision, test_privacy_logs.py line" in written.getvalue()


def test_exception_is_its_class_its_code_and_its_lines() -> None:
    told = lines_of_code(raised(InputRefused("E_TRUNCATED", CANARY, CANARY))).splitlines()
    assert told[0] == "InputRefused E_TRUNCATED"
    assert told[1].startswith("  test_privacy_logs.py:")
    assert told[1].endswith(" raised")
    assert lines_of_code(InputRefused(f"E_{CANARY}", "", "")) == "InputRefused"
    assert lines_of_code(ExceptionGroup(CANARY, [ValueError(CANARY)])) == "ExceptionGroup"


def test_warning_is_its_class_and_where_it_comes_from(written: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        install_clean_logs()
        warnings.warn(f"Invalid value for VR PN: {CANARY}", RuntimeWarning, stacklevel=1)
        warnings.warn_explicit(f"of {CANARY}", UserWarning, f"/data/{CANARY}/valuerep.py", 440)
    text = written.getvalue()
    assert "RuntimeWarning from test_privacy_logs.py line" in text
    assert "UserWarning from valuerep.py line 440" in text
    assert CANARY not in text


def test_warnings_captured_by_a_library_stay_clean(written: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        try:
            warnings.warn(CANARY, UserWarning, stacklevel=1)
        finally:
            logging.captureWarnings(False)
    assert CANARY not in written.getvalue()
    assert "WARNING of" in written.getvalue()


@pytest.mark.parametrize(
    "tell",
    [
        lambda error: sys.excepthook(type(error), error, error.__traceback__),
        lambda error: threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, None))),
        lambda error: traceback.print_exception(error),
        lambda error: traceback.print_exception(type(error), error, error.__traceback__, limit=3),
    ],
    ids=["uncaught", "thread", "printed", "printed in three parts"],
)
def test_told_exception_has_no_text(tell: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]) -> None:
    install_clean_logs()
    tell(raised(ValueError(CANARY)))
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("ValueError\n  test_privacy_logs.py:")
    assert CANARY not in told.err


def test_exception_that_a_library_prints_has_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    install_clean_logs()
    stream = io.StringIO()
    try:
        raise ValueError(CANARY)
    except ValueError:
        traceback.print_exc(file=stream)
        traceback.print_exc()
    assert stream.getvalue() == capsys.readouterr().err
    assert stream.getvalue().startswith("ValueError\n")
    assert CANARY not in stream.getvalue()


def test_thread_that_exits_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    install_clean_logs()
    threading.excepthook(threading.ExceptHookArgs((SystemExit, SystemExit(CANARY), None, None)))
    assert capsys.readouterr().err == ""


PROGRAM = """
    import json, logging, threading, warnings
    from assistant.logs import install_clean_logs
    install_clean_logs()
    install_clean_logs()

    class Unraisable:
        def __del__(self):
            raise ValueError("DOE_JANE_MRN4711")

    def fail():
        who = "DOE_JANE_MRN4711"
        raise KeyError(who)

    warnings.warn("DOE_JANE_MRN4711")
    logging.getLogger("json").warning("DOE_JANE_MRN4711")
    logging.getLogger("assistant").warning("%d read", 3)
    one = threading.Thread(target=fail)
    one.start()
    one.join()
    one = Unraisable()
    del one
    fail()
"""


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def test_whole_process_tells_no_name() -> None:
    done = run(PROGRAM, BODYMAPS_DEBUG="")
    assert done.returncode == 1
    assert "DOE_JANE" not in done.stdout + done.stderr
    assert done.stderr.count("KeyError\n") == 2
    for said in ("UserWarning from <string> line", "WARNING of json", "3 read", "ValueError\n  <string>:9 __del__"):
        assert said in done.stderr


def test_debugging_shows_all_and_says_once_that_it_may_show_names() -> None:
    done = run(PROGRAM, BODYMAPS_DEBUG="1")
    assert done.stderr.count("BODYMAPS_DEBUG is set: logs and errors are shown whole and may hold names") == 1
    assert "DOE_JANE_MRN4711" in done.stderr


def test_worker_process_of_multiprocessing_tells_no_name() -> None:
    done = run("""
        import multiprocessing
        from assistant.logs import install_clean_logs

        def work():
            install_clean_logs()
            raise ValueError("DOE_JANE_MRN4711")

        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join()
    """)
    assert "ValueError\n" in done.stderr
    assert "DOE_JANE" not in done.stderr


def test_installing_is_light() -> None:
    done = run("import sys, assistant.logs; print(len({'torch', 'typer', 'pydicom', 'numpy'} & set(sys.modules)))")
    assert done.stdout.strip() == "0"


def test_record_made_without_anything_is_harmless() -> None:
    install_clean_logs()
    assert isinstance(logging.makeLogRecord({}), CleanRecord)
