"""Language models by name or folder: the table, loading, LoRA, tiny ones for tests. Light: no torch at import."""

from assistant.language.llms.table import LLMS, LLMRow, ToolFormat, row_for

__all__ = ["LLMS", "LLMRow", "ToolFormat", "row_for"]
