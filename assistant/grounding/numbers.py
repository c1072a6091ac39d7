"""How a measurement is written, and which other ways of writing it say the same."""

from __future__ import annotations

import math

from assistant.records import Measurement

_DIGITS: dict[str, tuple[tuple[float, int], ...]] = {
    # unit: (from this magnitude on, decimals), largest first; RECIST 1.1 (section 4.2) writes whole millimetres.
    "mL": ((100.0, 0), (1.0, 1), (0.0, 2)),
    "L": ((0.0, 2),),
    "mm": ((10.0, 0), (0.0, 1)),
    "cm": ((1.0, 1), (0.0, 2)),
    "mm2": ((0.0, 0),),
    "cm2": ((0.0, 1),),
    "HU": ((0.0, 0),),
    "%": ((0.0, 1),),
    "degrees": ((0.0, 0),),
    "slices": ((0.0, 0),),
    "s": ((0.0, 1),),
}
_SHOWN = {"mm2": "mm²", "cm2": "cm²"}
_SAME_SIZE: dict[str, tuple[tuple[str, float], ...]] = {
    "mL": (("L", 1e-3),),
    "L": (("mL", 1e3),),
    "mm": (("cm", 0.1),),
    "cm": (("mm", 10.0),),
    "mm2": (("cm2", 0.01),),
    "cm2": (("mm2", 100.0),),
}
COUNTS = frozenset({"count"})
"""Quantities of unit '1' that are whole by nature; every other quantity of unit '1' has two decimals."""

UNIT_WORDS = {
    "ml": "mL", "millilitre": "mL", "millilitres": "mL", "milliliter": "mL", "milliliters": "mL",
    "cc": "mL", "cm3": "mL", "cm³": "mL",
    "l": "L", "litre": "L", "litres": "L", "liter": "L", "liters": "L",
    "mm": "mm", "millimetre": "mm", "millimetres": "mm", "millimeter": "mm", "millimeters": "mm",
    "cm": "cm", "centimetre": "cm", "centimetres": "cm", "centimeter": "cm", "centimeters": "cm",
    "mm2": "mm2", "mm²": "mm2", "cm2": "cm2", "cm²": "cm2",
    "hu": "HU", "%": "%", "percent": "%", "slices": "slices", "slice": "slices",
    "degrees": "degrees", "degree": "degrees", "°": "degrees", "s": "s", "seconds": "s",
}  # fmt: skip
"""Units as people write them, lower case, to the units of records."""


def format_measurement(measurement: Measurement) -> str:
    """Write a measurement with its unit: '1,523 mL', '25 mm', '6.4 mm', '-105 HU', '12.3%', '3'.

    Rounding is fixed per unit and magnitude. Raises ValueError for a unit without a rule or a value that is not finite.
    """
    number = _number(measurement.value, measurement.unit, measurement.quantity)
    return _with_unit(number, measurement.unit)


def readings(measurement: Measurement) -> frozenset[tuple[str, str]]:
    """All (number without thousands separators, unit) pairs that state this measurement truly.

    The rendering itself and the same value in a sister unit (mm and cm, mL and L), each at its own fixed rounding.
    """
    pairs = [(measurement.unit, 1.0), *_SAME_SIZE.get(measurement.unit, ())]
    numbers = [(_number(measurement.value * factor, unit, measurement.quantity), unit) for unit, factor in pairs]
    return frozenset((number.replace(",", ""), unit) for number, unit in numbers)


def _number(value: float, unit: str, quantity: str) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{quantity} is {value}: only a finite value can be written.")
    decimals = _decimals(value, unit, quantity)
    text = f"{value:,.{decimals}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def _decimals(value: float, unit: str, quantity: str) -> int:
    if unit == "1":
        return 0 if quantity in COUNTS else 2
    if unit not in _DIGITS:
        raise ValueError(f"{quantity} has the unit {unit!r}: units with a rule are {', '.join([*_DIGITS, '1'])}.")
    rules = _DIGITS[unit]
    finest = rules[0][1]
    for (magnitude, decimals), (_, finer) in zip(rules, (*rules[1:], rules[-1]), strict=True):
        # 9.97 mm would read "10.0 mm" by the finer rule, so it is "10 mm".
        if round(abs(value), finer) >= magnitude:
            return decimals
        finest = decimals
    return finest


def _with_unit(number: str, unit: str) -> str:
    if unit == "1":
        return number
    if unit == "slices" and number == "1":
        return "1 slice"
    return f"{number}%" if unit == "%" else f"{number} {_SHOWN.get(unit, unit)}"
