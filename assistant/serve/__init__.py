"""The chat page in the browser. Importing it loads gradio, so import it only to serve."""

from assistant.serve.build import build_app, launch

__all__ = ["build_app", "launch"]
