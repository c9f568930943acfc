"""Outcomes made up for tests: models of known skill on tasks of unknown hardness."""

from __future__ import annotations

import math
import random

from rung.escalation.replay.outcomes import Row, World, world_of


def made_up(
    skills: list[float],
    prices: list[float],
    *,
    tasks: int = 300,
    seed: int = 1,
    spread: float = 1.0,
    drift: tuple[int, float] | None = None,
    types: int = 1,
) -> World:
    """P(right) = sigmoid(skill - hardness). Hardness is shared, so failures are correlated.

    `drift` adds to the skill of one model in the second half of the tasks. A hard task costs more.
    """
    chance, rows = random.Random(seed), list[Row]()
    for task in range(tasks):
        hardness = chance.gauss(0, spread)
        for model, (skill, price) in enumerate(zip(skills, prices, strict=True)):
            now = skill
            if drift is not None and drift[0] == model and task > tasks // 2:
                now += drift[1]
            right = chance.random() < 1 / (1 + math.exp(hardness - now))
            usd = price * math.exp(chance.gauss(-0.3, 0.8)) * (1.3 if hardness > 0 else 0.8)
            kind = f"type{task % types}"
            rows.append(
                Row(task=str(task), model=f"m{model}", is_right=right, cost_usd=usd, task_type=kind)
            )
    return world_of(rows, "made up")
