"""Which faults, when, and how hard: from a seed, and from nothing else."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: it strikes once so many of the items have been asked for."""

    kind: str
    share: float
    """0 to 1."""
    chance: random.Random = field(repr=False)
    """Everything about it that is left to chance."""


#: How often each comes in one run.
FULL: Final[Mapping[str, int]] = MappingProxyType(
    {
        "kill -9": 3,
        "SIGSTOP past the lease": 2,
        "SIGTERM": 2,
        "connections ended": 2,
        "database away 8 s": 1,
        "database away 50 s": 1,
        "401": 2,
        "401, connections ended while it is renewed": 1,
        "401, database away 8 s while it is renewed": 1,
        "rate limit": 2,
        "503": 2,
        "cut body": 2,
        "slow body": 1,
        "not JSON": 2,
        "disorder": 2,
        "changing": 2,
    }
)

#: What the tests have time for.
SHORT: Final[Mapping[str, int]] = MappingProxyType(
    {"kill -9": 1, "connections ended": 1, "401": 1, "cut body": 1, "changing": 1}
)


def make_plan(seed: int, kinds: Mapping[str, int]) -> Sequence[Fault]:
    """The faults in the order in which they strike."""
    chance = random.Random(f"plan {seed}")
    drawn = [kind for kind, count in kinds.items() for _ in range(count)]
    chance.shuffle(drawn)
    shares = sorted(chance.uniform(0.02, 0.85) for _ in drawn)
    return [
        Fault(kind, share, random.Random(f"{seed} {place} {kind}"))
        for place, (kind, share) in enumerate(zip(drawn, shares, strict=True))
    ]
