"""What is searched, in Hydra's grammar: interval (real), range (whole), choice, and tag(log, ...).

A range leaves its stop out, as it does in `thesisbench train -m`; with a step that is not whole it
is one of real numbers. `int(interval(1,9))` is whole and keeps both ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hydra.core.override_parser.types import Glob, IntervalSweep, Override, RangeSweep

from thesisbench.compose import Composer
from thesisbench.errors import UserError
from thesisbench.selection import changes_runs

ORIGIN = "search-hparams"
DIGITS = 12  # of a value on a grid, which arithmetic would else blur
NO_HYPER_PARAMETER = {
    "experiment": "a search has one recipe",
    "seed": "seeds are replicates; --seeds 0-2 averages over them",
}


@dataclass(frozen=True)
class Parameter:
    """One hyper-parameter.

    Attributes:
        key: of its overrides, as written ("+optimizer.nesterov"). choices: texts it may have;
            else it is a number of `low` to `high`, both included.
        step: of a grid; None for all real numbers. log: drawn from the logarithm.
    """

    key: str
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain data, the same for the same parameter."""
        return {**asdict(self), "choices": list(self.choices)}

    def override(self, value: Any) -> str:
        """The override that sets it to a value.

        >>> Parameter("lr", low=0.1, high=0.4, step=0.1).override(0.30000000000000004)
        'lr=0.3'
        """
        if isinstance(value, float) and self.step is not None:
            value = round(value, DIGITS)
        return f"{self.key}={value}"

    def examples(self) -> list[str]:
        """Overrides that show whether it may have these values: all choices, or both ends."""
        return [self.override(value) for value in self.choices or (self.low, self.high)]

    def distribution(self) -> Any:
        """The same for Optuna."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.choices:
            return CategoricalDistribution(self.choices)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return IntDistribution(self.low, self.high, log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True)
class Space:
    """What is searched and what is fixed.

    Attributes:
        parameters: sorted by key. fixed: overrides that all runs share.
    """

    parameters: tuple[Parameter, ...]
    fixed: tuple[str, ...]

    @classmethod
    def of(cls, composer: Composer, words: Sequence[str]) -> Space:
        """Reads overrides, sweeps among them.

        Raises:
            UserError: words of another grammar, nothing to search, or what no search can vary.
        """
        overrides = composer.parse(words, ORIGIN)
        twice = [k for k, n in Counter(o.key_or_group for o in overrides).items() if n > 1]
        if twice:
            raise UserError(f"{ORIGIN}: {twice[0]!r} is given twice")
        searched = [_parameter(composer, o) for o in overrides if o.is_sweep_override()]
        fixed = tuple(str(o.input_line) for o in overrides if not o.is_sweep_override())
        if not searched:
            text = "key=interval(0.1,1), range(1,9), choice(a,b) or tag(log,interval(1e-4,1))"
            raise UserError(f"{ORIGIN}: nothing to search; give {text}")
        return cls(tuple(sorted(searched, key=lambda p: p.key)), fixed)

    def line(self, values: dict[str, Any]) -> list[str]:
        """The overrides of a trial."""
        return [*self.fixed, *(p.override(values[p.key]) for p in self.parameters)]

    def examples(self) -> Iterator[list[str]]:
        """Lines in which each parameter has each of its examples once."""
        first = {p.key: p.examples()[0] for p in self.parameters}
        for parameter in self.parameters:
            for example in parameter.examples():
                yield [*self.fixed, *{**first, parameter.key: example}.values()]


def _parameter(composer: Composer, override: Override) -> Parameter:
    value, text = override.value(), f"{ORIGIN}: {override.input_line!r}"
    name = override.key_or_group
    if name in NO_HYPER_PARAMETER:
        raise UserError(f"{text}: {name} is no hyper-parameter; {NO_HYPER_PARAMETER[name]}")
    if not changes_runs(name):
        raise UserError(f"{text}: {name} changes no result; give it one value")
    tags = set(getattr(value, "tags", None) or ())
    if unknown := tags - {"log"}:
        raise UserError(f"{text}: unknown tag {sorted(unknown)[0]!r}; valid: log")
    key = override.get_key_element()
    if isinstance(value, IntervalSweep):
        found = Parameter(key, low=value.start or 0, high=value.end or 0, log="log" in tags)
    elif isinstance(value, RangeSweep):
        found = _range(key, value, text, log="log" in tags)
    elif tags:
        raise UserError(f"{text}: choices have no logarithm; log is for intervals and ranges")
    else:
        return Parameter(key, choices=_choices(composer, override, text))
    if found.low >= found.high:
        raise UserError(f"{text} has fewer than two values; nothing to search")
    if found.log and found.low <= 0:
        raise UserError(f"{text}: a logarithm needs numbers above 0")
    return found


def _range(key: str, value: RangeSweep, text: str, *, log: bool) -> Parameter:
    values = sorted(_numbers(value))
    if len(values) < 2:
        raise UserError(f"{text} has fewer than two values; nothing to search")
    step = abs(value.step)
    if log and step != 1:
        raise UserError(f"{text}: a range with a logarithm has no step; use tag(log,interval(..))")
    if any(isinstance(number, float) for number in (value.start, value.step)):
        return Parameter(key, low=float(values[0]), high=float(values[-1]), step=float(step))
    return Parameter(key, low=int(values[0]), high=int(values[-1]), step=int(step), log=log)


def _numbers(value: RangeSweep) -> Iterator[float]:
    """What a range goes through, its stop left out."""
    number, n = value.start or 0, 0
    while number < value.stop if value.step > 0 else number > value.stop:  # type: ignore[operator]
        yield round(number, DIGITS)
        n += 1
        number = (value.start or 0) + n * value.step


def _choices(composer: Composer, override: Override, text: str) -> tuple[str, ...]:
    value = override.value()
    if isinstance(value, Glob):
        found = value.filter(composer.options(override.key_or_group))
    else:
        found = [str(choice) for choice in override.sweep_string_iterator()]
    found = list(dict.fromkeys(found))
    if len(found) < 2:
        raise UserError(f"{text} has fewer than two values; nothing to search")
    return tuple(found)
