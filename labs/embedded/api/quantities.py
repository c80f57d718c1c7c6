"""Quantities ("100m", "1Gi"): read, and written in the one way that the API writes them (apimachinery's pkg/api/resource).

Only computes.
"""

import re
from fractions import Fraction

BAD = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_FORM = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(m|u|n|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][-+]?\d{1,3})?", re.ASCII)
_LONGEST = 400  # letters of a quantity
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"": 0, "Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def value(text: str) -> Fraction | None:
    """A quantity's number; None where the text is none."""
    found = _FORM.fullmatch(text) if len(text) <= _LONGEST else None
    if not found:
        return None
    number, unit = Fraction(found[1].rstrip(".") or "0"), found[2] or ""
    if unit in _DECIMAL:
        return number * Fraction(10) ** _DECIMAL[unit]
    return number * (Fraction(2) ** _BINARY[unit] if unit in _BINARY else Fraction(10) ** int(unit[1:]))


def canonical(text: str) -> str | None:
    """The quantity with the greatest unit that leaves a whole number; None where the text is none."""
    number = value(text)
    if number is None:
        return None
    unit = (_FORM.fullmatch(text) or [""] * 3)[2] or ""
    if unit.endswith("i") and number.denominator == 1 and abs(number) >= 1024:
        units = {name: Fraction(2) ** power for name, power in _BINARY.items()}
    else:
        units = {name: Fraction(10) ** power for name, power in _DECIMAL.items()}
    if number == 0:
        return "0"
    for name, size in sorted(units.items(), key=lambda one: -one[1]):
        if (number / size).denominator == 1:
            if unit[:1] in ("e", "E") and unit not in _DECIMAL and unit not in _BINARY and _DECIMAL[name]:
                return f"{number / size}e{_DECIMAL[name]}"
            return f"{number / size}{name}"
    return f"{-(-number.numerator * 10**9 // number.denominator)}n"  # less than a nano is rounded up


def total(texts: list[str]) -> str:
    """The sum of quantities, in units of the first one's kind."""
    number = sum((value(one) or Fraction(0) for one in texts), Fraction(0))
    kilo = number / 1024
    if texts[0].endswith("i") and kilo.denominator == 1:
        return canonical(f"{kilo}Ki") or "0"
    return canonical(f"{-(-number * 1000 // 1)}m") or "0"
