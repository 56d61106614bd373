"""Checks of single values that come from files, flags and fields.

Each function returns the value in its type, or raises InputError with the field's name, the value
and what is expected. `name` is what the message calls the field: `--repeats` or
`filter.toml: layer 1: opacity`.
"""

import json
import math
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from keypoints.errors import InputError, near_miss

T = TypeVar("T")


def shown(value: Any) -> str:
    """A value as a message shows it: of a long one the start."""
    words = repr(value)
    return words if len(words) <= 80 else f"{words[:77]}..."


def is_number(value: Any) -> bool:
    """Whether `value` is a finite int or float that a float can hold; a bool is none."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def number(value: Any, name: str, *, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number from `low` to `high`."""
    if not is_number(value) or not low <= value <= high:
        raise InputError(f"{name}={shown(value)}: a number{_span(low, high)} is expected")
    return float(value)


def whole(value: Any, name: str, *, low: float = -math.inf, high: float = math.inf) -> int:
    """An integer from `low` to `high`."""
    if type(value) is not int or not is_number(value) or not low <= value <= high:
        raise InputError(f"{name}={shown(value)}: a whole number{_span(low, high)} is expected")
    return value


def _span(low: float, high: float) -> str:
    if math.isinf(high):
        return "" if math.isinf(low) else f" of at least {low:g}"
    return f" of at most {high:g}" if math.isinf(low) else f" from {low:g} to {high:g}"


def numbers(
    value: Any, name: str, count: int, *, low: float = -math.inf, high: float = math.inf
) -> list[float]:
    """A list of `count` finite numbers from `low` to `high`."""
    good = isinstance(value, list | tuple) and len(value) == count
    if not good or not all(is_number(item) and low <= item <= high for item in value):
        raise InputError(f"{name}={shown(value)}: {count} numbers{_span(low, high)} are expected")
    return [float(item) for item in value]


def indices(value: Any, name: str, count: int) -> tuple[int, ...]:
    """A list of at least one of the numbers from 0 to `count` - 1."""
    good = isinstance(value, list | tuple) and len(value) > 0
    if not good or not all(type(item) is int and 0 <= item < count for item in value):
        raise InputError(
            f"{name}={shown(value)}: a list of numbers from 0 to {count - 1} is expected"
        )
    return tuple(value)


def text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name}={shown(value)}: text is expected")
    return value


def one_of(value: Any, name: str, known: Sequence[T]) -> T:
    """The one of `known` that equals `value` and has its type."""
    for choice in known:
        if type(choice) is type(value) and choice == value:
            return choice
    hint = near_miss(str(value), [str(choice) for choice in known])
    raise InputError(f"{name}={shown(value)} is not known{hint}")


def json_value(data: str | bytes, source: str) -> Any:
    """Parse JSON; raises InputError, which names the file `source`."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, too deep, too many digits
        raise InputError(f"{source} is not JSON: {error}") from None


def json_object(data: str | bytes, source: str) -> dict[str, Any]:
    """Parse a JSON object; raises InputError, which names the file `source`, for anything else."""
    values = json_value(data, source)
    if not isinstance(values, dict):
        raise InputError(f"{source} holds {type(values).__name__}, not an object of fields")
    return values


def toml_table(data: bytes, source: str) -> dict[str, Any]:
    """Parse TOML; raises InputError, which names the file `source`."""
    try:
        return tomllib.loads(data.decode("utf-8-sig"))  # Notepad begins files with its mark
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, too deep, too many digits
        raise InputError(f"{source}: invalid TOML: {error}") from None


@dataclass
class Table:
    """A table of a TOML or JSON file whose fields are read one by one.

    `close` raises InputError for fields that were not read. A field without `default` is required.
    """

    name: str  # for messages: the file, and where in it the table is
    content: Any
    known: list[str] = field(default_factory=list)  # fields read so far

    def __post_init__(self) -> None:
        if not isinstance(self.content, dict):
            raise InputError(f"{self.name}: a table is expected, not {shown(self.content)}")

    def take(self, key: str, default: Any = None) -> Any:
        """The value of a field, of any type."""
        self.known.append(key)
        value = self.content.get(key, default)
        if value is None:
            given = ", ".join(self.content) or "nothing"
            raise InputError(f"{self.name}: {key} is missing; given: {given}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        return text(self.take(key, default), f"{self.name}: {key}")

    def one_of(self, key: str, known: Sequence[str], default: str | None = None) -> str:
        return one_of(self.take(key, default), f"{self.name}: {key}", known)

    def number(self, key: str, default: float | None = None, **limits: float) -> float:
        return number(self.take(key, default), f"{self.name}: {key}", **limits)

    def numbers(
        self, key: str, count: int, default: Sequence[float] | None = None, **limits: float
    ) -> list[float]:
        return numbers(self.take(key, default), f"{self.name}: {key}", count, **limits)

    def indices(self, key: str, count: int) -> tuple[int, ...]:
        return indices(self.take(key), f"{self.name}: {key}", count)

    def table(self, key: str) -> "Table":
        return Table(f"{self.name}: {key}", self.take(key))

    def tables(self, key: str, each: str, *, most: int) -> list["Table"]:
        """A list of 1 to `most` tables; `each` is what a message calls one, before its number."""
        value = self.take(key)
        if not isinstance(value, list) or not value:
            raise InputError(f"{self.name}: {key}={shown(value)}: at least one table is expected")
        if len(value) > most:
            raise InputError(f"{self.name}: {len(value)} {key}; at most {most} are expected")
        return [Table(f"{self.name}: {each} {i}", entry) for i, entry in enumerate(value, 1)]

    def close(self) -> None:
        for key in self.content:
            if key not in self.known:
                raise InputError(f"{self.name}: unknown field {key!r}{near_miss(key, self.known)}")
