"""The rows of the table in docs/compatibility.md."""

from collections.abc import Callable
from dataclasses import dataclass

from bench import Bench

SIZES = [200, 10_000, 100_000]
WHOLE = "every series and value"


@dataclass
class Row:
    """A line of the table, and the check that proves it by raising nothing."""

    program: str
    version: str
    tried: str
    check: Callable[[Bench], None]
    result: str = WHOLE
    to_set: str = "nothing"

    def __str__(self) -> str:
        return f"| {self.program} | {self.version} | {self.tried} | {self.result} | {self.to_set} |"


def sizes(numbers: list[int]) -> str:
    """`200, 10,000 and 100,000 repositories`."""
    *first, last = (f"{number:,}" for number in numbers)
    return f"{', '.join(first)} and {last} repositories" if first else f"{last} repositories"
