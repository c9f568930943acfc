"""`bench:COMMAND<=LIMIT`: the statistics on known distributions, and real commands."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from rung.errors import UsageError
from rung.validation.checks import bench, speed
from rung.validation.checks.bench import parse_limit
from tests.validation.conftest import Project, write

TRIALS = 400


def even(source: random.Random) -> float:
    return source.lognormvariate(0, 0.1)


def with_spikes(source: random.Random) -> float:
    """A shared machine: now and then a run takes far longer."""
    return source.lognormvariate(0, 0.05) * (1 if source.random() < 0.8 else source.uniform(1.5, 3))


def decide(source: random.Random, truth: float, noise: Callable[[random.Random], float]) -> str:
    """What pairs of runs come to at threshold 1, looked at as the validator looks at them."""
    ratios: list[float] = []
    for look in speed.LOOKS:
        while len(ratios) < look:
            ratios.append(truth * noise(source) / noise(source))
        side = speed.judge(speed.median_interval(ratios), 1.0)
        if side != "unclear":
            return side
    return "unclear"


@pytest.fixture
def quick_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_RESAMPLES", 200)


@pytest.mark.usefixtures("quick_statistics")
@pytest.mark.parametrize("noise", [even, with_spikes])
def test_what_is_not_faster_is_accepted_at_most_once_in_twenty(
    noise: Callable[[random.Random], float],
) -> None:
    source = random.Random(7)
    accepted = sum(decide(source, 1.0, noise) == "below" for _ in range(TRIALS))
    assert accepted <= TRIALS * 0.05


@pytest.mark.usefixtures("quick_statistics")
@pytest.mark.parametrize("noise", [even, with_spikes])
def test_what_is_a_fifth_faster_is_mostly_accepted(
    noise: Callable[[random.Random], float],
) -> None:
    source = random.Random(7)
    accepted = sum(decide(source, 0.8, noise) == "below" for _ in range(100))
    assert accepted >= 90


def test_the_interval_holds_the_median_and_is_the_same_each_time() -> None:
    ratios = [0.7, 0.9, 0.8, 1.3, 0.85, 0.95, 0.88, 0.91, 0.79, 2.0]
    found = speed.median_interval(ratios)
    assert min(ratios) <= found.low <= found.median <= found.high <= max(ratios)
    assert speed.median_interval(ratios) == found
    assert speed.median_interval([1.0]) == speed.Interval(median=1.0, low=1.0, high=1.0)


@pytest.mark.parametrize(
    ("argument", "command", "limit", "is_ratio"),
    [
        ("python a.py<=1.5", "python a.py", 1.5, False),
        ("python a.py <= 2s", "python a.py", 2.0, False),
        ("a<=b<=0.9x", "a<=b", 0.9, True),
    ],
)
def test_a_limit_is_in_seconds_or_a_ratio(
    argument: str, command: str, limit: float, is_ratio: bool
) -> None:
    found = parse_limit(argument)
    assert (found.command, found.limit, found.is_ratio) == (command, limit, is_ratio)


@pytest.mark.parametrize("argument", ["a<=x", "a<=0x", "a<=-1x", "a<=nanx", "a<=2xs", "<=1x", "a"])
def test_a_limit_that_is_none_is_refused(argument: str) -> None:
    with pytest.raises(UsageError, match="RATIOx"):
        parse_limit(argument)


async def test_a_faster_program_passes_and_a_slower_one_fails(project: Project) -> None:
    write(project.base / "pause.txt", "0.12")
    command = "bench:sleep $(cat pause.txt)<=0.9x"
    verdict = await project.check(command, {"pause.txt": "0.01"})
    assert verdict.result == "pass", verdict.evidence
    assert "10 pairs" in verdict.evidence
    verdict = await project.check(command, {"pause.txt": "0.25"})
    assert verdict.result == "fail"
    assert "not shown" not in verdict.evidence


async def test_without_a_time_of_the_projects_own_there_is_no_comparison(project: Project) -> None:
    verdict = await project.check("bench:cat new.txt<=0.9x", {"new.txt": ""})
    assert verdict.result == "unavailable"
    assert "no comparison" in verdict.evidence


async def test_a_command_that_fails_only_with_the_answer_fails(project: Project) -> None:
    write(project.base / "program.sh", "true\n")
    verdict = await project.check("bench:sh program.sh<=0.9x", {"program.sh": "exit 3\n"})
    assert verdict.result == "fail"
    assert "exit status 3" in verdict.evidence


async def test_too_few_pairs_in_the_time_there_is_show_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_BUDGET_RUNS", 0)
    verdict = await project.check("bench:true<=9x", {"a.txt": ""})
    assert verdict.result == "fail"
    assert "not shown: only 1 pairs" in verdict.evidence
