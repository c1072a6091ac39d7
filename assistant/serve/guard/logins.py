"""Guessing passwords takes long: every wrong one delays the next, and after some an address is shut out for a while."""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from assistant.serve.guard.refusal import Refused

FIRST_DELAY_SECONDS = 0.25
LONGEST_DELAY_SECONDS = 4.0
FIRST_LOCK_SECONDS = 30.0
LONGEST_LOCK_SECONDS = 15 * 60.0
FORGOTTEN_SECONDS = 60 * 60.0
MOST_KEYS = 10_000


@dataclass(frozen=True)
class _Tries:
    wrong: int
    last: float
    shut_until: float


class Logins:
    """Wrong passwords by address and by name; `most` are let through before the door is shut for the address.

    A name is only delayed: whoever knows it could keep its owner out for good otherwise.

    A try counts as wrong from its start, so that many at once gain nothing.
    """

    def __init__(self, *, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def begin(self, address: str, name: str) -> float:
        """Note a try; returns the seconds to wait before it is looked at. Raises Refused 429 when the door is shut."""
        now, delay = self._clock(), 0.0
        keys = _keys(address, name)
        wait = self._tries[keys[0]].shut_until - now if keys[0] in self._tries else 0.0
        if wait > 0:
            raise Refused(
                429, "E_LOGIN_WAIT", "There were too many wrong passwords.", "Wait, then try again.", wait_seconds=wait
            )
        for key in keys:
            known = self._tries.pop(key, _Tries(0, now, 0.0))
            wrong = 0 if now - known.last > FORGOTTEN_SECONDS else known.wrong
            if wrong:
                delay = max(delay, min(FIRST_DELAY_SECONDS * 2 ** (wrong - 1), LONGEST_DELAY_SECONDS))
            beyond = wrong + 1 - self._most
            shut = 0.0 if beyond < 0 else now + min(FIRST_LOCK_SECONDS * 2**beyond, LONGEST_LOCK_SECONDS)
            self._tries[key] = _Tries(wrong + 1, now, shut)
        while len(self._tries) > MOST_KEYS:
            self._tries.popitem(last=False)
        return delay

    def succeed(self, address: str, name: str) -> None:
        """The password was right: forget the wrong ones."""
        for key in _keys(address, name):
            self._tries.pop(key, None)


def _keys(address: str, name: str) -> tuple[str, str]:
    return (f"address {network_of(address)}", f"name {hashlib.sha256(name.strip().encode()).hexdigest()}")


def network_of(address: str) -> str:
    """What one person has of addresses: an IPv4 address, of IPv6 the whole /64."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if known.version == 4:
        return str(known)
    return str(known.ipv4_mapped or ipaddress.ip_network((known, 64), strict=False))
