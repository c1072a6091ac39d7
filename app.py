"""Builds the chat page and launches it, nothing else."""

from assistant.serve import launch

if __name__ == "__main__":
    launch()
