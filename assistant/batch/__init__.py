"""Many CTs: one folder each, tables over all, resumable and divisible among machines."""

from assistant.batch.dry_run import TriedCase, try_batch
from assistant.batch.run import FORMATS, BatchResult, run_batch

__all__ = ["FORMATS", "BatchResult", "TriedCase", "run_batch", "try_batch"]
