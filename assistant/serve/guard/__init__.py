"""What stands between the network and the page: every request passes here first, and most of Gradio's routes do not."""

from assistant.serve.guard.guard import Guard

__all__ = ["Guard"]
