"""What every test leaves as it found it: how this process logs, warns and tells of errors."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Undo `install_clean_logs`, which a command that runs in this process calls."""
    factory, raising = logging.getLogRecordFactory(), logging.raiseExceptions
    hooks = (sys.excepthook, sys.unraisablehook, threading.excepthook, traceback.print_exception)
    show = warnings.showwarning
    yield
    logging.setLogRecordFactory(factory)
    logging.raiseExceptions = raising
    sys.excepthook, sys.unraisablehook, threading.excepthook, traceback.print_exception = hooks
    warnings.showwarning = show
