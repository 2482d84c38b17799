"""What is known of one hyperparameter: its rule, how a typed value is checked, and how it is shown."""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from adapters.errors import RecipeError

Kind = Literal["int", "float", "bool", "choice", "modules", "adapter"]
Group = Literal["main", "schedule", "data", "memory", "record"]

GROUP_TITLES: dict[Group, str] = {
    "main": "What is learned",
    "schedule": "How it is learned",
    "data": "What it is learned from",
    "memory": "Memory and precision",
    "record": "What is written down",
}

_ADAPTER = re.compile(r"[A-Za-z0-9][\w-]*@[1-9][0-9]*")

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class HyperparameterInfo:
    """One hyperparameter as a person meets it.

    Args:
        name: the field of `Hyperparameters`.
        label: short name for the form.
        group: the part of the form it stands in.
        kind: what is typed in.
        default: value when no recipe says otherwise.
        explanation: what it does, in plain words.
        minimum: least value allowed.
        maximum: greatest value allowed.
        choices: allowed words, for kind ``choice``.
        usual: the range seldom left with success, for `unusual`.
        advice: what to expect outside the usual range.
    """

    name: str
    label: str
    group: Group
    kind: Kind
    default: Any
    explanation: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    usual: tuple[float, float] | None = None
    advice: str = ""

    @property
    def rule(self) -> str:
        """The rule in words, e.g. ``a whole number from 1 to 256``."""
        match self.kind:
            case "bool":
                return "true or false"
            case "choice":
                return "one of " + ", ".join(self.choices)
            case "modules":
                return "module names separated by commas, or empty to choose by architecture"
            case "adapter":
                return "the name of an adapter, such as patient@1, or empty to start afresh"
            case "int":
                return f"a whole number from {self.minimum:g} to {self.maximum:.10g}"
            case "float":
                return f"a number from {self.minimum:g} to {self.maximum:g}"

    def parse(self, value: object) -> Any:
        """Turn what was typed (or read from YAML, JSON) into the checked value.

        Raises:
            RecipeError: it breaks the rule.
        """
        match self.kind:
            case "bool":
                return self._parse_bool(value)
            case "choice":
                word = str(value).strip().lower()
                if word not in self.choices:
                    self._refuse(value)
                return word
            case "modules":
                return _parse_names(value)
            case "adapter":
                return self._parse_adapter(value)
            case _:
                return self._parse_number(value)

    def unusual(self, value: float) -> str | None:
        """A hint when a number is allowed but seldom wise; None when it is ordinary."""
        if self.usual is None or self.usual[0] <= value <= self.usual[1]:
            return None
        low, high = self.usual
        return f"{self.label} {value:g} is outside the usual {low:g} to {high:g}: {self.advice}"

    def _parse_bool(self, value: object) -> bool:
        word = str(value).strip().lower()
        if word not in _TRUE + _FALSE:
            self._refuse(value)
        return word in _TRUE

    def _parse_adapter(self, value: object) -> str:
        name = "" if value is None else str(value).strip()
        if name and not _ADAPTER.fullmatch(name):
            self._refuse(value)
        return name

    def _parse_number(self, value: object) -> float | int:
        try:
            number = float(str(value).strip())
        except ValueError:
            self._refuse(value)
        low, high = self.minimum, self.maximum
        inside = (low is None or number >= low) and (high is None or number <= high)
        if not (math.isfinite(number) and inside):
            self._refuse(value)
        if self.kind == "float":
            return number
        if not number.is_integer():
            self._refuse(value)
        return int(number)

    def _refuse(self, value: object) -> NoReturn:
        raise RecipeError(
            f"{self.name} must be {self.rule}, but it is {str(value)[:60]!r}. "
            f"The default is {show_value(self.default)!r}."
        )


def _parse_names(value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise RecipeError(f"target_modules must be names separated by commas, but it is {str(value)[:60]!r}.")
    return tuple(dict.fromkeys(str(part).strip() for part in parts if str(part).strip()))


def show_value(value: object) -> str:
    """A value as a person types it: ``0.0002``, ``true``, ``q_proj,v_proj``."""
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
