"""The regression gate: has a run become worse than a recorded one by more than is allowed?

Turns are paired by what they answer, and a limit is broken only if the whole 95 % confidence interval of the difference
(bootstrap over the pairs) lies beyond it; noise alone breaks nothing, and a handful of pairs decides nothing. Pure; it
reads no file.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import InputError
from pipelines.stopwatch.record import Record, TurnRecord
from pipelines.stopwatch.summary import numbered
from pipelines.stopwatch.timeline import Stage

_RESAMPLES = 2_000
_FEWEST = 5  # resampling fewer pairs says nothing about others
_WRITTEN = re.compile(
    r"(?:(?P<stage>[a-z_]+)\.)?(?P<statistic>p50|p95|p99|mean)\s*>\s*(?P<sign>\+?)(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>%|ms)"
)
_RIGHT = "expected 'p95>+10%', 'p50>+30ms', 'p95>600ms' or, of a stage's part of the wait, 'llm_ttft.p50>+20ms'"


class LimitVerdict(StrEnum):
    """What can be said of a limit."""

    BROKEN = "broken"
    KEPT = "kept"
    UNDECIDED = "undecided"
    """The interval holds the limit, or the pairs are too few for one: more turns would tell (`--repeat`)."""


class GateRecord(Record):
    """A limit held against one LLM and mode."""

    limit: str
    """As it was written."""
    llm: str
    """The model, by its name in the catalogue."""
    mode: str
    """The turn mode."""
    pairs: int
    """How many turns were compared, each with its own of the baseline."""
    value: float
    """What the limit speaks of, in its own unit."""
    ci95: tuple[float, float] | None
    """Its 95 % interval; None for a handful of pairs."""
    verdict: LimitVerdict
    """Whether it was kept."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`statistic` of the turn latency, or of one stage's part of it, above `bound`: in ms, relative to the baseline in
    ms, or relative to it in percent.
    """

    text: str
    statistic: str
    stage: str | None
    bound: float
    relative: bool
    percent: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """A limit held against one LLM and mode; `value` and `interval` are in the limit's own unit, the latter None if the
    pairs are too few.
    """

    limit: Limit
    llm: str
    mode: str
    pairs: int
    value: float
    interval: tuple[float, float] | None

    @property
    def verdict(self) -> LimitVerdict:
        """Beyond, within, or neither for sure."""
        if self.interval is None:
            return LimitVerdict.UNDECIDED
        low, high = self.interval
        if low > self.limit.bound:
            return LimitVerdict.BROKEN
        return LimitVerdict.KEPT if high <= self.limit.bound else LimitVerdict.UNDECIDED

    def line(self) -> str:
        """For people."""
        unit = "%" if self.limit.percent else " ms"
        sign = "+" if self.limit.relative else ""
        pairs = f"{self.pairs} pair{'s' if self.pairs != 1 else ''}"
        if self.interval is None:
            sure = f"{pairs}, too few to tell"
        else:
            low, high = (f"{bound:{sign}.1f}" for bound in self.interval)
            sure = f"95 %: {low} to {high}, {pairs}"
        found = f"{self.value:{sign}.1f}{unit} ({sure})"
        more = "; --repeat with more would tell" if self.verdict is LimitVerdict.UNDECIDED else ""
        return f"{self.verdict.value}: {self.limit.text} for {self.llm}, {self.mode}: {found}{more}"

    def record(self) -> GateRecord:
        """For `--json`."""
        return GateRecord(
            limit=self.limit.text,
            llm=self.llm,
            mode=self.mode,
            pairs=self.pairs,
            value=round(self.value, 2),
            ci95=(round(self.interval[0], 2), round(self.interval[1], 2)) if self.interval else None,
            verdict=self.verdict,
        )


def parse_limit(text: str) -> Limit:
    """Read `p95>+10%`. Raises InputError that says what is expected."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None or (match["unit"] == "%" and not match["sign"]):
        raise InputError(f"--fail-if {text!r} is not a valid limit: {_RIGHT}")
    stage = match["stage"]
    if stage is not None and stage not in list(Stage):
        raise InputError(f"--fail-if {text!r}: stage {stage!r} is not one of: {', '.join(Stage)}")
    return Limit(text, match["statistic"], stage, float(match["number"]), bool(match["sign"]), match["unit"] == "%")


def judge(limit: Limit, turns: Sequence[TurnRecord], baseline: Sequence[TurnRecord], llm: str, mode: str) -> Judged:
    """Hold the turns of one LLM and mode against those of the baseline. Raises InputError if no turn has a pair."""
    ours, theirs = (
        {key: value for key, turn in numbered(side) if (value := _value(turn, limit)) is not None}
        for side in (turns, baseline)
    )
    keys = [key for key in ours if key in theirs]
    if not keys:
        raise InputError(f"the baseline holds no completed turn that {llm}, {mode} could be compared with")
    pairs = np.array([(ours[key], theirs[key]) for key in keys])
    value = float(_difference(pairs[None], limit)[0])
    if len(pairs) < _FEWEST:
        return Judged(limit, llm, mode, len(pairs), value, None)
    drawn = pairs[np.random.default_rng(0).integers(0, len(pairs), (_RESAMPLES, len(pairs)))]
    low, high = np.percentile(_difference(drawn, limit), [2.5, 97.5])
    return Judged(limit, llm, mode, len(pairs), value, (float(low), float(high)))


def _value(turn: TurnRecord, limit: Limit) -> float | None:
    return turn.turn_latency_ms if limit.stage is None else turn.share_ms(limit.stage)


def _difference(drawn: NDArray[np.float64], limit: Limit) -> NDArray[np.float64]:
    """What the limit speaks of, for each resample: `drawn` has the shape (resamples, pairs, ours and theirs)."""
    ours, theirs = (_statistic(drawn[:, :, side], limit.statistic) for side in (0, 1))
    if not limit.relative:
        return ours
    if not limit.percent:
        return ours - theirs
    # A stage that took no time before has become infinitely slower if it takes any now.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(theirs > 0, (ours / theirs - 1) * 100, np.where(ours > 0, np.inf, 0.0))


def _statistic(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    if name == "mean":
        return np.asarray(np.mean(values, axis=1))
    return np.asarray(np.percentile(values, float(name[1:]), axis=1))
