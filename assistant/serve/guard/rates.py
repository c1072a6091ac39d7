"""How often: a bucket of tokens for each visitor or address, refilled at a steady rate."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from assistant.serve.guard.refusal import slow_down

MOST_KEYS = 10_000
"""The oldest are forgotten beyond."""


class Rate:
    """At most `burst` uses at once and `per_second` in the long run, for each key."""

    def __init__(self, *, burst: float, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def use(self, key: str) -> None:
        """Take a token. Raises Refused 429 when there is none."""
        now = self._clock()
        left, since = self._buckets.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._per_second)
        self._buckets[key] = (max(left - 1, left % 1), now)
        while len(self._buckets) > MOST_KEYS:
            self._buckets.popitem(last=False)
        if left < 1:
            raise slow_down((1 - left) / self._per_second)
