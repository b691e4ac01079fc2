"""Units: print forms to UCUM, validity of a UCUM code, conversion inside a dimension with exact decimals.

https://ucum.org/ucum (case-sensitive form). Print forms stand in `mappings/tables/units.csv`; here is only what a laboratory,
a ward or a public-health form uses: atoms, metric prefixes, exponents, `.` and `/`, annotations, the two affine temperatures.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from functools import lru_cache

from gateway import builtin

__all__ = ["Unit", "UnitError", "Units", "builtin_units", "convert", "is_valid", "parse"]

SYSTEM = "http://unitsofmeasure.org"

Dimension = tuple[tuple[str, int], ...]
"""Sorted (base, exponent) pairs without zeros; `1` (percent, counts, annotations) is empty."""


class UnitError(ValueError):
    """A code is not UCUM, or two units are not of one dimension; the text says which, in Chinese."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A parsed code: value in base units = value * factor + offset."""

    factor: Fraction
    dimension: Dimension
    offset: Fraction = Fraction(0)


_PREFIXES = dict(
    zip(
        ("Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da", "d", "c", "m", "u", "n", "p", "f", "a"),
        (24, 21, 18, 15, 12, 9, 6, 3, 2, 1, -1, -2, -3, -6, -9, -12, -15, -18),
        strict=True,
    )
)
_METRIC: dict[str, tuple[str, str]] = {  # atom: (factor, base unit expression)
    "m": ("1", "m"),
    "g": ("1", "g"),
    "s": ("1", "s"),
    "K": ("1", "K"),
    "mol": ("1", "mol"),
    "eq": ("1", "mol"),
    "osm": ("1", "mol"),
    "L": ("1/1000", "m3"),
    "l": ("1/1000", "m3"),
    "Pa": ("1000", "g.m-1.s-2"),
    "m[Hg]": ("133322387415/1000", "g.m-1.s-2"),
    "m[H2O]": ("980665/100", "g.m-1.s-2"),
    "N": ("1000", "g.m.s-2"),
    "J": ("1000", "g.m2.s-2"),
    "W": ("1000", "g.m2.s-3"),
    "Hz": ("1", "s-1"),
    "cal": ("4184", "g.m2.s-2"),
    "[Cal]": ("4184000", "g.m2.s-2"),
    "kat": ("1", "mol.s-1"),
    "U": ("1/60000000", "mol.s-1"),
    "[IU]": ("1", "IU"),
    "[iU]": ("1", "IU"),
    "V": ("1000", "g.m2.s-2.C-1"),
    "C": ("1", "C"),
    "Bq": ("1", "s-1"),
    "Gy": ("1", "m2.s-2"),
    "Sv": ("1", "m2.s-2"),
    "t": ("1000000", "g"),
}
_PLAIN: dict[str, tuple[str, str]] = {
    "min": ("60", "s"),
    "h": ("3600", "s"),
    "d": ("86400", "s"),
    "wk": ("604800", "s"),
    "mo": ("2629800", "s"),
    "a": ("31557600", "s"),
    "%": ("1/100", ""),
    "[ppth]": ("1/1000", ""),
    "[ppm]": ("1/1000000", ""),
    "[pH]": ("1", "pH"),
    "[drp]": ("1/20000000", "m3"),
    "[HPF]": ("1", "HPF"),
    "[LPF]": ("1", "LPF"),
    "[in_i]": ("254/10000", "m"),
    "[lb_av]": ("45359237/100000", "g"),
    "[CFU]": ("1", "CFU"),
    "[arb'U]": ("1", "arbU"),
    "[diop]": ("1", "m-1"),
    "deg": ("1", "deg"),
    "B[SPL]": ("1", "SPL"),
    "dB[SPL]": ("1/10", "SPL"),
    "[degF]": ("5/9", "K"),
    "Cel": ("1", "K"),
}
_OFFSET = {"Cel": Fraction(27315, 100), "[degF]": Fraction(45967, 100) * Fraction(5, 9)}
_ATOM = re.compile(r"(10[*^]|[A-Za-z%]*(?:\[[^\][{}\s]+\][A-Za-z]*)*[A-Za-z%]*)([+-]?\d+)?(\{[^{}]*\})?$")
_ANNOTATION = re.compile(r"\{[!-~]*\}$")


@lru_cache(maxsize=4096)
def parse(code: str) -> Unit:
    """The unit a UCUM code stands for. Raises UnitError when the code is not UCUM (as far as known here)."""
    if not code or any(c.isspace() for c in code):
        raise UnitError(f"单位“{code}”不是 UCUM 代码: 为空或含空格")
    if code in _OFFSET:
        size, base = _PLAIN[code]
        return Unit(Fraction(size), ((base, 1),), _OFFSET[code])
    factor, powers, rest = _expression(code, code)
    if rest:
        raise UnitError(f"单位“{code}”不是 UCUM 代码: 在“{rest}”处看不懂")
    return Unit(factor, tuple(sorted((b, n) for b, n in powers.items() if n)))


def _expression(text: str, code: str) -> tuple[Fraction, dict[str, int], str]:
    """Terms joined by `.` and `/`, up to the end or a closing parenthesis; returns what is left."""
    total, powers, sign = Fraction(1), dict[str, int](), 1
    if text.startswith("/"):
        text, sign = text[1:], -1
    while True:
        if text.startswith("("):
            factor, inner, text = _expression(text[1:], code)
            if not text.startswith(")"):
                raise UnitError(f"单位“{code}”不是 UCUM 代码: 缺右括号")
            text = text[1:]
        else:
            end = _term_end(text)
            factor, inner = _term(text[:end], code)
            text = text[end:]
        total *= factor**sign
        for base, n in inner.items():
            powers[base] = powers.get(base, 0) + n * sign
        if not text or text[0] not in "./":
            return total, powers, text
        sign, text = (1 if text[0] == "." else -1), text[1:]


def _term_end(text: str) -> int:
    depth = 0
    for i, c in enumerate(text):
        if c in "[{":
            depth += 1
        elif c in "]}":
            depth -= 1
        elif depth == 0 and c in "./()":
            return i
    return len(text)


def _term(term: str, code: str) -> tuple[Fraction, dict[str, int]]:
    """One component: number, atom with prefix and exponent, annotation."""
    if _ANNOTATION.fullmatch(term):
        return Fraction(1), {}
    if term.isdigit() and int(term):
        return Fraction(int(term)), {}
    match = _ATOM.fullmatch(term)
    if not match or not match[1]:
        raise UnitError(f"单位“{code}”不是 UCUM 代码: “{term or '空'}”不是单位, 请写 UCUM 代码, 如 mmol/L、mm[Hg]、10*9/L")
    exponent = int(match[2] or 1)
    if match[1] in ("10*", "10^"):
        return Fraction(10) ** exponent, {}
    factor, powers = _atom(match[1], code)
    return factor**exponent, {b: n * exponent for b, n in powers.items()}


def _atom(atom: str, code: str) -> tuple[Fraction, dict[str, int]]:
    if atom in _OFFSET:
        raise UnitError(f"单位“{code}”: 温度 {atom} 不能与其他单位相乘除")
    for table in (_PLAIN, _METRIC):
        if atom in table:
            factor, base = table[atom]
            return Fraction(factor), _powers(base)
    for prefix, power in _PREFIXES.items():
        rest = atom.removeprefix(prefix)
        if rest != atom and rest in _METRIC:
            factor, base = _METRIC[rest]
            return Fraction(10) ** power * Fraction(factor), _powers(base)
    raise UnitError(f"单位“{code}”不是 UCUM 代码: 没有“{atom}”这个单位(区分大小写)")


def _powers(base: str) -> dict[str, int]:
    """`g.m-1.s-2` -> {"g": 1, "m": -1, "s": -2}."""
    powers: dict[str, int] = {}
    for part in filter(None, base.split(".")):
        match = re.fullmatch(r"([A-Za-z]+)(-?\d+)?", part)
        assert match is not None
        powers[match[1]] = int(match[2] or 1)
    return powers


def is_valid(code: str) -> bool:
    """Whether the text is a UCUM code."""
    try:
        parse(code)
    except UnitError:
        return False
    return True


def convert(value: Decimal, source: str, target: str, molar_mass: Decimal | None = None) -> Decimal:
    """`value` of UCUM unit `source` in `target`, as exact as the source was: a power of ten only moves the point, any other factor
    keeps the significant digits of the source, three at least.

    molar_mass (g/mol) bridges mass and substance (mg/dL -> mmol/L). Raises UnitError when the dimensions differ.
    """
    if source == target:
        return value
    factor, offset = _ratio(source, target, molar_mass)
    if not offset and (power := _power_of_ten(factor)) is not None:
        moved = value.scaleb(power)
        return moved if int(moved.as_tuple().exponent) <= 0 else moved.quantize(Decimal(1))
    exact = Fraction(value) * factor + offset
    if offset:
        return _rounded(exact, max(1, -int(value.as_tuple().exponent)))
    if not exact:
        return Decimal(0)
    digits = max(3, len(value.as_tuple().digits))
    magnitude = (Decimal(exact.numerator) / Decimal(exact.denominator)).adjusted()
    return _rounded(exact, max(0, digits - 1 - magnitude))


def _rounded(exact: Fraction, places: int) -> Decimal:
    return (Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)


@lru_cache(maxsize=1024)
def _ratio(source: str, target: str, molar_mass: Decimal | None) -> tuple[Fraction, Fraction]:
    """(factor, offset) so that target value = source value * factor + offset."""
    a, b = parse(source), parse(target)
    factor = a.factor / b.factor
    if a.dimension != b.dimension:
        da, db = dict(a.dimension), dict(b.dimension)
        moles = da.pop("mol", 0) - db.pop("mol", 0)
        grams = da.pop("g", 0) - db.pop("g", 0)
        if da != db or not moles or moles != -grams:
            raise UnitError(f"单位 {source} 与 {target} 不是同一量纲, 不能换算; 请核对来源单位")
        if molar_mass is None:
            raise UnitError(f"{source} 换算成 {target} 需要摩尔质量; 请在 items.csv 的 molar_mass 列填写该项目的摩尔质量(g/mol)")
        factor *= Fraction(molar_mass) ** moles
    return factor, (a.offset - b.offset) / b.factor


def _power_of_ten(factor: Fraction) -> int | None:
    """n when factor = 10**n, else None."""
    for number, sign in ((factor.numerator, 1), (factor.denominator, -1)):
        other = factor.denominator if sign == 1 else factor.numerator
        text = str(number)
        if other == 1 and text[0] == "1" and set(text[1:]) <= {"0"}:
            return sign * (len(text) - 1)
    return None


_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_POWER = re.compile(r"^[x×*X✕·]?10(?:\^|\*\*|\*|[eE])?\(?([+-]?\d{1,2})\)?(?=/)")
_FOLD = str.maketrans(
    {"\u03bc": "u", "\u00b5": "u", "／": "/", "％": "%", "（": "(", "）": ")", "·": "."}
    | {"㎡": "m2", "㎎": "mg", "㎏": "kg", "㎜": "mm", "㎝": "cm", "㎖": "mL"}
)


def printed(unit: str) -> str:
    """The print form in one spelling: no blanks, `u` for micro, plain digits, `×10⁹/L` `10E9/L` `10^9/L` as `10*9/L`."""
    text = "".join(unit.split())
    for sign in "⁰¹²³⁴⁵⁶⁷⁸⁹":
        if "10" + sign in text:
            text = text.replace("10" + sign, "10*" + sign, 1)
            break
    text = (
        text.translate(_SUPERSCRIPT)
        .translate(_FOLD)
        .replace("㎎", "mg")
        .replace("㎏", "kg")
        .replace("㎜", "mm")
        .replace("㎝", "cm")
        .replace("㎖", "mL")
    )
    text = text.replace("mmhg", "mmHg").replace("m^2", "m2")
    return _POWER.sub(lambda m: f"10*{int(m[1])}", text)


class Units:
    """A table of print forms (`units.csv`): print, ucum, factor (value in UCUM = printed value * factor; empty = 1)."""

    __slots__ = ("_memo", "_names", "_rows", "_shown")

    def __init__(self, table: bytes) -> None:
        """Reads the table; raises UnitError naming the line when a code is not UCUM or a factor no fraction."""
        self._rows: dict[str, tuple[str, Fraction]] = {}
        self._shown: dict[str, str] = {}
        self._names: dict[str, tuple[str, str] | None] = {}
        self._memo: dict[str, tuple[str, Fraction] | None] = {}
        for line, row in enumerate(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))), start=2):
            try:
                parse(row["ucum"])
                factor = Fraction(row.get("factor") or 1)
                self._rows[printed(row["print"])] = (row["ucum"], factor)
                if factor == 1:
                    self._shown.setdefault(row["ucum"], row["print"])
            except ValueError as e:
                raise UnitError(f"units.csv:{line}: {e}") from e

    def lookup(self, unit: str) -> tuple[str, Fraction] | None:
        """(UCUM code, factor) of a printed unit or a UCUM code; None when it is neither."""
        if unit not in self._memo:
            if len(self._memo) > 10_000:  # senders write free text here: bounded
                self._memo.clear()
            found = self._rows.get(printed(unit))
            if found is None and is_valid(unit.strip()):
                found = (unit.strip(), Fraction(1))
            self._memo[unit] = found
        return self._memo[unit]

    def code(self, unit: str) -> str | None:
        """UCUM code of a printed unit, None when unknown."""
        found = self.lookup(unit)
        return found[0] if found else None

    def names(self, unit: str) -> tuple[str, str] | None:
        """(what people read, UCUM code) of a printed unit that is a UCUM unit as it stands; None for local and unknown units."""
        if unit not in self._names:
            if len(self._names) > 10_000:
                self._names.clear()
            found, plain = self.lookup(unit), unit.strip()
            self._names[unit] = None if found is None or found[1] != 1 else (plain if plain != found[0] else self.shown(found[0]), found[0])
        return self._names[unit]

    def shown(self, code: str) -> str:
        """How people write a UCUM code: its first row in the table, else the code itself."""
        return self._shown.get(code, code)

    def convert(self, value: Decimal, source: str, target: str, molar_mass: Decimal | None = None) -> Decimal:
        """`value` from one printed unit or UCUM code into another; raises UnitError when unknown or of another dimension."""
        (a, fa), (b, fb) = self._known(source), self._known(target)
        if fa != fb:
            factor = fa / fb
            digits = max(3, len(value.as_tuple().digits))
            exact = Fraction(value) * factor
            magnitude = (Decimal(exact.numerator) / Decimal(exact.denominator)).adjusted() if exact else 0
            value = _rounded(exact, max(0, digits - 1 - magnitude))
        return convert(value, a, b, molar_mass)

    def _known(self, unit: str) -> tuple[str, Fraction]:
        found = self.lookup(unit)
        if found is None:
            raise UnitError(f"不认识单位“{unit}”; 请在 mappings/tables/units.csv 加一行(打印写法, UCUM 代码)")
        return found


@lru_cache(maxsize=1)
def builtin_units() -> Units:
    """The built-in table."""
    return Units((builtin.MAPPINGS / "tables" / "units.csv").read_bytes())
