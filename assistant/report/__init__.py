"""Renderings of the record: Markdown and a printable page. What they show is in the record; they add no fact."""

from assistant.report.render import report_html, report_markdown

__all__ = ["report_html", "report_markdown"]
