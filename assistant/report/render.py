"""Markdown and HTML of a record, from the templates under prompts."""

from __future__ import annotations

import base64
import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

import prompts
from assistant.records import AnswerRecord
from assistant.report.page import lay_out

_MARKDOWN_SYNTAX = re.compile(r"([\\`*_\[\]<>|#~])")


def report_markdown(record: AnswerRecord) -> str:
    """The record as Markdown. Text from outside is escaped, so that it shows as it was typed."""
    return _template("report.md.j2").render(page=lay_out(record)).rstrip() + "\n"


def report_html(record: AnswerRecord, preview_png: bytes | None = None) -> str:
    """The record as one self-contained, printable page that loads nothing and runs nothing.

    `preview_png` are the bytes of the answer's picture, drawn into the page; None leaves the picture out.
    """
    preview = base64.b64encode(preview_png).decode("ascii") if preview_png else ""
    return _template("report.html.j2").render(page=lay_out(record), preview=preview).rstrip() + "\n"


def escape_markdown(text: str) -> str:
    """One line of text in which nothing is Markdown or HTML any more."""
    return _MARKDOWN_SYNTAX.sub(r"\\\1", " ".join(str(text).split())).replace("&", "&amp;")


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(prompts.__file__).parent / "report_templates"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = escape_markdown
    return environment.get_template(name)
