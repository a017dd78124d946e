"""Write a formula for people: as plain text, or as LaTeX.

Long parts are given a letter and written out once, after "where".
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from backprop_lib.proof.calculus import (
    NO_FACTORS,
    TRIANGLE,
    Affine,
    Atom,
    Constant,
    Delta,
    Entry,
    Exp,
    Formula,
    Function,
    Index,
    Log,
    NotAfter,
    OfFormula,
    Pick,
    Place,
    Product,
    Root,
    Size,
    Step,
    Total,
    Zero,
)

LONGEST_LINE = 160
SPARE_LETTERS = "jkmpqstuvw"
LATEX_FUNCTIONS = frozenset(["sin", "cos", "tanh", "arctan", "arcsin"])
GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "rho",
        "sigma",
        "tau",
        "phi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Sigma",
        "Phi",
        "Psi",
        "Omega",
    ]
)


def plain(formula: Formula, names: Mapping[Index, str] | None = None) -> str:
    """Write a formula as text: ``Σ_n dy[n, o] x[n, i]``."""
    return _Plain(formula, names).text()


def latex(formula: Formula, names: Mapping[Index, str] | None = None) -> str:
    """Write a formula as LaTeX, without dollars."""
    return _Latex(formula, names).text()


def latex_equation(left: str, formula: Formula, names: Mapping[Index, str]) -> str:
    """Write an equation as LaTeX, in several lines if it is long."""
    style = _Latex(formula, names)
    whole = f"{left} = {style.text()}"
    if len(whole) <= LONGEST_LINE:
        return whole
    terms = style.terms(formula, style.names())
    lines = [f"{left} &= {terms[0]}", *(rf"&\quad {term}" for term in terms[1:])]
    for number, definition in enumerate(style.where):
        word = r"\text{where } " if number == 0 else ""
        lines.append(word + definition.replace(" = ", " &= ", 1))
    body = r" \\ ".join(lines)
    return rf"\begin{{aligned}} {body} \end{{aligned}}"


def letters(sizes: Sequence[str | int]) -> list[str]:
    """Name one index for each axis, as the book does: n for N, i for C_in, o for C_out."""
    chosen: list[str] = []
    for size in sizes:
        usual = str(size).rpartition("_")[2][0].lower()
        if not usual.isalpha():
            usual = "j"
        if usual in chosen and size in sizes[: len(chosen)]:
            usual = next(usual + "'" * i for i in range(9) if usual + "'" * i not in chosen)
        chosen.append(
            usual if usual not in chosen else next(s for s in SPARE_LETTERS if s not in chosen)
        )
    return chosen


def latex_name(name: str) -> str:
    """Write a name as LaTeX: C_in as C_{in}, gamma as a Greek letter."""
    first, *rest = name.split("_")
    words = [first, "".join(rest)] if rest and first else [name.replace("_", "")]
    if words[0].lower() == "eps":
        words[0] = "epsilon"
    if words[0] in GREEK:
        words[0] = "\\" + words[0]
    elif len(words[0]) > 1 and not (words[0][0] == "d" and len(words[0]) == 2):
        words[0] = rf"\mathit{{{words[0]}}}"
    return words[0] + (f"_{{{words[1]}}}" if len(words) > 1 else "")


def gradient_name(name: str) -> str:
    """Write the name of an array or of its gradient as LaTeX."""
    if name.startswith("d") and len(name) > 1:
        return "d" + latex_name(name[1:])
    return latex_name(name)


@dataclass
class _Style(ABC):
    """How the parts of a formula look; the subclasses say it for text and for LaTeX."""

    formula: Formula
    given: Mapping[Index, str] | None = None
    where: list[str] = field(default_factory=list)
    reserved: tuple[str, ...] = ()
    """Names that no summed index may have, though it might: they are free elsewhere."""
    letter_of: dict[object, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        odd = set()
        for product in _products_in(self.formula):
            odd |= {a for a, p in product.powers.items() if isinstance(a, Root) and p % 2}
        self.has_odd_power = {_form(root) for root in odd}

    def text(self) -> str:
        return self.sum(self.formula, self.names()) + self.definitions()

    def names(self) -> dict[Index, str]:
        """Return names for all indices that are not summed."""
        names = dict(self.given or {})
        unnamed = sorted(self.formula.free_indices - set(names), key=lambda index: index.serial)
        for index in unnamed:
            names[index] = self.free_name(index, names.values())
        self.reserved = tuple(names.values())
        return names

    def free_name(self, index: Index, used: Iterable[str]) -> str:
        usual = index.name or letters([index.size])[0]
        taken = {*used, *self.reserved}
        return next(usual + "'" * i for i in range(99) if usual + "'" * i not in taken)

    def sum(self, formula: Formula, names: Mapping[Index, str]) -> str:
        return " ".join(self.terms(formula, names))

    def terms(self, formula: Formula, names: Mapping[Index, str]) -> list[str]:
        """Write the terms of a sum, each but the first with its sign before it."""
        written: list[str] = []
        for term, coefficient in _ordered(formula):
            body = self.term(term, abs(coefficient), names)
            if written:
                written.append(f"{'-' if coefficient < 0 else '+'} {body}")
            else:
                written.append(f"-{body}" if coefficient < 0 else body)
        return written or ["0"]

    def term(self, term: Product, coefficient: Fraction, names: Mapping[Index, str]) -> str:
        above, below, sums = [], [], []
        exponent = Formula({})
        if coefficient.denominator > 1:
            below.append(str(coefficient.denominator))
        for atom, power in sorted(
            term.powers.items(), key=lambda item: self.place_of(item[0], names)
        ):
            if isinstance(atom, Exp):
                exponent += power * atom.u
            elif isinstance(atom, Total):
                sums += [self.total(atom, names, power)]
            elif isinstance(atom, Root) and _form(atom) not in self.has_odd_power:
                below.append(self.power(self.bracketed(atom.u, names), power // 2))
            elif power > 0:
                above.append(self.power(self.atom(atom, names), power))
            else:
                below.append(self.power(self.atom(atom, names), -power))
        if exponent.terms:
            above.append(self.exp(self.sum(exponent, names)))
        if coefficient.numerator != 1 or not (above or sums):
            above.insert(0, str(coefficient.numerator))
        return self.joined(above, sums, below)

    def place_of(self, atom: Atom, names: Mapping[Index, str]) -> tuple[int, str, list[str]]:
        """Order the factors of a product: sizes, the upstream gradient, entries, the rest."""
        if isinstance(atom, Entry):
            at = [self.place(place, names) for place in atom.at]
            return (1 if atom.array == "dy" else 2, atom.array, at)
        own = sorted(names[index] for index in atom.free_indices)
        return (0 if isinstance(atom, Size | Constant) else 1 + atom.rank, "", own)

    def atom(self, atom: Atom, names: Mapping[Index, str]) -> str:
        if isinstance(atom, Size):
            return self.name(atom.name)
        if isinstance(atom, Constant):
            return self.constant(atom.name)
        if isinstance(atom, Entry):
            return self.indexed(self.name(atom.array), [self.place(p, names) for p in atom.at])
        if isinstance(atom, Delta):
            return self.delta(self.place(atom.a, names), self.place(atom.b, names))
        if isinstance(atom, NotAfter):
            return self.not_after(self.place(atom.a, names), self.place(atom.b, names))
        if isinstance(atom, Root):
            return self.letter(atom, "r", names, lambda text: self.power(f"({text})", "-1/2"))
        if isinstance(atom, Step):
            entry = atom.u.as_entry()
            if entry is not None and entry.array.startswith(TRIANGLE):
                return self.triangle(entry, names)
            if len(atom.u.terms) > 1:
                return self.step(self.letter(atom, "z", names, lambda text: text))
            return self.step(self.sum(atom.u, names))
        if isinstance(atom, Zero):
            return self.zero(self.sum(atom.u, names))
        if isinstance(atom, Log):
            return self.log(self.sum(atom.u, names))
        if isinstance(atom, Function):
            return self.function(atom.name, self.sum(atom.u, names))
        raise TypeError(f"no way to write a {type(atom).__name__}")

    def triangle(self, entry: Entry, names: Mapping[Index, str]) -> str:
        """Write where a place of a matrix is on or below a diagonal: [j ≤ i + 1]."""
        row, column = (self.place(place, names) for place in entry.at)
        offset = entry.array.removeprefix(TRIANGLE)
        return self.not_after(column, f"{row} {offset[0]} {offset[1:]}" if offset else row)

    def letter(
        self,
        atom: Root | Step,
        letter: str,
        names: Mapping[Index, str],
        definition: Callable[[str], str],
    ) -> str:
        """Give a part a letter of its own, and say once what it stands for."""
        indices = _by_axis(atom.free_indices)
        form = (type(atom), _form(atom))
        if form not in self.letter_of:
            used = set(self.letter_of.values())
            self.letter_of[form] = name = next(
                letter + "'" * i for i in range(99) if letter + "'" * i not in used
            )
            own = dict(zip(indices, letters([i.size for i in indices]), strict=True))
            shown = self.indexed(name, [own[i] for i in indices])
            place = len(self.where)
            self.where.insert(place, f"{shown} = {definition(self.sum(atom.u, own))}")
        return self.indexed(self.letter_of[form], [names[i] for i in indices])

    def total(self, atom: Total, names: Mapping[Index, str], power: int) -> str:
        inner = dict(names)
        own = []
        for index in atom.order(_outer_labels(names)):
            inner[index] = self.free_name(index, inner.values())
            own.append(inner[index])
        sizes = [index.size for index in names]
        at = {inner[i]: sizes.index(i.size) if i.size in sizes else len(sizes) for i in atom.bound}
        text = self.summed(
            sorted(own, key=lambda name: (at[name], name)),
            self.term(atom.product, Fraction(1), inner),
        )
        return text if power == 1 else self.power(f"({text})", power)

    def place(self, place: Place, names: Mapping[Index, str]) -> str:
        if isinstance(place, Index):
            return names[place]
        if isinstance(place, Pick):
            return self.indexed(place.name, [self.place(part, names) for part in place.at])
        if isinstance(place, Affine):
            return self.affine(place, names)
        return str(place)

    def affine(self, place: Affine, names: Mapping[Index, str]) -> str:
        """Write the place of an entry of a slice: "i + 1", "2 i", "L - 1 - i"."""
        if place.at is None:
            return self.sum(place.start, {})
        at = self.place(place.at, names)
        at = at if abs(place.step) == 1 else f"{abs(place.step)} {at}"
        if not place.start.terms:
            return at if place.step > 0 else f"-{at}"
        start = self.sum(place.start, {})
        if place.step < 0:
            return f"{start} - {at}"
        return f"{at} - {start[1:].lstrip()}" if start.startswith("-") else f"{at} + {start}"

    def bracketed(self, u: Formula, names: Mapping[Index, str]) -> str:
        return f"({self.sum(u, names)})"

    def constant(self, name: str) -> str:
        """Write a number of many digits, or π."""
        return name

    # what the two styles do differently
    @abstractmethod
    def name(self, name: str) -> str:
        """Write the name of an array or a size."""

    @abstractmethod
    def indexed(self, name: str, places: Sequence[str]) -> str:
        """Write a name with its indices."""

    @abstractmethod
    def power(self, text: str, exponent: int | str) -> str:
        """Write a power."""

    @abstractmethod
    def joined(self, above: list[str], sums: list[str], below: list[str]) -> str:
        """Write a product: factors, sums, and what it is divided by."""

    @abstractmethod
    def summed(self, indices: list[str], text: str) -> str:
        """Write a sum over indices."""

    @abstractmethod
    def delta(self, a: str, b: str) -> str:
        """Write Kronecker's delta."""

    @abstractmethod
    def step(self, text: str) -> str:
        """Write a comparison with 0."""

    @abstractmethod
    def not_after(self, a: str, b: str) -> str:
        """Write that a place comes before another one, or is the same."""

    def zero(self, text: str) -> str:
        """Write that something is 0."""
        return f"[{text} = 0]"

    @abstractmethod
    def exp(self, text: str) -> str:
        """Write an exponential."""

    @abstractmethod
    def log(self, text: str) -> str:
        """Write a logarithm."""

    def function(self, name: str, text: str) -> str:
        """Write a function of a formula."""
        return f"{name}({text})"

    @abstractmethod
    def definitions(self) -> str:
        """Write what the letters stand for."""


class _Plain(_Style):
    def name(self, name: str) -> str:
        return name

    def indexed(self, name: str, places: Sequence[str]) -> str:
        return f"{name}[{', '.join(places)}]" if places else name

    def power(self, text: str, exponent: int | str) -> str:
        if exponent == 1:
            return text
        return f"{text}^{exponent}" if isinstance(exponent, int) else f"{text}^({exponent})"

    def joined(self, above: list[str], sums: list[str], below: list[str]) -> str:
        sums = [f"({text})" for text in sums[:-1]] + sums[-1:]
        if sums and below:
            sums[-1] = f"({sums[-1]})"
        text = " ".join(above + sums) or "1"
        if not below:
            return text
        return f"{text} / {below[0]}" if len(below) == 1 else f"{text} / ({' '.join(below)})"

    def summed(self, indices: list[str], text: str) -> str:
        return f"Σ_{','.join(indices)} {text}"

    def delta(self, a: str, b: str) -> str:
        return f"δ[{a}, {b}]"

    def step(self, text: str) -> str:
        return f"[{text} > 0]"

    def not_after(self, a: str, b: str) -> str:
        return f"[{a} ≤ {b}]"

    def exp(self, text: str) -> str:
        return f"exp({text})"

    def log(self, text: str) -> str:
        return f"log({text})"

    def definitions(self) -> str:
        return "".join(
            f", where {line}" if not i else f", {line}" for i, line in enumerate(self.where)
        )


class _Latex(_Style):
    def name(self, name: str) -> str:
        return latex_name(name)

    def constant(self, name: str) -> str:
        digits, _, exponent = name.replace("π", r"\pi").partition("e")
        return rf"{digits} \cdot 10^{{{int(exponent)}}}" if exponent else digits

    def indexed(self, name: str, places: Sequence[str]) -> str:
        if not places:
            return name
        if "_" in name:
            name = f"{{{name}}}"
        separator = "" if all(len(place) == 1 for place in places) else ","
        return f"{name}_{{{separator.join(places)}}}"

    def power(self, text: str, exponent: int | str) -> str:
        return text if exponent == 1 else f"{{{text}}}^{{{exponent}}}"

    def joined(self, above: list[str], sums: list[str], below: list[str]) -> str:
        sums = [rf"\Bigl({text}\Bigr)" for text in sums[:-1]] + sums[-1:]
        if not below:
            return r"\, ".join(above + sums) or "1"
        short = sum(map(len, above)) < 20
        numerator = (r"\, ".join(above) if short else "") or "1"
        fraction = rf"\frac{{{numerator}}}{{{' '.join(below)}}}"
        return r"\, ".join([fraction, *([] if short else above), *sums])

    def summed(self, indices: list[str], text: str) -> str:
        return rf"\sum_{{{''.join(indices)}}} {text}"

    def delta(self, a: str, b: str) -> str:
        return self.indexed(r"\delta", [a, b])

    def step(self, text: str) -> str:
        return rf"[{text} > 0]"

    def not_after(self, a: str, b: str) -> str:
        return rf"[{a} \le {b}]"

    def exp(self, text: str) -> str:
        return f"e^{{{text}}}"

    def log(self, text: str) -> str:
        return rf"\log\Bigl({text}\Bigr)"

    def function(self, name: str, text: str) -> str:
        known = rf"\{name}" if name in LATEX_FUNCTIONS else rf"\operatorname{{{name}}}"
        return rf"{known}\Bigl({text}\Bigr)"

    def definitions(self) -> str:
        return "".join(
            rf",\quad\text{{where }} {line}" if not i else rf",\quad {line}"
            for i, line in enumerate(self.where)
        )


def _products_in(formula: Formula) -> Iterable[Product]:
    for term in formula.terms:
        yield term
        for atom in term.powers:
            if isinstance(atom, Total):
                yield from _products_in(Formula({atom.product: Fraction(1)}))
            elif isinstance(atom, OfFormula):
                yield from _products_in(atom.u)


def _by_axis(indices: Iterable[Index]) -> list[Index]:
    return sorted(indices, key=lambda index: (str(index.size), index.serial))


def _form(atom: Root | Step) -> object:
    """Return what an atom has in common with the same one at other indices."""
    return atom.u.key({index: (2, -1, i) for i, index in enumerate(_by_axis(atom.free_indices))})


def _outer_labels(names: Mapping[Index, str]) -> dict[Index, tuple[int, int, int]]:
    """Label indices by their names, so that the order of sums depends on nothing else."""
    ordered = sorted(names, key=lambda index: names[index])
    return {index: (2, -1, i) for i, index in enumerate(ordered)}


def _ordered(formula: Formula) -> list[tuple[Product, Fraction]]:
    """Order terms: positive ones first, short ones first, plain numbers last."""
    return sorted(
        formula.terms.items(),
        key=lambda item: (item[0] == NO_FACTORS, item[1] < 0, len(item[0].powers), item[0]._key),
    )
