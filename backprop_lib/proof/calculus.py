"""The index calculus: sums of products of indexed entries, in a normal form, for all sizes.

A `Formula` is a sum of products. The factors of a product, its *atoms*, are

    x[n, i]          an entry of an array          (`Entry`)
    N                a size                        (`Size`)
    π, 1.0507...     a number of many digits       (`Constant`)
    δ(m, n)          Kronecker's delta             (`Delta`)
    [m ≤ n]          1 if m is not after n, else 0 (`NotAfter`)
    Σ_n ...          a sum that does not factor    (`Total`)
    u^(-1/2)         of a formula u                (`Root`)
    [u > 0]          1 if u is positive, else 0    (`Step`)
    [u = 0]          1 if u is zero, else 0        (`Zero`)
    exp(u), log(u)                                 (`Exp`, `Log`)
    tanh(u), sin(u), erf(u), ...                   (`Function`)

Whatever is built with the functions of this module is in normal form: products are expanded,
equal terms collected, a delta under its sum is contracted, and sums are split into factors that
share no index. Names of summed indices do not matter: two formulas that differ in them only are
equal. If `a - b` is zero, then a and b are equal for all sizes and all values at which both are
defined, where numbers that are compared are equal as well. The converse does not hold: not every
identity is found.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache, reduce
from itertools import count, permutations, product
from math import ceil, gcd, lcm
from typing import Any, Union

import sympy as sp

from backprop_lib.proof.budget import tick
from backprop_lib.proof.constants import Irrational, Opaque

Number = int | Fraction
Key = tuple[Any, ...]
Labels = Mapping["Index", Key]

_serials = count()
NO_LABELS: Labels = {}
TRIANGLE = "np.tri"
"""The array that is above 0 on and below the diagonal; "np.tri+1" is of the one above that."""
MOST_STEPS = 4
"""So many steps within one function are taken apart into cases, and no more."""
HIGHEST_DEGREE = 12
HIGHEST_POWER = 100
"""A sum is multiplied with itself so many times, and no more."""
MOST_RANGES = 12
"""So many slices are put together in one function, and no more."""
MOST_TERMS = 60
"""Polynomials up to this size are factored."""
MOST_TERMS_OF_A_SUM = 8
"""A sum over an axis of a known size up to this is written out."""
MOST_TERMS_OF_A_DIFFERENCE = 2000
"""Differences up to this size are multiplied by their denominators."""
MOST_ORDERS = 720
"""So many orders of summed indices are compared in search of the normal one, and no more."""
MOST_KNOWN = 4096
"""Of so many formulas it is remembered how they factor, and whether they split."""


class RangeError(ValueError):
    """An index that runs over one axis is used where it would have to run over another."""


class CalculusError(ValueError):
    """Something that the calculus has no form for."""


class Index:
    """An index that runs over one axis, from 0; every instance is another index."""

    __slots__ = ("name", "serial", "size")

    def __init__(self, size: str | int, name: str = ""):
        self.size = size
        self.name = name  # for people; two indices of one name are two indices
        self.serial = next(_serials)

    def __repr__(self) -> str:
        return self.name or f"{self.size}.{self.serial}"

    def fresh(self) -> "Index":
        """Return another index over the same axis."""
        return Index(self.size)


@dataclass(frozen=True)
class Pick:
    """An index that is looked up, as in x[n, k[n]]: nothing is known of k but its range."""

    name: str
    size: str | int
    at: tuple["Place", ...]


@dataclass(frozen=True)
class Affine:
    """start + step · at: where an entry of a slice stands on the whole axis. Made by `affine`.

    Without `at` it is the place start, such as L - 1, that is no number.
    """

    at: Index | Pick | None
    start: "Formula"
    step: int
    size: str | int


@dataclass(frozen=True)
class Search:
    """What the largest entry was sought of, and what its places are called.

    For other indices `rest` these are the places `Pick(name, size, rest)`, one for each index.
    """

    formula: "Formula"
    indices: tuple[Index, ...]
    rest: tuple[Index, ...]
    names: tuple[str, ...]


Place = Index | Pick | Affine | int
"""Where an entry stands along one axis."""


def free_indices_in(place: Place) -> frozenset[Index]:
    """Return the indices on which a place depends."""
    if isinstance(place, Index):
        return frozenset((place,))
    if isinstance(place, Pick):
        return _union(free_indices_in(part) for part in place.at)
    if isinstance(place, Affine) and place.at is not None:
        return free_indices_in(place.at)
    return frozenset()


def substituted(place: Place, to: Mapping[Index, Place]) -> Place:
    """Substitute places for indices within a place."""
    if isinstance(place, Index):
        return to.get(place, place)
    if isinstance(place, Pick):
        return Pick(place.name, place.size, tuple(substituted(part, to) for part in place.at))
    if isinstance(place, Affine) and place.at is not None:
        return affine(substituted(place.at, to), place.start, place.step, place.size)
    return place


def picks_in(place: Place) -> Iterator[Pick]:
    """Yield the look-ups on which a place depends."""
    return (part for part in _inside(place) if isinstance(part, Pick))


def _label(place: Place, labels: Labels) -> Key:
    if isinstance(place, int):
        return (0, place)
    if isinstance(place, Affine):
        at = () if place.at is None else _label(place.at, labels)
        return (4, place.step, place.start._key, at)
    if isinstance(place, Index):
        return labels.get(place) or (1, place.serial)
    return (3, place.name, *(_label(part, labels) for part in place.at))


class Atom(ABC):
    """A factor that is not split further. Atoms are equal if their keys are."""

    rank: int

    @property
    @abstractmethod
    def free_indices(self) -> frozenset[Index]:
        """The indices that are not summed within."""

    @abstractmethod
    def key(self, labels: Labels = NO_LABELS) -> Key:
        """Return what two atoms of the same meaning have in common."""

    @abstractmethod
    def substituted(self, to: Mapping[Index, Place]) -> "Formula":
        """Substitute places for indices."""

    @abstractmethod
    def renamed(self, to: Mapping[Index, Place]) -> "Atom":
        """Replace indices by others in the same order, with which the normal form stays one."""

    @abstractmethod
    def derivative(self, by: "Entry") -> "Formula":
        """Differentiate by an entry of an array."""

    @cached_property
    def has_slices(self) -> bool:
        """Whether something in it stands at a place of a slice."""
        return any(
            isinstance(part, Affine) for place in places_of(self) for part in _inside(place)
        ) or any(term.has_slices for term in _products_inside(self))

    @cached_property
    def _key(self) -> Key:
        return self.key()

    @cached_property
    def _hash(self) -> int:
        return hash(self._key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Atom) and self._key == other._key)


@dataclass(frozen=True, eq=False)
class Size(Atom):
    """The number of entries along an axis, a positive integer."""

    rank = 0
    name: str

    @cached_property
    def free_indices(self) -> frozenset[Index]:  # noqa: D102
        return frozenset()

    def key(self, labels: Labels = NO_LABELS) -> Key:  # noqa: D102
        return (self.rank, self.name)

    def substituted(self, to: Mapping[Index, Place]) -> "Formula":  # noqa: D102
        return of(self)

    def renamed(self, to: Mapping[Index, Place]) -> "Size":  # noqa: D102
        return self

    def derivative(self, by: "Entry") -> "Formula":  # noqa: D102
        return ZERO


@dataclass(frozen=True, eq=False)
class Constant(Atom):
    """A positive number of which nothing else is used: π, or a float of many digits."""

    rank = 9
    name: str
    value: float

    @cached_property
    def free_indices(self) -> frozenset[Index]:  # noqa: D102
        return frozenset()

    def key(self, labels: Labels = NO_LABELS) -> Key:  # noqa: D102
        return (self.rank, self.name)

    def substituted(self, to: Mapping[Index, Place]) -> "Formula":  # noqa: D102
        return of(self)

    def renamed(self, to: Mapping[Index, Place]) -> "Constant":  # noqa: D102
        return self

    def derivative(self, by: "Entry") -> "Formula":  # noqa: D102
        return ZERO


@dataclass(frozen=True, eq=False)
class Entry(Atom):
    """An entry of an array of independent numbers; without indices, a single number."""

    rank = 1
    array: str
    at: tuple[Place, ...] = ()

    @cached_property
    def free_indices(self) -> frozenset[Index]:  # noqa: D102
        return _union(free_indices_in(place) for place in self.at)

    def key(self, labels: Labels = NO_LABELS) -> Key:  # noqa: D102
        return (self.rank, self.array, *(_label(place, labels) for place in self.at))

    def substituted(self, to: Mapping[Index, Place]) -> "Formula":  # noqa: D102
        return of(self.renamed(to))

    def renamed(self, to: Mapping[Index, Place]) -> "Entry":  # noqa: D102
        return Entry(self.array, tuple(substituted(place, to) for place in self.at))

    def derivative(self, by: "Entry") -> "Formula":  # noqa: D102
        if self.array != by.array:
            return ZERO
        if len(self.at) != len(by.at):
            raise RangeError(f"{self.array} is used with {len(self.at)} and {len(by.at)} indices")
        return multiplied(delta(a, b) for a, b in zip(self.at, by.at, strict=True))


@dataclass(frozen=True, eq=False)
class Delta(Atom):
    """1 where two places are the same, else 0. Made by `delta`."""

    rank = 2
    a: Place
    b: Place

    @cached_property
    def free_indices(self) -> frozenset[Index]:  # noqa: D102
        return free_indices_in(self.a) | free_indices_in(self.b)

    def key(self, labels: Labels = NO_LABELS) -> Key:  # noqa: D102
        return (self.rank, *sorted((_label(self.a, labels), _label(self.b, labels))))

    def substituted(self, to: Mapping[Index, Place]) -> "Formula":  # noqa: D102
        return delta(substituted(self.a, to), substituted(self.b, to))

    def renamed(self, to: Mapping[Index, Place]) -> "Delta":  # noqa: D102
        return Delta(substituted(self.a, to), substituted(self.b, to))

    def derivative(self, by: Entry) -> "Formula":  # noqa: D102
        return ZERO

    def solved(self) -> Iterator[tuple[Index, Place]]:
        """Yield what an index equals where the delta is not 0."""
        for index, place in ((self.a, self.b), (self.b, self.a)):
            if isinstance(index, Index) and index not in free_indices_in(place):
                yield index, place
            elif isinstance(index, Affine) and isinstance(index.at, Index):
                is_whole = abs(index.step) == 1 and index.at.size == index.size
                if is_whole and index.at not in free_indices_in(place):
                    start = -index.step * index.start
                    yield index.at, affine(place, start, index.step, index.size)


@dataclass(frozen=True, eq=False)
class NotAfter(Atom):
    """1 where a place is not after another one of the same axis, else 0. Made by `not_after`."""

    rank = 9
    a: Place
    b: Place

    @cached_property
    def free_indices(self) -> frozenset[Index]:  # noqa: D102
        return free_indices_in(self.a) | free_indices_in(self.b)

    def key(self, labels: Labels = NO_LABELS) -> Key:  # noqa: D102
        return (self.rank, _label(self.a, labels), _label(self.b, labels))

    def substituted(self, to: Mapping[Index, Place]) -> "Formula":  # noqa: D102
        return not_after(substituted(self.a, to), substituted(self.b, to))

    def renamed(self, to: Mapping[Index, Place]) -> "NotAfter":  # noqa: D102
        return NotAfter(substituted(self.a, to), substituted(self.b, to))

    def derivative(self, by: Entry) -> "Formula":  # noqa: D102
        return ZERO


@dataclass(frozen=True, eq=False)
class OfFormula(Atom):
    """A function of one formula."""

    u: "Formula"

    @cached_property
    def free_indices(self) -> frozenset[Index]:  # noqa: D102
        return self.u.free_indices

    def key(self, labels: Labels = NO_LABELS) -> Key:  # noqa: D102
        return (self.rank, self.u.key(labels))

    def renamed(self, to: Mapping[Index, Place]) -> "OfFormula":  # noqa: D102
        return type(self)(self.u.renamed(to))

    def of_other(self, u: "Formula") -> "Formula":
        """Return the same function of another formula, in normal form."""
        return MADE_OF[type(self)](u)


class Root(OfFormula):
    """u^(-1/2). Only its even powers occur where u may be negative."""

    rank = 3

    def substituted(self, to: Mapping[Index, Place]) -> "Formula":  # noqa: D102
        return inverse_root(self.u.substituted(to), 1)

    def derivative(self, by: Entry) -> "Formula":  # noqa: D102
        return Fraction(-1, 2) * _power_of_atom(self, 3) * self.u.derivative(by)


class Step(OfFormula):
    """1 where u > 0, else 0. Its derivative is 0, except where u is 0."""

    rank = 4

    def substituted(self, to: Mapping[Index, Place]) -> "Formula":  # noqa: D102
        return step(self.u.substituted(to))

    def derivative(self, by: Entry) -> "Formula":  # noqa: D102
        return ZERO


class Zero(OfFormula):
    """1 where u = 0, else 0. Made by `zero`."""

    rank = 8

    def key(self, labels: Labels = NO_LABELS) -> Key:  # noqa: D102
        return (self.rank, min(self.u.key(labels), (-self.u).key(labels)))

    def substituted(self, to: Mapping[Index, Place]) -> "Formula":  # noqa: D102
        return zero(self.u.substituted(to))

    def derivative(self, by: Entry) -> "Formula":  # noqa: D102
        return ZERO

    @cached_property
    def solved(self) -> "tuple[Entry, Formula] | None":
        """An entry that occurs in u once, linearly, and what it equals where u is 0."""
        choices = []
        for term, coefficient in self.u.terms.items():
            powers = {a: p for a, p in term.powers.items() if not isinstance(a, Size | Constant)}
            atom = next(iter(powers), None)
            if isinstance(atom, Entry) and powers == {atom: 1}:
                rest = self.u - Formula({term: coefficient})
                if all(atom != other for other in rest.atoms()):
                    sizes: dict[Atom, int] = {
                        a: -p for a, p in term.powers.items() if isinstance(a, Size | Constant)
                    }
                    value = (-1 / coefficient) * (rest * _normalised(sizes))
                    looked_up = any(isinstance(place, Pick) for place in atom.at)
                    choices.append((len(atom.at), not looked_up, atom._key, atom, value))
        if not choices:
            return None
        *_, atom, value = max(choices, key=lambda choice: choice[:3])
        return atom, value

    def generic(self) -> "Formula":
        """Return what this is for nearly all values: those at which u does not happen to be 0.

        Raises
        ------
        CalculusError
            If u may be zero for all values, for some indices that are not told apart.
        """
        if vanishes_nowhere_dense(self.u):
            return ZERO
        terms = sorted(self.u.terms.items(), key=lambda item: item[1])
        entries = [Formula({term: Fraction(1)}).as_entry() for term, _ in terms]
        if [c for _, c in terms] == [-1, 1]:
            first, second = entries
            if first and second and first.array == second.array:
                return multiplied(map(delta, first.at, second.at))
        raise CalculusError("compares with == what is not known to differ anywhere")


class Exp(OfFormula):
    """e^u, where u is a single product."""

    rank = 5

    def substituted(self, to: Mapping[Index, Place]) -> "Formula":  # noqa: D102
        return exp(self.u.substituted(to))

    def derivative(self, by: Entry) -> "Formula":  # noqa: D102
        return of(self) * self.u.derivative(by)


class Log(OfFormula):
    """The natural logarithm of u."""

    rank = 6

    def substituted(self, to: Mapping[Index, Place]) -> "Formula":  # noqa: D102
        return log(self.u.substituted(to))

    def derivative(self, by: Entry) -> "Formula":  # noqa: D102
        return power(self.u, Fraction(-1)) * self.u.derivative(by)


@dataclass(frozen=True, eq=False)
class Function(OfFormula):
    """A function of u of which its derivative is known. Made by `function`."""

    rank = 10
    name: str = ""

    def key(self, labels: Labels = NO_LABELS) -> Key:  # noqa: D102
        return (self.rank, self.name, self.u.key(labels))

    def substituted(self, to: Mapping[Index, Place]) -> "Formula":  # noqa: D102
        return function(self.name, self.u.substituted(to))

    def renamed(self, to: Mapping[Index, Place]) -> "Function":  # noqa: D102
        return Function(self.u.renamed(to), self.name)

    def of_other(self, u: "Formula") -> "Formula":  # noqa: D102
        return function(self.name, u)

    def derivative(self, by: Entry) -> "Formula":  # noqa: D102
        inner = self.u.derivative(by)
        return FUNCTIONS[self.name].slope(self.u) * inner if inner.terms else ZERO

    @property
    def has_sign_of_u(self) -> bool:
        """Whether it is positive where u is, and zero where u is."""
        return FUNCTIONS[self.name].has_sign_of_u


@dataclass(frozen=True)
class Known:
    """What is known of a function."""

    slope: Callable[["Formula"], "Formula"]
    value: Callable[[float], float]
    is_even: bool = False
    """Whether f(-u) = f(u); if not, f(-u) = -f(u)."""
    has_sign_of_u: bool = False
    """Whether it is positive where u is, and zero where u is."""


@dataclass(frozen=True, eq=False)
class Total(Atom):
    """A sum over indices of one product that is no product of smaller sums. Made by `total`."""

    rank = 7
    bound: tuple[Index, ...]
    product: "Product"

    @cached_property
    def free_indices(self) -> frozenset[Index]:  # noqa: D102
        return self.product.free_indices - frozenset(self.bound)

    def key(self, labels: Labels = NO_LABELS) -> Key:  # noqa: D102
        return self._least(labels)[0]

    def order(self, labels: Labels = NO_LABELS) -> list[Index]:
        """Return the summed indices in an order that does not depend on their names."""
        return self._least(labels)[1]

    def _least(self, labels: Labels) -> tuple[Key, list[Index]]:
        # Summed indices are labelled by how deep their sum lies and by their number in it; of
        # all numberings, the one with the smallest key counts.
        outer = [label[1] for index in self.free_indices if (label := labels.get(index))]
        depth = 1 + max(outer, default=-1)
        groups = self._alike(labels, depth)
        candidates = product(*(permutations(group) for group in groups))
        found = []
        for _, candidate in zip(range(MOST_ORDERS), candidates, strict=False):
            order = [index for group in candidate for index in group]
            inner = {index: (2, depth, i) for i, index in enumerate(order)}
            sizes = tuple(str(index.size) for index in order)
            key = (self.rank, depth, sizes, self.product.key({**labels, **inner}))
            found.append((key, order))
        return min(found, key=lambda pair: pair[0])

    def _alike(self, labels: Labels, depth: int) -> list[list[Index]]:
        """Group the summed indices that look the same when all others are anonymous."""
        if len(self.bound) == 1:
            return [list(self.bound)]
        anonymous = dict.fromkeys(self.bound, (2, depth, -2))
        groups: dict[Key, list[Index]] = {}
        for index in self.bound:
            marked = {**labels, **anonymous, index: (2, depth, -1)}
            look = (str(index.size), self.product.key(marked))
            groups.setdefault(look, []).append(index)
        return [groups[look] for look in sorted(groups)]

    @cached_property
    def ranges(self) -> list[tuple[Index, "Place"]]:
        """Which free indices are at a place that is summed, so that the sum is 0 elsewhere."""
        bound = frozenset(self.bound)
        return [
            (index, place)
            for atom in self.product.powers
            if isinstance(atom, Delta)
            for index, place in atom.solved()
            if index not in bound and not bound.isdisjoint(free_indices_in(place))
        ]

    def with_fresh_indices(self) -> tuple["Formula", set[Index]]:
        """Return what is summed and over which indices, under names that are used nowhere else."""
        renamed = {index: index.fresh() for index in self.bound}
        return self.product.substituted(renamed), set(renamed.values())

    def substituted(self, to: Mapping[Index, Place]) -> "Formula":  # noqa: D102
        inside, indices = self.with_fresh_indices()
        return total(inside.substituted(to), indices)

    def renamed(self, to: Mapping[Index, Place]) -> "Total":  # noqa: D102
        inside = {index: place for index, place in to.items() if index in self.free_indices}
        if frozenset(self.bound).isdisjoint(inside.values()):
            return Total(self.bound, self.product.renamed(inside))
        bound = {index: index.fresh() for index in self.bound}
        return Total(tuple(bound.values()), self.product.renamed({**inside, **bound}))

    def derivative(self, by: Entry) -> "Formula":  # noqa: D102
        inside, indices = self.with_fresh_indices()
        return total(inside.derivative(by), indices)


class Product:
    """Atoms with their exponents, whole numbers."""

    def __init__(self, powers: Mapping[Atom, int]):
        self.powers = powers

    @cached_property
    def free_indices(self) -> frozenset[Index]:
        """The indices that are not summed within."""
        return _union(atom.free_indices for atom in self.powers)

    def key(self, labels: Labels = NO_LABELS) -> Key:
        """Return what two products of the same meaning have in common."""
        if not labels or self.free_indices.isdisjoint(labels):
            return self._key
        return tuple(sorted((atom.key(labels), power) for atom, power in self.powers.items()))

    @cached_property
    def has_slices(self) -> bool:
        """Whether something stands at a place of a slice."""
        return any(atom.has_slices for atom in self.powers)

    @cached_property
    def _key(self) -> Key:
        return tuple(sorted((atom._key, power) for atom, power in self.powers.items()))

    @cached_property
    def _hash(self) -> int:
        return hash(frozenset(self.powers.items()))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Product) and self.powers == other.powers)

    def substituted(self, to: Mapping[Index, Place]) -> "Formula":
        """Substitute places for indices."""
        if self.free_indices.isdisjoint(to):
            return Formula({self: Fraction(1)})
        if _keeps_order(self.free_indices, to):
            return Formula({self.renamed(to): Fraction(1)})
        return multiplied(
            of(atom) ** power if atom.free_indices.isdisjoint(to) else atom.substituted(to) ** power
            for atom, power in self.powers.items()
        )

    def renamed(self, to: Mapping[Index, Place]) -> "Product":
        """Replace indices by others in the same order."""
        return Product({atom.renamed(to): power for atom, power in self.powers.items()})

    def derivative(self, by: Entry) -> "Formula":
        """Differentiate by an entry of an array, by the product rule."""
        result = ZERO
        for atom, power in self.powers.items():
            inner = atom.derivative(by)
            if inner.terms:
                result += power * (self.times({atom: -1}) * inner)
        return result

    def times(self, powers: Mapping[Atom, int]) -> "Formula":
        """Multiply by powers of atoms."""
        together = dict(self.powers)
        for atom, power in powers.items():
            together[atom] = together.get(atom, 0) + power
        return _normalised({atom: power for atom, power in together.items() if power})

    def without(self, atom: Atom) -> "Formula":
        """Leave an atom out."""
        return Formula({Product({a: p for a, p in self.powers.items() if a != atom}): Fraction(1)})


class Formula:
    """A sum of products with rational coefficients, in normal form."""

    def __init__(self, terms: Mapping[Product, Fraction]):
        self.terms = terms

    @cached_property
    def free_indices(self) -> frozenset[Index]:
        """The indices that are not summed within."""
        return _union(term.free_indices for term in self.terms)

    @cached_property
    def _key(self) -> Key:
        return tuple(sorted((term._key, coefficient) for term, coefficient in self.terms.items()))

    def key(self, labels: Labels = NO_LABELS) -> Key:
        """Return what two formulas have in common if they are found to be equal."""
        if not labels or self.free_indices.isdisjoint(labels):
            return self._key
        return tuple(sorted((term.key(labels), c) for term, c in self.terms.items()))

    def __bool__(self) -> bool:
        raise TypeError("a formula is neither true nor false; compare with ==")

    @cached_property
    def _hash(self) -> int:
        return hash(frozenset(self.terms.items()))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int | Fraction):
            other = number(other)
        return isinstance(other, Formula) and self.terms == other.terms

    def __add__(self, other: "Formula") -> "Formula":
        if not (self.terms and other.terms):
            return self if self.terms else other
        return added((self, other))

    def __neg__(self) -> "Formula":
        return Formula({term: -coefficient for term, coefficient in self.terms.items()})

    def __sub__(self, other: "Formula") -> "Formula":
        return self + -other

    def __mul__(self, other: Union["Formula", Number]) -> "Formula":
        if isinstance(other, int | Fraction):
            if other == 1:
                return self
            return Formula({term: c * other for term, c in self.terms.items()} if other else {})
        for formula, factor in ((self, other), (other, self)):
            if (value := factor.as_number()) is not None:
                return formula * value
        return added(
            (c * d) * term.times(factor.powers)
            for term, c in self.terms.items()
            for factor, d in other.terms.items()
        )

    __rmul__ = __mul__

    def __pow__(self, exponent: int) -> "Formula":
        return power(self, Fraction(exponent))

    def substituted(self, to: Mapping[Index, Place]) -> "Formula":
        """Substitute places for indices, all at once."""
        if self.free_indices.isdisjoint(to):
            return self
        return added(coefficient * term.substituted(to) for term, coefficient in self.terms.items())

    def renamed(self, to: Mapping[Index, Place]) -> "Formula":
        """Replace indices by others in the same order."""
        return Formula({term.renamed(to): c for term, c in self.terms.items()})

    def derivative(self, by: Entry) -> "Formula":
        """Differentiate by an entry of an array.

        The entry needs indices of its own: with an index that occurs in the formula already, it
        is one particular entry.
        """
        return added(c * term.derivative(by) for term, c in self.terms.items())

    def replaced(self, by: "Callable[[Atom], Formula | None]") -> "Formula":
        """Replace atoms, those inside of others first, by what `by` returns unless it is None."""
        if all(by(atom) is None for atom in self.atoms()):
            return self
        return added(
            c * multiplied(_replaced(atom, by) ** power for atom, power in term.powers.items())
            for term, c in self.terms.items()
        )

    def as_number(self) -> Fraction | None:
        """Return the number that this formula is, or None if it is more than a number."""
        if not self.terms:
            return Fraction(0)
        ((term, coefficient), *more) = self.terms.items()
        return None if more or term.powers else coefficient

    def as_entry(self) -> Entry | None:
        """Return the entry that this formula is, or None if it is something else."""
        atom = next((atom for term in self.terms for atom in term.powers), None)
        return atom if isinstance(atom, Entry) and self == of(atom) else None

    def atoms(self) -> Iterator[Atom]:
        """Yield all atoms, also those inside of others."""
        for term in self.terms:
            for atom in term.powers:
                yield atom
                if isinstance(atom, Total):
                    yield from Formula({atom.product: Fraction(1)}).atoms()
                elif isinstance(atom, OfFormula):
                    yield from atom.u.atoms()

    @cached_property
    def arrays(self) -> frozenset[str]:
        """The names of all arrays whose entries occur."""
        return frozenset(atom.array for atom in self.atoms() if isinstance(atom, Entry))

    @property
    def looked_up(self) -> set[str]:
        """The names of the arrays in which indices were looked up."""
        return {
            pick.name
            for atom in self.atoms()
            for place in places_of(atom)
            for pick in picks_in(place)
        }

    def __repr__(self) -> str:
        from backprop_lib.proof.writing import plain

        return plain(self)


_composed: dict[str, Formula] = {}
"""The sizes that are made of others, by their names: "L - 2"."""

NO_FACTORS = Product({})
ZERO = Formula({})
ONE = Formula({NO_FACTORS: Fraction(1)})
PI = Constant("π", math.pi)


def number(value: Number) -> Formula:
    """Return a number as a formula."""
    return Formula({NO_FACTORS: Fraction(value)}) if value else ZERO


def of(atom: Atom) -> Formula:
    """Return an atom as a formula."""
    return _power_of_atom(atom, 1)


def entry(array: str, *at: Place) -> Formula:
    """Return an entry of an array of independent numbers."""
    return of(Entry(array, at))


def of_float(value: Irrational | Opaque) -> Formula:
    """Return what a float of many digits stands for as a formula."""
    if isinstance(value, Opaque):
        floats: dict[Atom, int] = {Constant(text, float(text)): p for text, p in value.powers}
        return value.factor * _normalised(floats)
    result = _root_of_number(Fraction(value.root)) * power(of(PI), Fraction(value.half_powers, 2))
    if value.other:
        base = exp(ONE) if value.other == "e" else log(number(int(value.other.split()[1])))
        result *= power(base, Fraction(value.other_power))
    return value.factor * result


def size(name: str | int) -> Formula:
    """Return a size; one that is known is a number, and L - 1 is what `size_name` was given."""
    if isinstance(name, int):
        return number(name)
    return _composed[name] if name in _composed else of(Size(name))


def size_name(formula: Formula) -> str | int:
    """Return what an axis of so many entries is called: 3, "L" or "L - 2", always the same.

    Raises
    ------
    CalculusError
        If this is no sum of products of sizes with whole coefficients.
    """
    value = formula.as_number()
    if value is not None and value.denominator == 1:
        return int(value)
    parts = []
    for term, coefficient in sorted(formula.terms.items(), key=_as_written):
        are_sizes = all(isinstance(a, Size) and p > 0 for a, p in term.powers.items())
        if not are_sizes or coefficient.denominator != 1:
            raise CalculusError(f"{formula} is no number of entries")
        factors = [a.name for a, p in term.powers.items() if isinstance(a, Size) for _ in range(p)]
        number_first = [] if abs(coefficient) == 1 and factors else [str(abs(coefficient))]
        sign = "-" if coefficient < 0 else "+"
        parts.append(f"{sign} {'·'.join([*number_first, *sorted(factors)])}")
    name = " ".join(parts).removeprefix("+ ")
    if of(Size(name)) != formula:
        _composed[name] = formula
    return name


def is_single(name: str | int) -> bool:
    """Say whether a size is a symbol of its own, not made of others."""
    return isinstance(name, str) and name not in _composed


def _as_written(item: tuple[Product, Fraction]) -> Key:
    term, coefficient = item
    return (not term.powers, coefficient < 0, term._key)


def delta(a: Place, b: Place) -> Formula:
    """Return 1 where two places of one axis are the same, else 0.

    Raises
    ------
    RangeError
        If the places belong to different axes.
    """
    if a == b:
        return ONE
    if isinstance(a, int) and isinstance(b, int):
        return ZERO
    if not isinstance(a, int) and not isinstance(b, int) and a.size != b.size:
        raise RangeError(f"an index over {a.size} meets one over {b.size}")
    if isinstance(a, Affine) or isinstance(b, Affine):
        return _delta_of_slices(a, b)
    return of(Delta(a, b))


def affine(at: Place, start: Formula, step: int, size: str | int) -> Place:
    """Return the place start + step · at on an axis; a place that is simpler as what it is."""
    if isinstance(at, Affine):
        inner = start + step * at.start
        if at.at is not None:
            return affine(at.at, inner, step * at.step, size)
        at, start = 0, inner
    if isinstance(at, int):
        start = start + number(step * at)
        value = start.as_number()
        return Affine(None, start, 1, size) if value is None else int(value)
    is_same = step == 1 and at.size == size and not start.terms
    return at if is_same else Affine(at, start, step, size)


def _parts(place: Place) -> tuple[Index | Pick | None, Formula, int]:
    """Return what a place is made of: at, start and step."""
    if isinstance(place, Affine):
        return place.at, place.start, place.step if place.at is not None else 0
    return (None, number(place), 0) if isinstance(place, int) else (place, ZERO, 1)


def _ends(place: Place) -> tuple[Formula, Formula]:
    """Return the first and the last of the places that a place may be."""
    at, start, step = _parts(place)
    last = start if at is None else start + step * (size(at.size) - ONE)
    return (start, last) if step >= 0 else (last, start)


def _delta_of_slices(a: Place, b: Place) -> Formula:
    """Return 1 where start + step · i is the same on both sides, else 0."""
    (i, start, step), (j, other_start, other_step) = _parts(a), _parts(b)
    gap = other_start - start  # step i = gap + other_step j
    least = least_sizes(at.size for at in (i, j) if at is not None)
    if i == j and (i is None or step == other_step):
        apart = is_never_negative(gap - ONE, least) or is_never_negative(-gap - ONE, least)
        return ZERO if apart else of(Delta(a, b)) if gap.terms else ONE
    if i != j:
        ways = [(i, step, gap, j, other_step), (j, other_step, -gap, i, step)]
        for at, own, offset, other, by in ways:
            start_there = offset * Fraction(1, own) if own else ZERO
            if at is None or by % own or not _is_whole(start_there):
                continue
            there = affine(other if other is not None else 0, start_there, by // own, at.size)
            first, last = _ends(there)
            if is_never_negative(first, least) and is_never_negative(
                size(at.size) - ONE - last, least
            ):
                return _delta_solved(at, there)
    (low, high), (other_low, other_high) = _ends(a), _ends(b)
    for difference in (low - other_high, other_low - high):
        if is_never_negative(difference - ONE, least):
            return ZERO
    common = gcd(step, other_step)
    residue = gap.terms.get(NO_FACTORS, Fraction(0))
    others = gap - number(residue)
    if common and residue % common and _is_whole(others * Fraction(1, common)):
        return ZERO
    return of(Delta(a, b))


def _delta_solved(at: Index | Pick, place: Place) -> Formula:
    """Return 1 where an index is at a place that always is on its axis."""
    if at == place:
        return ONE
    if isinstance(place, Affine) and isinstance(place.at, Index) and isinstance(at, Index):
        turned = place.step == -1 and place.at.size == at.size
        if turned and place.at.serial < at.serial:  # i = L - 1 - j is j = L - 1 - i
            return of(Delta(place.at, affine(at, place.start, -1, at.size)))
    return of(Delta(at, place))


def not_after(a: Place, b: Place) -> Formula:
    """Return 1 where a place comes before another one or is the same, else 0."""
    (i, start, step), (j, other_start, other_step) = _parts(a), _parts(b)
    least = least_sizes(at.size for at in (i, j) if at is not None)
    (low, high), (other_low, other_high) = _ends(a), _ends(b)
    gap = other_start - start
    if i == j and step == other_step:
        low, high, other_low, other_high = ZERO, ZERO, gap, gap
    if is_never_negative(other_low - high, least):
        return ONE
    if is_never_negative(low - other_high - ONE, least):
        return ZERO
    if i is not None and j is not None:
        if not gap.terms and step == other_step and abs(step) > 0 and (i, j) != (a, b):
            return not_after(i, j) if step > 0 else not_after(j, i)
    elif isinstance(i or j, Index):  # one of the two is a place c: Σ_k δ(i, k), k up to c
        stop, is_first = (other_start + ONE, True) if j is None else (start, False)
        place = a if j is None else b
        is_within = isinstance(place, Index) and all(
            is_never_negative(left, least) for left in (stop - ONE, size(place.size) - stop)
        )
        if isinstance(place, Index) and is_within:
            k = Index(size_name(stop))
            inside = total(delta(place, affine(k, ZERO, 1, place.size)), [k])
            return inside if is_first else ONE - inside
    return of(NotAfter(a, b))


def _is_whole(formula: Formula) -> bool:
    return all(c.denominator == 1 for c in formula.terms.values())


def least_sizes(names: Iterable[str | int]) -> dict[str, int]:
    """Return how large sizes are at least, if there are axes of the given sizes.

    An axis of L - 2 entries has one at least, so that L is at least 3.
    """
    least: dict[str, int] = {}
    for name in names:
        if (bound := least_size(size(name) - ONE)) is not None:
            least[bound[0]] = max(bound[1], least.get(bound[0], 1))
    return least


def least_size(formula: Formula) -> tuple[str, int] | None:
    """Return the size of which alone a formula depends, and from where on it is not negative."""
    slope, constant, name = Fraction(0), Fraction(0), ""
    for term, coefficient in formula.terms.items():
        atom = next(iter(term.powers), None)
        if atom is None:
            constant = coefficient
        elif isinstance(atom, Size) and term.powers == {atom: 1} and not name:
            slope, name = coefficient, atom.name
        else:
            return None
    return (name, max(1, ceil(-constant / slope))) if slope > 0 else None


def is_never_negative(formula: Formula, least: Mapping[str, int]) -> bool:
    """Say whether a polynomial in sizes is certainly at least 0, if all are at least so large."""

    def shifted(atom: Atom) -> Formula | None:
        if not isinstance(atom, Size):
            return None
        return of(atom) + number(least.get(atom.name, 1))  # the size now counts from there

    powers = [power for term in formula.terms for power in term.powers.items()]
    if not all(isinstance(atom, Size) and power > 0 for atom, power in powers):
        return False
    return all(c >= 0 for c in formula.replaced(shifted).terms.values())


def total(formula: Formula, bound: Iterable[Index]) -> Formula:
    """Sum over indices: they are not free in the result."""
    indices = frozenset(bound)
    return added(c * _total_of(term, indices) for term, c in formula.terms.items())


def power(u: Formula, exponent: Fraction) -> Formula:
    """Return u to an exponent; one that is neither whole nor a half as e^(exponent log u)."""
    twice = exponent * 2
    if twice.denominator != 1:
        return exp(exponent * log(u))
    if exponent < 0:
        return inverse_root(u, -int(twice))
    whole, half = divmod(int(twice), 2)
    if not half:
        return _whole_power(u, whole)
    return _whole_power(u, whole + 1) * inverse_root(u, 1)


def _whole_power(u: Formula, exponent: int) -> Formula:
    if len(u.terms) == 1 and exponent > 1:
        ((term, coefficient),) = u.terms.items()
        if coefficient in (1, -1) or exponent <= HIGHEST_POWER:
            powers = {atom: p * exponent for atom, p in term.powers.items()}
            return coefficient**exponent * _normalised(powers)
    if exponent > HIGHEST_POWER:
        raise CalculusError(f"the exponent {exponent} is too high for a sum")
    return multiplied([u] * exponent)


def inverse_root(u: Formula, times: int) -> Formula:
    """Return u^(-1/2) to a positive power.

    Raises
    ------
    ZeroDivisionError
        If u is 0.
    """
    if not u.terms:
        raise ZeroDivisionError("division by a formula that is zero for all values")
    if (parts := _by_ranges(u, lambda part: inverse_root(part, times))) is not None:
        return parts
    if (parts := _split(u, lambda part: inverse_root(part, times))) is not None:
        return parts
    pairs, single = divmod(times, 2)
    result = ONE
    if pairs:
        scale, common, rest = _primitive(u, _may_be_inverted)
        if pairs > HIGHEST_POWER and abs(scale) != 1:
            raise CalculusError(f"the exponent {-pairs} is too low for a number")
        for atom in list(common):  # u may be v^(1/2), written as v · v^(-1/2)
            if isinstance(atom, Root) and rest == atom.u:
                result *= _power_of_atom(atom, pairs * (2 - common.pop(atom)))
                rest = ONE
                break
        result *= scale**-pairs * _normalised({a: -p * pairs for a, p in common.items()})
        for factor, multiplicity in _factors(rest):
            result *= _power_of_atom(Root(factor), 2 * pairs * multiplicity)
    if single:
        scale, common, rest = _primitive(u, _is_positive)
        result *= _root_of_number(1 / abs(scale))
        for atom, p in common.items():
            whole, half = divmod(-p, 2)
            result *= _power_of_atom(atom, whole) if whole else ONE
            result *= _square_root(atom) if half else ONE
        rest = -rest if scale < 0 else rest
        if rest != 1:
            result *= _power_of_atom(Root(rest), 1)
    return result


def step(u: Formula) -> Formula:
    """Return 1 where u > 0, else 0."""
    value = u.as_number()
    if value is not None:
        return ONE if value > 0 else ZERO
    if (parts := _by_ranges(u, step)) is not None:
        return parts
    if (parts := _split(u, step)) is not None:
        return parts
    # [s u > 0] = s [u > 0] for an s that is 0 or 1
    common = _common(u, lambda atom, _: isinstance(atom, ZERO_OR_ONE))
    if common:
        mask = _normalised(dict.fromkeys(common, 1))
        return mask * step(_divided(u, dict.fromkeys(common, 1)))
    scale, _, rest = _primitive(u, _is_positive)
    if all(c > 0 for c in rest.terms.values()) and all(map(_is_not_negative, rest.terms)):
        return ONE - zero(rest) if scale > 0 else ZERO
    atom = next((atom for term in rest.terms for atom in term.powers), None)
    if isinstance(atom, Function) and atom.has_sign_of_u and rest == of(atom):
        return step(atom.u if scale > 0 else -atom.u)
    if scale > 0:
        return _power_of_atom(Step(rest), 1)
    return ONE - _power_of_atom(Step(rest), 1) - zero(rest)


def zero(u: Formula) -> Formula:
    """Return 1 where u = 0, else 0."""
    value = u.as_number()
    if value is not None:
        return ZERO if value else ONE
    if (parts := _by_ranges(u, zero)) is not None:
        return parts
    if (parts := _split(u, zero, kinds=ZERO_OR_ONE)) is not None:
        return parts
    different = ONE  # a product is not 0 where none of its factors is
    for atom in _common(u, lambda atom, _: isinstance(atom, ZERO_OR_ONE)):
        different *= _power_of_atom(atom, 1)
        u = _divided(u, {atom: 1})
    # a denominator of a term that a mask may leave out is none where it does
    masked = {
        a for t in u.terms if any(isinstance(m, ZERO_OR_ONE) for m in t.powers) for a in t.powers
    }
    _, common, rest = _primitive(u, lambda atom, p: p > 0 or atom not in masked)
    for atom, power in common.items():
        if isinstance(atom, Log):
            different *= ONE - zero(atom.u - ONE)
        elif isinstance(atom, Function) and power > 0:
            inside = zero(atom.u) if atom.has_sign_of_u else _power_of_atom(Zero(of(atom)), 1)
            different *= ONE - inside
        elif isinstance(atom, Entry) and power > 0:
            different *= ONE - _power_of_atom(Zero(of(atom)), 1)
    positive = all(c > 0 for c in rest.terms.values()) and all(map(_is_not_negative, rest.terms))
    if rest == 1 or (positive and any(map(_is_never_zero, rest.terms))):
        return ONE - different
    return ONE - different * (ONE - _power_of_atom(Zero(rest), 1))


def exp(u: Formula) -> Formula:
    """Return e^u, one factor for each term of u."""
    if (parts := _by_ranges(u, exp)) is not None:
        return parts
    if (parts := _split(u, exp, whole=True)) is not None:
        return parts
    result = ONE
    for term, coefficient in u.terms.items():
        atom = next(iter(term.powers), None)
        if (
            isinstance(atom, Log)
            and term.powers == {atom: 1}
            and (2 * coefficient).denominator == 1
        ):
            result *= power(atom.u, coefficient)
        else:
            base = Formula({term: Fraction(1, coefficient.denominator)})
            result *= _power_of_atom(Exp(base), coefficient.numerator)
    return result


def function(name: str, u: Formula) -> Formula:
    """Return tanh(u), sin(u) or another of `FUNCTIONS`, as a factor of its own."""
    known = FUNCTIONS[name]
    if not u.terms:
        return ONE if known.is_even else ZERO
    if (parts := _by_ranges(u, lambda part: function(name, part))) is not None:
        return parts
    if (parts := _split(u, lambda part: function(name, part), whole=True)) is not None:
        return parts
    if _primitive(u, lambda atom, p: False)[0] > 0:
        return _power_of_atom(Function(u, name), 1)
    mirrored = _power_of_atom(Function(-u, name), 1)
    return mirrored if known.is_even else -mirrored


def expanded(formula: Formula) -> Formula:
    """Write tanh(u) as 1 - 2/(e^(2u) + 1), so that it can be compared with exponentials."""

    def by(atom: Atom) -> Formula | None:
        if not isinstance(atom, Function) or atom.name != "tanh":
            return None
        return ONE - 2 * power(exp(2 * expanded(atom.u)) + ONE, Fraction(-1))

    return formula.replaced(by)


def vanishes(formula: Formula) -> bool:
    """Say whether a formula is found to be zero once its denominators are multiplied away.

    What is multiplied by one mask is judged for itself: where u = 0, a mask may leave out what is
    divided by u, but what it leaves must be zero without being multiplied by u.
    """
    if len(formula.terms) > MOST_TERMS_OF_A_DIFFERENCE:
        return False
    parts: dict[Product, dict[Product, Fraction]] = {}
    for term, coefficient in formula.terms.items():
        masks: dict[Atom, int] = {
            a: p for a, p in term.powers.items() if isinstance(a, ZERO_OR_ONE)
        }
        rest = {a: p for a, p in term.powers.items() if a not in masks}
        parts.setdefault(Product(masks), {})[Product(rest)] = coefficient
    return all(_vanishes_without_masks(Formula(part)) for part in parts.values())


def _vanishes_without_masks(formula: Formula) -> bool:
    """Eliminate one root r = u^(-1/2) after the other.

    Times a power of u, the formula is A + r B, where r occurs in neither. If both vanish, so does
    the formula wherever it is defined.
    """
    tick()
    root = _outermost_root(formula)
    if root is None:
        inside = _inside_a_sum(formula)
        return not formula.terms or (inside is not None and vanishes(inside))
    exponents = [term.powers.get(root, 0) for term in formula.terms]
    most = max(exponents) // 2
    powers = [ONE]
    for _ in range(most):
        powers.append(powers[-1] * root.u)
    halves = [ZERO, ZERO]
    for (term, coefficient), exponent in zip(formula.terms.items(), exponents, strict=True):
        rest = Product({a: p for a, p in term.powers.items() if a != root})
        pairs, odd = divmod(exponent, 2)
        halves[odd] += Formula({rest: coefficient}) * powers[most - pairs]
    return all(map(vanishes, halves))


def _outermost_root(formula: Formula) -> "Root | None":
    """Return a root that is a factor and stands in no other factor, as far as there is one."""
    roots = {a for term in formula.terms for a in term.powers if isinstance(a, Root)}
    inside = {a: {b for b in a.u.atoms() if b in roots} for a in roots}
    within = set().union(*inside.values()) if inside else set()
    choices = roots - within or roots
    return max(choices, key=lambda root: (len(root.u.terms) > 1, root._key), default=None)


def _inside_a_sum(formula: Formula) -> Formula | None:
    """Write a formula as one sum, and return what is summed; None if it is not so.

    Each term must have one sum with roots in it, or else one sum at all, over the same axes.
    """
    parts = []
    axes = set()
    for term, coefficient in formula.terms.items():
        sums = [a for a, p in term.powers.items() if isinstance(a, Total) and p == 1]
        if len(sums) > 1:
            sums = [a for a in sums if any(isinstance(b, Root) for b in _atoms_of(a.product))]
        if len(sums) != 1:
            return None
        axes.add(tuple(sorted((index.size for index in sums[0].bound), key=str)))
        rest = Product({a: p for a, p in term.powers.items() if a != sums[0]})
        parts.append((Formula({rest: coefficient}), sums[0]))
    if len(axes) != 1:
        return None
    indices = [Index(size) for size in axes.pop()]
    return added(
        rest * within.product.substituted(dict(zip(_by_size(within), indices, strict=True)))
        for rest, within in parts
    )


def _by_size(within: Total) -> list[Index]:
    return sorted(within.order(), key=lambda index: str(index.size))


def _atoms_of(term: Product) -> Iterator[Atom]:
    return Formula({term: Fraction(1)}).atoms()


def log(u: Formula) -> Formula:
    """Return the logarithm of u; a common factor that is an exponential is taken out."""
    if not u.terms:
        raise ZeroDivisionError("the logarithm of a formula that is zero for all values")
    if (parts := _by_ranges(u, log)) is not None:
        return parts
    if (parts := _split(u, log)) is not None:
        return parts
    common = _common(u, lambda atom, _: isinstance(atom, Exp))
    outside = added(p * atom.u for atom, p in common.items() if isinstance(atom, Exp))
    rest = _divided(u, common)
    return outside if rest == 1 else outside + _power_of_atom(Log(rest), 1)


def added(formulas: Iterable[Formula]) -> Formula:
    """Return the sum of formulas."""
    terms: dict[Product, Fraction] = {}
    for formula in formulas:
        for term, coefficient in formula.terms.items():
            before = terms.get(term)
            terms[term] = coefficient if before is None else before + coefficient
    return Formula({term: coefficient for term, coefficient in terms.items() if coefficient})


def multiplied(formulas: Iterable[Formula]) -> Formula:
    """Return the product of formulas."""
    return reduce(Formula.__mul__, formulas, ONE)


def _made(index: Index) -> int:
    return index.serial


def _keeps_order(indices: Iterable[Index], to: Mapping[Index, Place]) -> bool:
    """Say whether replacing indices names them anew, and in the order in which they were made."""
    last = -1
    for index in sorted(indices, key=_made):
        other = to.get(index, index)
        if not isinstance(other, Index) or other.size != index.size or other.serial <= last:
            return False
        last = other.serial
    return True


def _union(sets: Iterable[frozenset[Index]]) -> frozenset[Index]:
    return frozenset().union(*sets)


def _replaced(atom: Atom, by: Callable[[Atom], Formula | None]) -> Formula:
    new = by(atom)
    if new is not None:
        return new
    if isinstance(atom, Total):
        inside, indices = atom.with_fresh_indices()
        return total(inside.replaced(by), indices)
    if isinstance(atom, OfFormula):
        inside = atom.u.replaced(by)
        return of(atom) if inside is atom.u else atom.of_other(inside)
    return of(atom)


def _split(
    u: Formula,
    function: Callable[[Formula], Formula],
    *,
    whole: bool = False,
    kinds: tuple[type[Atom], ...] = (Step, Zero),
) -> Formula | None:
    """Take the two cases of a step s in u apart: f(u) = s f(u if s is 1) + (1 - s) f(u if it is 0).

    A step that is a factor of all of u is left to the function, unless `whole` is true.
    """
    steps = dict.fromkeys(a for term in u.terms for a in term.powers if isinstance(a, kinds))
    if not 1 <= len(steps) <= MOST_STEPS:
        return None
    for s in steps:
        inside = Formula({term: c for term, c in u.terms.items() if s in term.powers})
        outside = u - inside
        if outside.terms or whole:
            one, mask = _divided(inside, {s: 1}) + outside, of(s)
            return mask * function(one) + (ONE - mask) * function(outside)
    return None


def _by_ranges(u: Formula, function: Callable[[Formula], Formula]) -> Formula | None:
    """Take a function of what is put together of slices apart, into one of each slice.

    Where l is in a slice, u has no other terms than those there and those for all l.
    """
    if _range_in(u) is None:
        return None
    result, where = ZERO, ONE
    for _ in range(MOST_RANGES):
        found = _range_in(u)
        if found is None:
            return result + where * function(u)
        index, place, bound = found
        here = delta(index, place)
        inside = where * total(here, bound)
        if inside.terms:
            result += where * total(here * function(u.substituted({index: place})), bound)
        u = Formula({term: c for term, c in u.terms.items() if not _is_within(term, index, place)})
        where = where - inside
        if not where.terms:
            return result
    raise CalculusError("a function of what is put together of too many slices")


def _range_in(u: Formula) -> tuple[Index, Place, list[Index]] | None:
    """Return an index of u that some terms confine to a slice: its place there, at new indices."""
    for term in u.terms:
        for atom in term.powers:
            if isinstance(atom, Delta):
                for index, place in atom.solved():
                    known = isinstance(index.size, str) and not free_indices_in(place)
                    if known or isinstance(place, Pick):
                        return index, place, []
            if isinstance(atom, Total):
                for index, place in atom.ranges:
                    if isinstance(place, Affine) and isinstance(place.at, Index):
                        fresh = place.at.fresh()
                        return index, substituted(place, {place.at: fresh}), [fresh]
    return None


def _is_within(term: Product, index: Index, place: Place) -> bool:
    """Say whether a product is 0 where an index is not at a place, wherever that is."""
    for atom in term.powers:
        if isinstance(atom, Delta) and (index, place) in atom.solved():
            return True
        if isinstance(atom, Total):
            for other, there in atom.ranges:
                if other == index and isinstance(there, Affine) and isinstance(place, Affine):
                    own, at = there.at, place.at
                    same = isinstance(own, Index) and isinstance(at, Index) and own.size == at.size
                    if same and (there.start, there.step) == (place.start, place.step):
                        return True
    return False


def _power_of_atom(atom: Atom, exponent: int) -> Formula:
    return _normalised({atom: exponent}) if exponent else ONE


def _square_root(atom: Atom) -> Formula:
    """Return a positive atom to the power 1/2."""
    if isinstance(atom, Exp):
        return exp(Fraction(1, 2) * atom.u)
    base = of(atom)
    return base * _power_of_atom(Root(base), 1)


def _root_of_number(value: Fraction) -> Formula:
    """Return the root of a positive number: a number, times roots of different primes."""
    result, left = Fraction(1, value.denominator), value.numerator * value.denominator
    roots = ONE
    prime = 2
    while left > 1:
        if prime * prime > left:
            prime = left
        exponent = 0
        while left % prime == 0:
            left //= prime
            exponent += 1
        result *= prime ** ((exponent + 1) // 2)
        if exponent % 2:  # √p = p · p^(-1/2)
            roots *= Formula({Product({Root(number(prime)): 1}): Fraction(1)})
        prime += 1
    return result * roots


def _normalised(powers: Mapping[Atom, int]) -> Formula:
    """Bring a product of powers into normal form."""
    tick()
    for atom, exponent in powers.items():
        others = {a: p for a, p in powers.items() if a is not atom}
        if isinstance(atom, ZERO_OR_ONE) and exponent != 1:
            if exponent < 1:
                raise ZeroDivisionError("division by something that is 0 or 1")
            return _normalised({**others, atom: 1})
        if isinstance(atom, Delta) and (solved := _solved_for_others(atom, others)):
            index, place = solved
            return Formula({Product({atom: 1}): Fraction(1)}) * Product(others).substituted(
                {index: place}
            )
        if isinstance(atom, Total) and exponent > 0:
            for index, place in atom.ranges:
                moved = {a: p for a, p in others.items() if _belongs(a, atom, index, place)}
                if moved or exponent > 1:
                    left = {a: p for a, p in others.items() if a not in moved}
                    inside, indices = atom.with_fresh_indices()
                    more = _normalised({**moved, **({atom: exponent - 1} if exponent > 1 else {})})
                    return total(inside * more, indices) * _normalised(left)
        if isinstance(atom, Zero) and (simpler := _where_zero(atom, others)) is not None:
            return simpler
        if isinstance(atom, Zero) and (known := _at_known_places(atom, others)) is not None:
            return known * _normalised(others)
        if isinstance(atom, Step) and (implied := _implied(atom, others)) is not None:
            return implied
        if (
            isinstance(atom, Function)
            and exponent > 1
            and (simpler := _without_square(atom, exponent, others)) is not None
        ):
            return simpler
        if isinstance(atom, Root) and exponent > 1:
            even = exponent - exponent % 2
            simpler = inverse_root(atom.u, even) if _splits(atom.u) else None
            if simpler is not None:
                return simpler * _normalised({**others, **({atom: 1} if exponent % 2 else {})})
            if (rewritten := _pivoted(atom, exponent, others)) is not None:
                return rewritten
        if isinstance(atom, Exp) and (base := _of_power(atom)) is not None:
            whole, rest = divmod(exponent, base[1])
            if whole:
                beside = _normalised({**others, atom: rest} if rest else others)
                return power(base[0], Fraction(whole)) * beside
        if isinstance(atom, Root) and exponent < 0:
            return power(atom.u, Fraction(-exponent, 2)) * _normalised(others)
        if isinstance(atom, Total) and exponent < 0:
            return inverse_root(of(atom), -2 * exponent) * _normalised(others)
    return Formula({Product(powers): Fraction(1)})


def _at_known_places(atom: Zero, others: Iterable[Atom]) -> Formula | None:
    """Return what [u = 0] is where deltas say at which numbers the places are, if that is known."""
    deltas = [(p, q) for d in others if isinstance(d, Delta) for p, q in ((d.a, d.b), (d.b, d.a))]
    known: dict[Place, int] = {
        p: q for p, q in deltas if isinstance(p, Pick) and isinstance(q, int)
    }
    if not known:
        return None

    def by(inner: Atom) -> Formula | None:
        if not isinstance(inner, Entry) or known.keys().isdisjoint(inner.at):
            return None
        return entry(inner.array, *(known.get(place, place) for place in inner.at))

    value = atom.u.replaced(by).as_number()
    return None if value is None else (ZERO if value else ONE)


def _belongs(other: Atom, inside: Total, index: Index, place: Place) -> bool:
    """Say whether a factor belongs into a sum that is 0 unless an index is at a place.

    What is made of slices does, so that Σ_i δ(l, i + 1) x_i Σ_j δ(l, j + 1) y_j is one sum over i;
    all else stands before such a sum: g(l) Σ_i δ(l, i + 1) x_i. If places are looked up, it does,
    too: Σ_n δ(c, t[n]) x_n g(t[n]).
    """
    if index not in other.free_indices:
        return False
    if not (isinstance(place, Affine) and isinstance(place.at, Index)):
        return True
    return (
        isinstance(other, Total)
        and other._key > inside._key
        and any(i == index and isinstance(there, Affine) for i, there in other.ranges)
    )


def _solved_for_others(atom: Delta, others: Mapping[Atom, int]) -> tuple[Index, Place] | None:
    """Return which index a delta lets replace in the other factors: the one made last."""
    choices = sorted(atom.solved(), key=lambda choice: -choice[0].serial)
    if not choices or all(choices[0][0] not in other.free_indices for other in others):
        return None
    return choices[0]


def _where_zero(atom: Zero, others: Mapping[Atom, int]) -> Formula | None:
    """Use u = 0 in what is multiplied by [u = 0]; None if there is nothing to use it in."""
    if Step(atom.u) in others or Step(-atom.u) in others:
        return ZERO
    here = Formula({Product({atom: 1}): Fraction(1)})
    if atom.solved is not None:
        entry, value = atom.solved
        rest = Formula({Product(others): Fraction(1)})
        if entry in rest.atoms():
            return here * rest.replaced(lambda a: value if a == entry else None)
        return None
    leading = _leading(atom.u)
    if leading is None:
        return None
    term, coefficient, marks = leading
    if not all(others.get(a, 0) >= p for a, p in marks.items()):
        return None
    rest = Product(others).times({a: -p for a, p in term.powers.items()})
    return here * ((-1 / coefficient) * rest * (atom.u - Formula({term: coefficient})))


def _implied(atom: Step, others: Mapping[Atom, int]) -> Formula | None:
    """Use that u > 2 where u > 3, and that u is not 1 there; None if no other factor says so."""
    if len(others) < 1 or (own := _bound(atom.u)) is None:
        return None
    direction, least = own
    for other in others:
        if not isinstance(other, Step | Zero) or (found := _bound(other.u)) is None:
            continue
        if found[0] == direction:
            if isinstance(other, Zero):
                return ZERO if found[1] <= least else _normalised(others)
            kept = atom if least >= found[1] else other
            gone = other if kept is atom else atom
            return _normalised({a: p for a, p in {**others, atom: 1}.items() if a != gone})
        if found[0] == -direction:
            if isinstance(other, Zero):
                return ZERO if -found[1] <= least else _normalised(others)
            if -found[1] <= least:
                return ZERO
    return None


@lru_cache(maxsize=MOST_KNOWN)
def _bound(u: Formula) -> tuple[Formula, Fraction] | None:
    """Write u > 0 as w > t, with a number t and a w that is the same for all numbers t."""
    number_in_u = u.terms.get(NO_FACTORS, Fraction(0))
    rest = {term: c for term, c in u.terms.items() if term != NO_FACTORS}
    if not rest:
        return None
    scale = abs(rest[min(rest, key=lambda term: term._key)])
    return Formula(rest) * (1 / scale), -number_in_u / scale


def _of_power(atom: Exp) -> tuple[Formula, int] | None:
    """Return u and n if e^... is u^(1/n), else None."""
    ((term, coefficient), *more) = atom.u.terms.items()
    log_of_u = next(iter(term.powers), None)
    if more or not isinstance(log_of_u, Log) or term.powers != {log_of_u: 1}:
        return None
    return log_of_u.u, coefficient.denominator


def _without_square(atom: Function, exponent: int, others: Mapping[Atom, int]) -> Formula | None:
    """Use sin² = 1 - cos² to remove sin², or, beside a negative power of sin, cos²."""
    if atom.name not in ("sin", "cos"):
        return None
    other = Function(atom.u, "cos" if atom.name == "sin" else "sin")
    if atom.name == "cos" and others.get(other, 0) >= 0:
        return None
    square = ONE - _normalised({other: 2})
    left = {**others, atom: exponent - 2} if exponent > 2 else dict(others)
    return square * _normalised(left)


def _may_be_inverted(atom: Atom, _: int) -> bool:
    return not isinstance(atom, (*ZERO_OR_ONE, Total))


_known_to_split: dict[Key, bool] = {}


def _splits(u: Formula) -> bool:
    """Say whether an even power of u^(-1/2) has a simpler form.

    It is asked again and again, of formulas that differ in the names of their indices only.
    """
    labels = {index: (1, i) for i, index in enumerate(sorted(u.free_indices, key=_made))}
    key = u.key(labels)
    if key not in _known_to_split:
        if len(_known_to_split) == MOST_KNOWN:
            _known_to_split.clear()
        scale, common, rest = _primitive(u, _may_be_inverted)
        _known_to_split[key] = scale != 1 or bool(common) or _factors(rest) != [(rest, 1)]
    return _known_to_split[key]


@lru_cache(maxsize=MOST_KNOWN)
def _factors(u: Formula) -> list[tuple[Formula, int]]:
    """Factor u as a polynomial in its atoms, so that 1/(1 + 2x + x²) is 1/(1 + x)²."""
    if u == 1:
        return []
    atoms = sorted({a for term in u.terms for a in term.powers}, key=lambda a: a._key)
    letters = {atom: sp.Dummy(f"a{i}") for i, atom in enumerate(atoms)}
    unit = {  # e^(1.7 x) is the 17th power of e^(x/10): a letter for the power that occurs
        a: gcd(*(t.powers.get(a, 0) for t in u.terms)) if isinstance(a, Exp) else 1 for a in atoms
    }
    degrees = [sum(abs(p) // unit[a] for a, p in t.powers.items()) for t in u.terms]
    if max(degrees) > HIGHEST_DEGREE or len(degrees) > MOST_TERMS:
        return [(u, 1)]
    falling = {a for term in u.terms for a, p in term.powers.items() if p < 0}
    if any(p > 0 for term in u.terms for a, p in term.powers.items() if a in falling):
        return [(u, 1)]
    polynomial = sp.Add(
        *(
            sp.Rational(c.numerator, c.denominator)
            * sp.Mul(*(letters[a] ** (abs(p) // unit[a]) for a, p in term.powers.items()))
            for term, c in u.terms.items()
        )
    )
    _, found = sp.factor_list(polynomial, *letters.values())
    if sum(multiplicity for _, multiplicity in found) <= 1:
        return [(u, 1)]
    result = []
    for factor, multiplicity in found:
        formula = added(
            Fraction(int(c.p), int(c.q))
            * _normalised(
                {
                    a: (-p if a in falling else p) * unit[a]
                    for a, p in zip(letters, exponents, strict=True)
                    if p
                }
            )
            for exponents, c in sp.Poly(factor, *letters.values()).terms()
        )
        _, common, rest = _primitive(formula, _may_be_inverted)
        if common:
            return [(u, 1)]
        result.append((rest, int(multiplicity)))
    product_of_all = multiplied(factor**multiplicity for factor, multiplicity in result)
    return result if product_of_all == u else [(u, 1)]


def _pivoted(atom: Root, exponent: int, others: Mapping[Atom, int]) -> Formula | None:
    """Use u · u^(-1) = 1 to remove a term of u that stands beside u^(-1).

    One term t of u is chosen, its pivot; then t u^(-1) = 1 - (u - t) u^(-1). Beside a negative
    power of an exponential the pivot is the number in u, so that exponents come to lie around 0.
    """
    pivot = _number_pivot(atom.u, others) or _pivot(atom.u)
    if pivot is None:
        return None
    term, coefficient, marks = pivot
    if not all(others.get(a, 0) * p >= p * p for a, p in marks.items()):
        return None
    rest = Product(others).times({a: -p for a, p in term.powers.items()})
    tail = atom.u - Formula({term: coefficient})
    inverse = Formula({Product({atom: exponent}): Fraction(1)})
    once = _normalised({atom: exponent - 2}) if exponent > 2 else ONE
    return (1 / coefficient) * (rest * once - (rest * tail) * inverse)


def _number_pivot(
    u: Formula, others: Mapping[Atom, int]
) -> tuple[Product, Fraction, dict[Atom, int]] | None:
    """Choose the number in u, beside a negative power of an exponential in all its other terms."""
    if NO_FACTORS not in u.terms:
        return None
    for atom, p in others.items():
        others_grow = all(t.powers.get(atom, 0) > 0 for t in u.terms if t != NO_FACTORS)
        if isinstance(atom, Exp) and p < 0 and others_grow:
            return NO_FACTORS, u.terms[NO_FACTORS], {}
    return None


def _pivot(u: Formula) -> tuple[Product, Fraction, dict[Atom, int]] | None:
    """Choose the term of u that `_pivoted` removes, and the factors by which it is known.

    These occur in no other term of u. A term without indices and sums is preferred.
    """
    ranks: dict[Product, Key] = {}
    marks: dict[Product, dict[Atom, int]] = {}
    for term in u.terms:
        if not _may_vanish(term):
            elsewhere = {a for t in u.terms if t != term for a in t.powers}
            marks[term] = {a: p for a, p in term.powers.items() if a not in elsewhere}
            if marks[term]:
                is_plain = not term.free_indices and not any(
                    isinstance(a, Total) for a in term.powers
                )
                ranks[term] = (is_plain, _signature(term))
    chosen = [term for term, rank in ranks.items() if rank == max(ranks.values())]
    if len(chosen) == 1:
        (term,) = chosen
        return term, u.terms[term], marks[term]
    return _leading(u)


def _may_vanish(term: Product) -> bool:
    """Say whether a product may be 0 on an open set, because of a mask in it."""
    return any(
        isinstance(a, ZERO_OR_ONE) or (isinstance(a, Total) and _may_vanish(a.product))
        for a in term.powers
    )


def _leading(u: Formula) -> tuple[Product, Fraction, dict[Atom, int]] | None:
    """Return the largest term of a polynomial, as in long division, known by all its factors."""
    if any(_may_vanish(t) or any(p < 0 for p in t.powers.values()) for t in u.terms):
        return None
    atoms = sorted({a for term in u.terms for a in term.powers}, key=lambda a: a._key)
    term = max(u.terms, key=lambda term: [term.powers.get(atom, 0) for atom in atoms])
    return (term, u.terms[term], dict(term.powers)) if term.powers else None


def _signature(term: Product) -> Key:
    """Describe a product without its indices."""
    return tuple(sorted((_kind(atom), power) for atom, power in term.powers.items()))


def _kind(atom: Atom) -> Key:
    if isinstance(atom, Entry):
        slices = [(p.step, p.start._key) for p in atom.at if isinstance(p, Affine)]
        return (atom.rank, atom.array, *slices)
    if isinstance(atom, Size | Constant):
        return (atom.rank, atom.name)
    if isinstance(atom, Total):
        return (atom.rank, _signature(atom.product))
    if isinstance(atom, OfFormula):
        name = atom.name if isinstance(atom, Function) else ""
        return (atom.rank, name, tuple(sorted((_signature(t), c) for t, c in atom.u.terms.items())))
    return (atom.rank,)


Filter = Callable[[Atom, int], bool]


def _common(u: Formula, wanted: Filter) -> dict[Atom, int]:
    """Return the powers of wanted atoms to take out of u, so that none is common to all terms.

    Of sizes, the largest power is taken, which leaves means as they are written: Σ x / N + 1.
    """
    common = {}
    for atom in dict.fromkeys(a for term in u.terms for a in term.powers):
        powers = [term.powers.get(atom, 0) for term in u.terms]
        if all(wanted(atom, p) for p in powers if p):
            common[atom] = max(powers) if isinstance(atom, Size) else min(powers)
    return {atom: p for atom, p in common.items() if p}


def _divided(u: Formula, powers: Mapping[Atom, int]) -> Formula:
    if not powers:
        return u
    inverse = {atom: -p for atom, p in powers.items()}
    return added(c * term.times(inverse) for term, c in u.terms.items())


def _primitive(u: Formula, wanted: Filter) -> tuple[Fraction, dict[Atom, int], Formula]:
    """Split u into a number, a product of wanted atoms and the rest.

    The sign of the number does not depend on which index bears which name.
    """
    common = _common(u, lambda atom, p: wanted(atom, p) and _may_be_inverted(atom, p))
    rest = _divided(u, common)
    denominators = lcm(*(c.denominator for c in rest.terms.values()))
    content = Fraction(gcd(*(int(c * denominators) for c in rest.terms.values())), denominators)
    by_signature: dict[Key, Fraction] = {}
    for term, c in rest.terms.items():
        signature = _signature(term)
        by_signature[signature] = by_signature.get(signature, Fraction(0)) + c
    leading = max((s for s, c in by_signature.items() if c), default=None)
    if leading is not None and by_signature[leading] < 0:
        content = -content
    return content, common, rest * (1 / content)


def _is_positive(atom: Atom, exponent: int) -> bool:
    """Say whether a power of an atom is positive wherever it is defined."""
    return isinstance(atom, Size | Constant | Exp) or (isinstance(atom, Root) and exponent % 2 == 1)


def _is_not_negative(term: Product) -> bool:
    """Say whether a product is at least 0 wherever it is defined."""
    return all(
        isinstance(atom, ZERO_OR_ONE)
        or _is_positive(atom, p)
        or p % (4 if isinstance(atom, Root) else 2) == 0
        or (isinstance(atom, Total) and _is_not_negative(atom.product))
        for atom, p in term.powers.items()
    )


def _is_never_zero(term: Product) -> bool:
    """Say whether a product is not 0 wherever it is defined, if it is not negative."""
    return all(
        _is_positive(atom, p)
        or isinstance(atom, Root)
        or p < 0
        or (isinstance(atom, Total) and _is_never_zero(atom.product))
        for atom, p in term.powers.items()
    )


def is_positive(u: Formula) -> bool:
    """Say whether a formula is positive wherever it is defined, as its form shows."""
    return bool(u.terms) and all(
        c > 0 and all(_is_positive(atom, p) for atom, p in term.powers.items())
        for term, c in u.terms.items()
    )


def vanishes_nowhere_dense(u: Formula) -> bool:
    """Say whether u is zero on no open set, whatever values its indices take.

    So it is if an array occurs in one term only, linearly, with a factor that is not 0; or if u
    is a polynomial all of whose coefficients are positive, or one with a number among its terms
    and entries in all others, so that it is not 0 where all entries are 0.
    """
    if all(map(_is_monomial, u.terms)):
        fixed = [term for term in u.terms if not Formula({term: Fraction(1)}).arrays]
        if all(c > 0 for c in u.terms.values()) or fixed == [NO_FACTORS]:
            return True
    arrays = [a.array for a in u.atoms() if isinstance(a, Entry)]
    for term in u.terms:
        powers = {a: p for a, p in term.powers.items() if not isinstance(a, Size | Constant)}
        atom = next(iter(powers), None)
        if atom is None or powers != {atom: 1}:
            continue
        inside = atom.product if isinstance(atom, Total) else term
        if _is_monomial(inside):
            for a, p in inside.powers.items():
                if isinstance(a, Entry) and p == 1 and arrays.count(a.array) == 1:
                    return True
    return False


def _is_monomial(term: Product) -> bool:
    """Say whether a product is made of entries and sizes only, possibly summed."""
    return all(
        isinstance(atom, Size | Constant)
        or (isinstance(atom, Entry) and p > 0)
        or (isinstance(atom, Total) and _is_monomial(atom.product))
        for atom, p in term.powers.items()
    )


def _total_of(term: Product, bound: frozenset[Index]) -> Formula:
    """Sum one product over indices."""
    for index in sorted(bound & term.free_indices, key=_made):
        if isinstance(index.size, int) and index.size <= MOST_TERMS_OF_A_SUM:
            written_out = added(term.substituted({index: place}) for place in range(index.size))
            return total(written_out, bound - {index})
    bound_here = bound & term.free_indices
    factor = multiplied(size(index.size) for index in bound - bound_here)
    if not bound_here:
        return factor * Formula({term: Fraction(1)})
    nested = [
        a for a in term.powers if isinstance(a, Total) and not a.free_indices.isdisjoint(bound_here)
    ]
    if nested:  # Σ_k x_k Σ_j y_jk is one sum over k and j
        rest = Product({a: p for a, p in term.powers.items() if a not in nested})
        inside = Formula({rest: Fraction(1)})
        bound_there = set(bound_here)
        for sum_within in nested:
            for _ in range(term.powers[sum_within]):
                summand, more = sum_within.with_fresh_indices()
                inside *= summand
                bound_there |= more
        return factor * total(inside, bound_there)
    for atom in term.powers:
        if isinstance(atom, Delta):
            for index, place in atom.solved():
                if index in bound_here:
                    contracted = term.without(atom).substituted({index: place})
                    return factor * total(contracted, bound_here - {index})
    if term.has_slices:
        if (parts := _apart(term, bound_here)) is not None:
            (before, bound_before), (left, bound_left) = parts
            return factor * (total(before, bound_before) * _total_of(left, bound_left))
        for index in sorted(bound_here, key=_made):
            if (shifted := _shifted(term, index)) is not None:
                others = bound_here - {index}
                return factor * added(
                    sign * total(part, others | {new}) for sign, part, new in shifted
                )
    outside: dict[Atom, int] = {}
    result = factor
    for atoms, indices in _connected(term, bound_here):
        powers = {atom: term.powers[atom] for atom in atoms}
        if not indices:
            outside |= powers
            continue
        inner = Total(tuple(sorted(indices, key=_made)), Product(powers))
        result *= Formula({Product({inner: 1}): Fraction(1)})
    return result * Formula({Product(outside): Fraction(1)})


def _shifted(term: Product, index: Index) -> list[tuple[int, Formula, Index]] | None:
    """Count a summed index from the start of the axis on which it stands, if all agree on it.

    If i only occurs as i + 1, then Σ_i x[i + 1] is Σ_l x[l] - Σ_k x[k], where l runs over the
    whole axis, and k over the first place of it.
    """
    standing = [place for atom in term.powers for place in _standing(atom, index)]
    length = size(index.size)
    backwards = [place for place in standing if isinstance(place, Affine) and place.step == -1]
    if backwards:  # run through the same places from the other end
        turned = index.fresh()
        other = term.substituted({index: affine(turned, length - ONE, -1, index.size)})
        still = [
            place
            for product_there in other.terms
            for atom in product_there.powers
            for place in _standing(atom, turned)
            if isinstance(place, Affine) and place.step == -1
        ]
        return [(1, other, turned)] if len(still) < len(backwards) else None
    if len(set(standing)) != 1:
        return None
    (place,) = set(standing)
    if not isinstance(place, Affine) or place.step != 1:
        return None
    start = place.start
    if not is_never_negative(start - ONE, least_sizes([index.size])):
        return None
    parts = []
    for sign, stop in ((1, start + length), (-1, start)):
        new = Index(size_name(stop))
        parts.append((sign, term.substituted({index: Affine(new, -start, 1, index.size)}), new))
    return parts


Sum = tuple[Formula, frozenset[Index]]


def _apart(
    term: Product, bound: frozenset[Index]
) -> tuple[Sum, tuple[Product, frozenset[Index]]] | None:
    """Take out of a sum what depends on an index that is known: Σ_i δ(l, i + 1) x_i y[i + 1]."""
    for atom in term.powers:
        for index, place in atom.solved() if isinstance(atom, Delta) else ():
            if not isinstance(place, Affine) or place.at not in bound or index in bound:
                continue
            i = place.at
            out = {
                a
                for a in term.powers
                if a is not atom and i in a.free_indices and set(_standing(a, i)) == {place}
                if not (isinstance(a, Delta) and a.free_indices & (bound - {i}))  # another slice
            }
            inside = set(term.powers) - out
            others = bound - {i}
            while linked := {
                a for a in out if any(a.free_indices & others & b.free_indices for b in inside)
            }:
                out -= linked
                inside |= linked
            if not out:
                continue
            by = Fraction(1, place.step)  # it only stands in start + step · i, which is the index
            back: Place = Affine(index, -by * place.start, by, place.size)  # type: ignore[arg-type]
            before = Product({a: p for a, p in term.powers.items() if a in out})
            left = Product({a: p for a, p in term.powers.items() if a in inside})
            before_bound = before.free_indices & others
            return (before.substituted({i: back}), before_bound), (left, bound - before_bound)
    return None


def places_of(atom: Atom) -> tuple[Place, ...]:
    """Return where an entry stands, or the places that are compared."""
    if isinstance(atom, Entry):
        return atom.at
    return (atom.a, atom.b) if isinstance(atom, Delta | NotAfter) else ()


def _products_inside(atom: Atom) -> Iterable["Product"]:
    if isinstance(atom, Total):
        return [atom.product]
    return atom.u.terms if isinstance(atom, OfFormula) else []


def _inside(place: Place) -> Iterator[Place]:
    """Yield a place and those that it is made of."""
    yield place
    if isinstance(place, Pick):
        for part in place.at:
            yield from _inside(part)
    elif isinstance(place, Affine) and place.at is not None:
        yield from _inside(place.at)


def _standing(atom: Atom, index: Index) -> Iterator[Place]:
    """Yield the places at which an index stands: itself, or what is made of it by a slice."""
    if index not in atom.free_indices:
        return
    for place in places_of(atom):
        yield from _standing_in(place, index)
    for term in _products_inside(atom):
        for inner in term.powers:
            yield from _standing(inner, index)


def _standing_in(place: Place, index: Index) -> Iterator[Place]:
    if place == index or (isinstance(place, Affine) and place.at == index):
        yield place
    elif isinstance(place, Affine) and isinstance(place.at, Pick):
        yield from _standing_in(place.at, index)
    elif isinstance(place, Pick):
        for part in place.at:
            yield from _standing_in(part, index)


def _connected(term: Product, bound: frozenset[Index]) -> list[tuple[list[Atom], frozenset[Index]]]:
    """Part the atoms into groups that share no summed index."""
    groups: list[tuple[list[Atom], frozenset[Index]]] = []
    for atom in term.powers:
        atoms, indices = [atom], atom.free_indices & bound
        apart = []
        for group in groups:
            if indices and not indices.isdisjoint(group[1]):
                atoms, indices = group[0] + atoms, indices | group[1]
            else:
                apart.append(group)
        groups = [*apart, (atoms, indices)]
    return groups


ZERO_OR_ONE = (Delta, NotAfter, Step, Zero)
"""The atoms that are either 0 or 1."""


def _known_functions() -> dict[str, Known]:
    one_over_root_pi = power(of(PI), Fraction(-1, 2))
    return {
        "tanh": Known(lambda u: ONE - function("tanh", u) ** 2, math.tanh, has_sign_of_u=True),
        "sin": Known(lambda u: function("cos", u), math.sin),
        "cos": Known(lambda u: -function("sin", u), math.cos, is_even=True),
        "arctan": Known(lambda u: power(ONE + u * u, Fraction(-1)), math.atan, has_sign_of_u=True),
        "arcsin": Known(
            lambda u: power(ONE - u * u, Fraction(-1, 2)), math.asin, has_sign_of_u=True
        ),
        "erf": Known(lambda u: 2 * one_over_root_pi * exp(-(u * u)), math.erf, has_sign_of_u=True),
    }


FUNCTIONS = _known_functions()
"""What is known of the functions that have an atom of their own."""
MADE_OF: dict[type[Atom], Callable[[Formula], Formula]] = {
    Root: lambda u: inverse_root(u, 1),
    Step: step,
    Zero: zero,
    Exp: exp,
    Log: log,
}
"""How a function of a formula is made, in normal form."""
