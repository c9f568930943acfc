from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.engines.llamacpp.router import RouterNews, Size, named, read_entries

quick = settings(deadline=None, max_examples=50)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    ["id", "status", "value", "args", "exit_code", "progress", "done", "total", "meta", "aliases"]
)
ENTRY = st.dictionaries(FIELDS, st.dictionaries(FIELDS, JSON, max_size=2) | JSON, max_size=4)


def entry(state: str, **status: Any) -> dict[str, Any]:
    return {"id": "m", "aliases": ["n"], "status": {"value": state, **status}}


@pytest.mark.parametrize(
    ("state", "is_ready", "is_running"),
    [
        ("loaded", True, True),
        ("sleeping", True, True),
        ("loading", False, True),
        ("unloaded", False, False),
        ("downloading", False, False),
        ("downloaded", False, False),
        ("a state of tomorrow", False, False),
    ],
)
def test_the_states_of_a_router(state: str, is_ready: bool, is_running: bool) -> None:
    (read,) = read_entries({"data": [entry(state)]})
    assert (read.is_router, read.is_ready, read.is_running) == (True, is_ready, is_running)


@pytest.mark.parametrize(("meta", "is_ready"), [({"n_params": 1}, True), (None, False)])
def test_one_model_is_ready_when_its_meta_is_there(meta: Any, is_ready: bool) -> None:
    (read,) = read_entries({"data": [{"id": "m", "owned_by": "llamacpp", "meta": meta}]})
    assert (read.is_router, read.is_ready) == (False, is_ready)


def test_a_model_is_found_by_its_id_and_by_its_aliases() -> None:
    entries = read_entries({"data": [entry("loaded")]})
    assert named(entries, "m") == named(entries, "n") == entries[0]
    assert named(entries, "o") is None


def test_a_download_is_the_sum_of_its_files_wherever_the_progress_stands() -> None:
    files = {"https://a/1": {"done": 5, "total": 10}, "https://a/2": {"done": 1, "total": 20}}
    (in_status,) = read_entries({"data": [entry("downloading", progress=files)]})
    (beside,) = read_entries({"data": [{**entry("downloading"), "progress": files}]})
    assert in_status.size == beside.size == Size(6, 30)


def test_a_load_may_be_told_in_the_list_too() -> None:
    progress = {"stages": ["text_model"], "current": "text_model", "value": 0.5}
    (read,) = read_entries({"data": [entry("loading", progress=progress)]})
    assert (read.share, read.size) == (0.5, None)


@quick
@given(st.lists(ENTRY | JSON, max_size=3))
def test_any_list_is_read_without_an_error(data: list[Any]) -> None:
    assert all(read.id for read in read_entries({"data": data}))


def told(*events: dict[str, Any]) -> RouterNews:
    news = RouterNews("m")
    for event in events:
        news.take(json.dumps(event).encode())
    return news


def loading(value: object, current: str = "text_model") -> dict[str, Any]:
    progress = {"stages": ["text_model", "mmproj"], "current": current, "value": value}
    return {"model": "m", "event": "model_status", "data": {"progress": progress}}


def test_a_load_goes_through_its_stages() -> None:
    assert told(loading(0.5)).share == 0.25
    assert told(loading(0.5, "mmproj")).share == 0.75
    assert told(loading(0.5, "a stage of tomorrow")).share == 0.25


def test_the_end_of_a_download_is_told() -> None:
    assert told({"model": "m", "event": "download_finished"}).has_finished
    assert told({"model": "m", "event": "download_failed"}).has_failed


def test_news_of_other_models_are_none() -> None:
    other = told({**loading(0.5), "model": "other"}, {"model": "other", "event": "download_failed"})
    assert (other.share, other.has_failed) == (None, False)


@quick
@given(JSON)
def test_any_event_is_taken_without_an_error(data: Any) -> None:
    news = told({"model": "m", "data": data}, loading(data))
    assert news.share is None or 0 <= news.share <= 1
