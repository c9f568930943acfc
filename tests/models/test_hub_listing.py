import hashlib
import json

import pytest

from rung.config.settings import HubSettings, Secret
from rung.errors import ModelError, UsageError
from rung.models.catalogue import CatalogueModel, HubSource
from rung.models.hub_listing import RemoteGguf, choose, describe_hub, quantization_of
from rung.models.sources import HubFile, parse_source
from tests.fakes.hub import COMMIT, FakeHub
from tests.models.hub import FILE, GGUF, REPO, SOURCE
from tests.pulling import QUICK


async def described(source: str, hub: FakeHub, token: str = "") -> CatalogueModel:
    wanted = parse_source(source)
    assert isinstance(wanted, HubFile)
    return await describe_hub(wanted, HubSettings(url=hub.url, token=Secret(token)), QUICK)


async def test_a_file_is_described_with_commit_size_and_hash(hub: FakeHub) -> None:
    entry = await described(SOURCE, hub)
    assert entry.id == "tiny-q4_0"
    assert entry.file == "tiny-q4_0.gguf"
    assert entry.quantization == "Q4_0"
    assert entry.size_bytes == len(GGUF)
    assert entry.sha256 == hashlib.sha256(GGUF).hexdigest()
    assert entry.source == HubSource(repo=REPO, path=FILE, revision=COMMIT)


@pytest.mark.parametrize("source", [f"hf:{REPO}", f"hf:{REPO}:q4_0", f"hf:{REPO}:Q4_0@v1"])
async def test_the_one_file_that_fits_needs_no_name(source: str, hub: FakeHub) -> None:
    assert (await described(source, hub)).file == "tiny-q4_0.gguf"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (f"hf:{REPO}/other.gguf", r"there is no 'other\.gguf'(.|\n)*tiny-Q4_0\.gguf  \(0\.00 GB\)"),
        (f"hf:{REPO}:Q8_0", r"there is no 'Q8_0'; name one of these"),
        (f"hf:{REPO}@nowhere", "has no revision 'nowhere'"),
        ("hf:org/no--name", "is no name of a repository"),
        ("hf:org/other", r"no such repository without a token \(set HF_TOKEN\)"),
    ],
)
async def test_what_is_not_there_is_named_with_what_is(
    source: str, message: str, hub: FakeHub
) -> None:
    with pytest.raises(ModelError, match=message):
        await described(source, hub)


async def test_a_gated_repository_says_where_to_accept_its_terms(hub: FakeHub) -> None:
    hub.gated.add(REPO)
    with pytest.raises(ModelError, match=rf"is gated: accept its terms at {hub.url}/{REPO}"):
        await described(SOURCE, hub)


async def test_a_token_is_sent_and_never_shown(hub: FakeHub) -> None:
    hub.token = "hf_right"
    assert (await described(SOURCE, hub, "hf_right")).size_bytes == len(GGUF)
    with pytest.raises(ModelError, match="with the token that is set") as failure:
        await described(SOURCE, hub, "hf_wrong")
    assert "hf_wrong" not in str(failure.value)


async def test_without_a_token_of_rungs_own_none_is_sent(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_another_tool")
    await described(SOURCE, hub)
    assert [asked.token for asked in hub.asked] == [""]


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("http://huggingface.co", ""),
        ("http://192.168.1.2:8080", "hf_secret"),
        ("ftp://127.0.0.1", ""),
        ("huggingface.co", ""),
    ],
)
async def test_an_unprotected_hub_is_refused_before_it_is_asked(url: str, token: str) -> None:
    with pytest.raises(UsageError, match="must be an https:// address"):
        settings = HubSettings(url=url, token=Secret(token))
        await describe_hub(HubFile(repo="o/r"), settings, QUICK)


async def test_a_busy_hub_is_asked_again(hub: FakeHub) -> None:
    hub.api_statuses = [429, 503, 500]
    assert (await described(SOURCE, hub)).size_bytes == len(GGUF)
    assert len(hub.asked) == 4


async def test_a_hub_that_stays_busy_is_given_up(hub: FakeHub) -> None:
    hub.api_statuses = [503] * 20
    with pytest.raises(ModelError, match="did not answer: it answered 503"):
        await described(SOURCE, hub)
    assert len(hub.asked) == 4


async def test_a_hub_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match=r"http://127\.0\.0\.1:9 did not answer: ConnectError"):
        await describe_hub(HubFile(repo="o/r"), HubSettings(url="http://127.0.0.1:9"), QUICK)


NO_HUBS = [
    b"<html>",
    b"[]",
    b'{"id": 1}',
    b"{}",
    b'{"sha": "main"}',
    b'{"id": "o/r", "sha": 5}',
    b'{"id": "o/r", "siblings": [{"rfilename": "a.gguf", "lfs": "x"}]}',
    b'{"id": "o/r", "lastModified": 5}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("at", range(len(NO_HUBS)))
async def test_what_is_no_hub_is_a_clear_error(at: int, hub: FakeHub) -> None:
    hub.api_body = NO_HUBS[at]
    with pytest.raises(ModelError, match=r"does not answer as a hub does|names no commit"):
        await described(SOURCE, hub)


@pytest.mark.parametrize(
    "name", ["../../evil.gguf", "a/../b.gguf", "/etc/x.gguf", "a\\b.gguf", "a?b.gguf"]
)
async def test_a_file_name_that_could_lead_elsewhere_is_not_offered(
    name: str, hub: FakeHub
) -> None:
    hub.changed_names = {FILE: name}
    with pytest.raises(ModelError, match=r"has no \.gguf file"):
        await described(f"hf:{REPO}", hub)


@pytest.mark.parametrize("address", ["http://hub.example/api", "ftp://127.0.0.1/x", "http://[x"])
async def test_a_listing_is_not_followed_to_an_unprotected_place(
    address: str, hub: FakeHub
) -> None:
    hub.api_redirect = address
    with pytest.raises(ModelError, match="redirects to an unprotected address"):
        await described(SOURCE, hub)
    assert len(hub.asked) == 1


async def test_a_listing_that_moved_on_the_same_server_is_followed(hub: FakeHub) -> None:
    hub.renamed = {"old/name": REPO}
    assert (await described(f"hf:old/name/{FILE}", hub)).size_bytes == len(GGUF)


async def test_a_size_that_no_disk_has_is_not_offered(hub: FakeHub) -> None:
    hub.repos[REPO] = {}
    hub.api_body = json.dumps(
        {
            "id": REPO,
            "sha": COMMIT,
            "siblings": [
                {"rfilename": FILE, "lfs": {"size": 1 << 70, "sha256": "0" * 64, "pointerSize": 1}}
            ],
        }
    ).encode()
    with pytest.raises(ModelError, match=r"has no \.gguf file"):
        await described(f"hf:{REPO}", hub)


async def test_a_file_without_a_hash_is_not_offered(hub: FakeHub) -> None:
    hub.changed_sha256 = "not-a-hash"
    with pytest.raises(ModelError, match=r"has no \.gguf file"):
        await described(f"hf:{REPO}", hub)


def gguf(path: str) -> RemoteGguf:
    return RemoteGguf(path=path, size_bytes=10**9, sha256="0" * 64)


def test_several_that_match_are_listed_and_none_is_taken() -> None:
    files = [gguf("a/m-Q4_K_M.gguf"), gguf("b/m-Q4_K_M.gguf"), gguf("m-Q8_0.gguf")]
    with pytest.raises(ModelError, match="2 files match") as failure:
        choose(HubFile(repo="o/r", quantization="Q4_K_M"), files)
    assert "hf:o/r/a/m-Q4_K_M.gguf  (1.00 GB)" in str(failure.value)
    assert "Q8_0" not in str(failure.value)


def test_a_projector_is_taken_only_by_its_name() -> None:
    files = [gguf("mmproj-F16.gguf"), gguf("m-F16.gguf")]
    assert choose(HubFile(repo="o/r", quantization="F16"), files).path == "m-F16.gguf"
    assert choose(HubFile(repo="o/r", path="mmproj-F16.gguf"), files).path == "mmproj-F16.gguf"


@pytest.mark.parametrize(
    "wanted", [{"quantization": "Q8_0"}, {"path": "m-Q8_0-00001-of-00002.gguf"}]
)
def test_a_split_model_is_refused_with_what_to_do(wanted: dict[str, str]) -> None:
    files = [gguf(f"m-Q8_0-0000{n}-of-00002.gguf") for n in (1, 2)]
    with pytest.raises(ModelError, match="llama-gguf-split --merge"):
        choose(HubFile(repo="o/r", **wanted), files)


@pytest.mark.parametrize(
    ("path", "quantization"),
    [
        ("Qwen3-8B-Q4_K_M.gguf", "Q4_K_M"),
        ("sub/model.q8_0.gguf", "q8_0"),
        ("Llama-3.2-1B-Instruct-IQ3_XXS.gguf", "IQ3_XXS"),
        ("gpt-oss-20b-MXFP4.gguf", "MXFP4"),
        ("gemma-3-4b-it-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("m-F16.gguf", "F16"),
        ("m-bf16.gguf", "bf16"),
        ("Qwen2-7B.gguf", ""),
        ("Q4_0/model-Q5_1.gguf", "Q5_1"),
    ],
)
def test_the_quantisation_is_read_from_the_name(path: str, quantization: str) -> None:
    assert quantization_of(path) == quantization
