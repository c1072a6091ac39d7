"""Builds the chat page and launches it, nothing else."""

from assistant.logs import install_clean_logs
from assistant.serve import launch

if __name__ == "__main__":
    install_clean_logs()
    launch()
