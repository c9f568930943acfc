"""`rung learn`, `rung replay` and `rung shadow` as commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rung.cli.learn import command as learn
from rung.cli.replay import command as replay
from rung.cli.shadow import command as shadow
from tests.escalation.replay.worlds import made_up


def run(command: object, *arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))  # type: ignore[arg-type]


@pytest.fixture
def outcomes(tmp_path: Path) -> str:
    world = made_up([0.0, 1.0], [0.001, 0.02], tasks=40)
    lines = ["task,model,passed,cost_usd"]
    for model, right, costs in zip(world.models, world.is_right, world.cost_usd, strict=True):
        lines += [
            f"{task},{model},{int(is_right)},{usd}"
            for task, is_right, usd in zip(world.tasks, right, costs, strict=True)
        ]
    path = tmp_path / "outcomes.csv"
    path.write_text("\n".join(lines))
    return str(path)


def test_replay_prints_every_policy_and_plots(outcomes: str, tmp_path: Path) -> None:
    plot = tmp_path / "plot.svg"
    done = run(replay, outcomes, "--splits", "2", "--plot", str(plot))
    assert done.exit_code == 0
    for name in ("always-biggest", "learned", "online", "oracle", "m0 > m1"):
        assert name in done.output
    assert plot.read_text().startswith("<svg")


def test_replay_as_json_has_the_documented_fields(outcomes: str) -> None:
    done = run(replay, outcomes, "--splits", "2", "--cost-of-review", "1", "--json")
    policy = json.loads(done.output)["policies"][0]
    assert set(policy) == {
        "name", "order", "solved", "cost_usd", "wrong_accepted", "review", "total_usd", "intervals",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "either a CSV file of outcomes or --ledger"),
        (["FILE", "--ledger"], "either a CSV file of outcomes or --ledger"),
        (["FILE", "--columns", "passed"], "pairs of names"),
        (["FILE", "--train", "40"], "between 1 and 39"),
        (["FILE", "--plot", "/nowhere/at/all.svg"], "cannot be written"),
        (["FILE", "--cost-of-review", "nan"], "'nan' is not a number"),
        (["FILE", "--value", "inf"], "not in the range"),
        (["FILE", "--false-accept", "nan"], "'nan' is not a number"),
        (["--ledger"], "the ledger has no 10 tasks that two models did"),
    ],
)
def test_replay_says_what_is_wrong(outcomes: str, arguments: list[str], says: str) -> None:
    done = run(replay, *(outcomes if word == "FILE" else word for word in arguments))
    assert done.exit_code != 0
    assert says in done.output


def test_learning_can_be_shown_before_there_is_anything_to_show() -> None:
    assert "0 attempts" in run(learn, "show").output
    assert json.loads(run(learn, "show", "--type", "critical", "--json").output)["types"]
    assert "nothing to suggest" in run(learn, "suggest").output
    assert "nothing was shadowed" in run(shadow, "list").output


@pytest.mark.parametrize("verb", ["apply", "revert"])
def test_a_suggestion_that_does_not_exist_is_refused(verb: str) -> None:
    done = run(learn, verb, "7")
    assert done.exit_code == 1
    assert "there is no suggestion 7" in done.output


def test_a_label_for_an_unknown_task_is_refused() -> None:
    done = run(learn, "label", "nobody", "right")
    assert done.exit_code == 2
    assert "no attempt of a task 'nobody'" in done.output


def test_reset_asks_first() -> None:
    assert run(learn, "reset").exit_code == 1
    assert "begins anew" in run(learn, "reset", "--yes").output
