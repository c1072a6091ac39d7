"""Logs without patients: of every record, warning and traceback, only what is known to be harmless passes.

A file can put a name into any text that a library writes about it. So texts are not searched for names: none passes.
"""

from __future__ import annotations

import builtins
import logging
import numbers
import os
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping
from functools import cache
from types import TracebackType
from typing import IO, Any, TextIO

from vision.errors import UserError

DEBUG_VARIABLE = "BODYMAPS_DEBUG"
HIDDEN = "[hidden]"

_OURS = frozenset({"assistant", "vision"})
_CODE = re.compile(r"[EW]_(?:4D|[A-Z_]{1,40})")
_EXCEPTIONS = frozenset(name for name, value in vars(builtins).items() if isinstance(value, type))


class CleanRecord(logging.LogRecord):
    """A log record made clean before any handler sees it, whoever logs and wherever it is written.

    Of our own loggers: the template, with numbers, codes and names of classes filled in and all else hidden. Of others:
    the library, the level, and the line of code that logged. An exception is its class and the lines of code.
    """

    def __init__(
        self,
        name: str,
        level: int,
        pathname: str,
        lineno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        sinfo: str | None = None,
        **_: object,
    ) -> None:
        super().__init__(name, level, os.path.basename(pathname), lineno, "", (), None, func, None)
        package = str(name).partition(".")[0]
        if package in _OURS and isinstance(msg, str):
            self.msg = _filled(msg, args)
        else:
            library = package if package in sys.modules else "another library"
            self.msg = f"{self.levelname} of {library}, {self.filename} line {lineno}"
        error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
        self.exc_text = lines_of_code(error) if isinstance(error, BaseException) else None


def install_clean_logs() -> None:
    """Let nothing of a patient into logs, warnings and tracebacks of this process; a second call changes nothing.

    With BODYMAPS_DEBUG set everything stays as it is, and that is said once.
    """
    if os.environ.get(DEBUG_VARIABLE):
        _say_unsafe()
        return
    logging.setLogRecordFactory(CleanRecord)
    # A handler that fails would print the record's arguments.
    logging.raiseExceptions = False
    warnings.showwarning = _show_warning
    sys.excepthook = _tell_uncaught
    sys.unraisablehook = _tell_unraisable
    threading.excepthook = _tell_thread
    # gradio and multiprocessing print tracebacks past all logging.
    traceback.print_exception = _print_exception  # type: ignore[assignment]


class FromCode(str):
    """A text that stands in the program itself and so may be logged."""

    __slots__ = ()


def lines_of_code(error: BaseException) -> FromCode:
    """The class of an exception, its code if it has one, and file, line and function of each frame; never its text."""
    code = f" {error.code}" if isinstance(error, UserError) and _CODE.fullmatch(error.code) else ""
    frames = [
        f"  {os.path.basename(frame.f_code.co_filename)}:{line} {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return FromCode("\n".join([f"{type(error).__name__}{code}", *frames]))


def _filled(template: str, args: Any) -> str:
    """A template of ours with its arguments; the bare template when they do not fit it once cleaned."""
    if not args:
        return template
    named = args[0] if len(args) == 1 and isinstance(args[0], Mapping) else None
    try:
        if named is not None:
            return template % {key: _clean(value) for key, value in named.items()}
        return template % tuple(map(_clean, args))
    except (TypeError, ValueError, KeyError):
        return template


def _clean(value: object) -> object:
    """The value when it cannot be about anybody, else a placeholder."""
    if value is None or isinstance(value, numbers.Number | FromCode):
        return value
    if isinstance(value, UserError):
        return _clean(value.code)
    if isinstance(value, BaseException):
        return type(value).__name__
    if isinstance(value, type):
        return value.__name__
    return value if isinstance(value, str) and (_CODE.fullmatch(value) or value in _EXCEPTIONS) else HIDDEN


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    where = FromCode(os.path.basename(filename))
    logging.getLogger("assistant.warnings").warning("%s from %s line %d", category, where, lineno)


def _print_exception(
    exc: BaseException | type[BaseException] | None,
    /,
    value: BaseException | None = None,
    tb: TracebackType | None = None,
    limit: int | None = None,
    file: IO[str] | None = None,
    chain: bool = True,
) -> None:
    error = exc if isinstance(exc, BaseException) else value
    if error is not None:
        print(lines_of_code(error), file=file or sys.stderr)


def _tell_uncaught(kind: type[BaseException], error: BaseException, lines: TracebackType | None) -> None:
    _print_exception(error)


def _tell_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    _print_exception(unraisable.exc_value)


def _tell_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit:
        _print_exception(args.exc_value)


@cache
def _say_unsafe() -> None:
    print(f"{DEBUG_VARIABLE} is set: logs and errors are shown whole and may hold names of patients.", file=sys.stderr)
