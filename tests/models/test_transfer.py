"""Bytes over networks that fail: what is sent, what is kept, what is given up."""

from pathlib import Path

import pytest

from rung.errors import ModelError
from rung.models.transfer import Patience, Remote, transfer
from tests.fakes.hub import COMMIT, FakeHub, Fault
from tests.models.hub import FILE, GGUF, REPO
from tests.pulling import QUICK

SIZE = len(GGUF)
HALF = SIZE // 2
BUFFERED = 1 << 18  # what a broken connection may take with it


def remote(hub: FakeHub, token: str = "") -> Remote:
    return Remote(
        url=f"{hub.url}/{REPO}/resolve/{COMMIT}/{FILE}",
        headers={"Authorization": f"Bearer {token}"} if token else {},
        size_bytes=SIZE,
        title="tiny",
    )


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "weights.partial"


async def test_a_file_comes_whole_in_one_request(hub: FakeHub, target: Path) -> None:
    await transfer(remote(hub), target, QUICK)
    assert target.read_bytes() == GGUF
    assert (len(hub.cdn), hub.sent_bytes) == (1, SIZE)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(drop_after=HALF),
        Fault(short_after=HALF),
        Fault(stall_after=HALF),
    ],
    ids=["dropped", "short", "stalled"],
)
async def test_after_a_break_it_goes_on_where_it_was(
    fault: Fault, hub: FakeHub, target: Path
) -> None:
    hub.faults = [fault]
    await transfer(remote(hub), target, Patience(stall_s=0.3, first_wait_s=0.01))
    assert target.read_bytes() == GGUF
    assert SIZE <= hub.sent_bytes <= SIZE + BUFFERED
    first, second = (asked.range for asked in hub.cdn)
    assert first == ""
    assert HALF - BUFFERED <= int(second.removeprefix("bytes=").rstrip("-")) <= HALF
    assert hub.cdn[1].headers["if-range"].startswith('"')


async def test_bytes_of_an_earlier_process_are_gone_on_from(hub: FakeHub, target: Path) -> None:
    hub.faults = [Fault(drop_after=HALF), *[Fault(status=503)] * 20]
    with pytest.raises(ModelError, match=f"of {SIZE:,} bytes.*What has come is kept"):
        await transfer(remote(hub), target, QUICK)
    hub.faults = []
    await transfer(remote(hub), target, QUICK)
    assert target.read_bytes() == GGUF
    assert SIZE <= hub.sent_bytes <= SIZE + BUFFERED


async def test_a_server_that_sends_no_parts_is_read_from_the_start(
    hub: FakeHub, target: Path
) -> None:
    hub.faults = [Fault(drop_after=HALF), Fault(ignores_range=True)]
    await transfer(remote(hub), target, QUICK)
    assert target.read_bytes() == GGUF
    assert hub.sent_bytes == HALF + SIZE


async def test_another_version_of_the_file_is_fetched_from_the_start(
    hub: FakeHub, target: Path
) -> None:
    hub.faults = [Fault(drop_after=HALF, etag='"older"')]
    await transfer(remote(hub), target, QUICK)
    assert target.read_bytes() == GGUF
    assert hub.cdn[1].headers["if-range"] == '"older"'
    assert hub.sent_bytes == HALF + SIZE


async def test_a_part_of_another_version_is_not_joined_to_ours(hub: FakeHub, target: Path) -> None:
    hub.faults = [Fault(drop_after=HALF, etag='W/"older"'), Fault(etag='W/"newer"')]
    await transfer(remote(hub), target, QUICK)
    assert target.read_bytes() == GGUF
    assert "if-range" not in hub.cdn[1].headers
    assert hub.cdn[2].range == ""


async def test_more_bytes_here_than_there_is_a_new_start(hub: FakeHub, target: Path) -> None:
    target.write_bytes(bytes(HALF))
    hub.repos[REPO][FILE] = GGUF[:HALF]
    hub.faults = [Fault(), Fault(extra=GGUF[HALF:])]
    await transfer(remote(hub), target, QUICK)
    assert target.read_bytes() == GGUF


async def test_more_bytes_than_stated_are_never_kept(hub: FakeHub, target: Path) -> None:
    hub.faults = [Fault(extra=b"x" * 100)]
    with pytest.raises(ModelError, match="sends more than the"):
        await transfer(remote(hub), target, QUICK)
    assert not target.exists()


async def test_failures_without_progress_are_counted_and_end(hub: FakeHub, target: Path) -> None:
    hub.faults = [Fault(status=503)] * 50
    with pytest.raises(ModelError, match="answered 503"):
        await transfer(remote(hub), target, QUICK)
    assert len(hub.cdn) == QUICK.failures + 1


async def test_a_server_that_drops_every_few_bytes_is_given_up(hub: FakeHub, target: Path) -> None:
    hub.faults = [Fault(drop_after=10)] * 500
    with pytest.raises(ModelError, match="failed 5 times without progress"):
        await transfer(remote(hub), target, QUICK)


async def test_real_progress_gives_new_patience(hub: FakeHub, target: Path) -> None:
    patience = Patience(stall_s=2, first_wait_s=0.01, longest_wait_s=0.02, failures=3)
    few, many = Fault(short_after=1), Fault(short_after=1 << 20)
    hub.faults = [few] * 4
    with pytest.raises(ModelError):
        await transfer(remote(hub), target, patience)
    hub.faults = [few, few, many, few, few]
    await transfer(remote(hub), target, patience)
    assert target.read_bytes() == GGUF


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "refuses access.*HF_TOKEN"),
        (403, "refuses access.*HF_TOKEN"),
        (404, "does not have it any more"),
        (418, "answered 418"),
    ],
)
async def test_a_refusal_is_not_asked_again(
    status: int, message: str, hub: FakeHub, target: Path
) -> None:
    hub.faults = [Fault(status=status)] * 5
    with pytest.raises(ModelError, match=message):
        await transfer(remote(hub), target, QUICK)
    assert len(hub.cdn) == 1


async def test_the_token_is_for_the_hub_alone_and_in_no_error(hub: FakeHub, target: Path) -> None:
    hub.token = "hf_secret"
    await transfer(remote(hub, "hf_secret"), target, QUICK)
    assert [asked.token for asked in hub.asked] == ["Bearer hf_secret"]
    assert [asked.token for asked in hub.cdn] == [""]
    target.unlink()
    hub.faults = [Fault(status=403)]
    with pytest.raises(ModelError) as failure:
        await transfer(remote(hub, "hf_secret"), target, QUICK)
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://[x",
        "https://x:99999/",
    ],
)
async def test_a_redirect_to_an_unprotected_place_is_refused(
    address: str, hub: FakeHub, target: Path
) -> None:
    hub.faults = [Fault(redirect=address)]
    with pytest.raises(ModelError, match="redirects to an unprotected address"):
        await transfer(remote(hub), target, QUICK)


async def test_redirects_in_a_circle_end(hub: FakeHub, target: Path) -> None:
    hub.faults = [Fault(redirect=f"{hub.cdn_url}/round")] * 20
    with pytest.raises(ModelError, match="more than 5 redirects"):
        await transfer(remote(hub), target, QUICK)


def test_waits_double_up_to_a_limit_and_follow_the_server() -> None:
    patience = Patience(first_wait_s=1, longest_wait_s=8)
    for failures, wait in enumerate((1, 2, 4, 8, 8), start=1):
        assert 0.75 * wait <= patience.wait_s(failures) <= 1.25 * wait
    assert patience.wait_s(1, 30) == 30
    assert patience.wait_s(1, 10_000) == 80
