"""What a proof assumes of sizes, where it cannot leave them open altogether.

Code that computes with sizes asks for more than a symbol can tell. A loop over an axis needs a
number, and `C // G` is a size only if G divides C. The run that meets such a thing notes what would
help, a *wish*, and is repeated with it granted. What was assumed is said in the verdict, or the
sizes that were left out are proven one by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

Part = str | int


@dataclass(frozen=True)
class Number:
    """A size is needed as a number, for a loop over its axis for instance."""

    size: str


@dataclass(frozen=True)
class Multiple:
    """A size is divided by another, or by a number."""

    size: str
    of: Part
    inner: bool = False
    """Whether `of` entries lie side by side, as in x[:, ::2], rather than in blocks."""

    @property
    def rest(self) -> str:
        """The name of the quotient."""
        return f"{self.size}/{self.of}"


@dataclass(frozen=True)
class Larger:
    """A size is compared with a number, and what is said holds for larger ones."""

    size: str
    than: int


@dataclass(frozen=True)
class IsSize:
    """A whole number among the constants is used as the size of an axis."""

    constant: str


Wish = Number | Multiple | Larger | IsSize


@dataclass(frozen=True)
class Assumed:
    """The wishes that are granted."""

    numbers: Mapping[str, int] = field(default_factory=dict)
    multiples: tuple[Multiple, ...] = ()
    larger: Mapping[str, int] = field(default_factory=dict)
    sizes: frozenset[str] = frozenset()
    """The constants that are sizes."""

    def __len__(self) -> int:
        return sum(map(len, (self.numbers, self.multiples, self.larger, self.sizes)))

    def granting(self, wish: Multiple | Larger | IsSize) -> "Assumed":
        """Return these assumptions and one more."""
        match wish:
            case Multiple():
                return replace(self, multiples=(*self.multiples, wish))
            case Larger():
                return replace(self, larger={**self.larger, wish.size: wish.than})
            case IsSize():
                return replace(self, sizes=self.sizes | {wish.constant})

    def at(self, size: str, number: int) -> "Assumed":
        """Return these assumptions, with a size as a number."""
        return replace(self, numbers={**self.numbers, size: number})

    def parts(self, size: Part) -> tuple[Part, ...]:
        """Return the sizes whose product a size is, the outermost first."""
        if isinstance(size, int):
            return (size,)
        if size in self.numbers:
            return (self.numbers[size],)
        for multiple in reversed(self.multiples):  # the last wish for its order counts
            if multiple.size == size:
                both = (
                    (multiple.rest, multiple.of) if multiple.inner else (multiple.of, multiple.rest)
                )
                return (*self.parts(both[0]), *self.parts(both[1]))
        return (size,)

    def least(self, size: str) -> int:
        """Return the smallest number that a size may be."""
        return self.larger.get(size, 0) + 1
