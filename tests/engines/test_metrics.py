from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rung.engines.metrics import EngineMetrics, read_metrics, read_samples

VLLM = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a {b} c"} 2.0
vllm:num_requests_running{engine="1",model_name="a {b} c"} 1.0
vllm:num_requests_waiting{engine="0",model_name="m"} 3.0 1795250989000
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 5e-1
vllm:time_to_first_token_seconds_bucket{le="+Inf",model_name="m"} 7.0
"""
LLAMA = "llamacpp:requests_processing 1\nllamacpp:requests_deferred 0\n"


def test_replicas_are_summed_and_the_fullest_cache_counts() -> None:
    assert read_metrics(VLLM) == EngineMetrics(
        requests_running=3, requests_waiting=3, kv_cache_usage=0.5
    )


def test_llama_server_has_names_of_its_own() -> None:
    busy = read_metrics(LLAMA)
    assert (busy.requests_running, busy.requests_waiting, busy.is_idle) == (1, 0, False)


def test_what_is_not_told_is_unknown_and_does_not_look_busy() -> None:
    assert read_metrics("nonsense\n\nvllm:num_requests_running NaN\n") == EngineMetrics()
    assert EngineMetrics().is_idle


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert all(values for values in read_samples(text).values())
