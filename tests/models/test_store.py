import hashlib
import json
from pathlib import Path

import pytest

from rung.errors import ModelError
from rung.models.catalogue import CatalogueModel, FileSource
from rung.models.file_source import describe_file
from rung.models.store import InstalledModel, ModelStore
from tests.models.builders import SHAPE, files_below, gguf_bytes
from tests.pulling import pulled


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "My Model.Q8.gguf"
    path.write_bytes(gguf_bytes(values=1024))
    return path


@pytest.fixture
async def installed(store: ModelStore, gguf: Path) -> InstalledModel:
    return await pulled(await describe_file(gguf), store)


def test_an_empty_store_lists_nothing_and_creates_nothing(store: ModelStore) -> None:
    assert store.list() == []
    assert store.find("tiny") is None
    assert not store.models_dir.exists()


def test_a_model_that_is_not_there_is_an_error_with_the_command_that_gets_it(
    store: ModelStore,
) -> None:
    with pytest.raises(ModelError, match="rung models pull smollm2-135m"):
        store.path("smollm2-135m")


async def test_what_was_installed_is_listed_with_its_facts(
    store: ModelStore, gguf: Path, installed: InstalledModel
) -> None:
    assert store.list() == [installed]
    assert installed.id == "my-model.q8"
    assert installed.path == store.models_dir / "my-model.q8/my-model.q8.gguf"
    assert installed.size_bytes == gguf.stat().st_size
    assert installed.sha256 == hashlib.sha256(gguf.read_bytes()).hexdigest()
    assert installed.source == FileSource(path=str(gguf))
    assert str(installed.source) == f"file {gguf}"
    assert installed.installed_at is not None
    assert await store.verify(installed.id) == installed


async def test_other_things_in_the_folder_are_not_models(
    store: ModelStore, installed: InstalledModel
) -> None:
    (store.models_dir / "notes.txt").write_text("mine")
    (store.models_dir / "half").mkdir()
    (store.models_dir / "Not An Id").mkdir()
    (store.models_dir / "Not An Id/model.json").write_text("{}")
    assert store.list() == [installed]


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", "\xff", '{"file": "../../../etc/passwd"}'],
)
async def test_a_damaged_manifest_is_listed_as_a_problem(
    store: ModelStore, installed: InstalledModel, manifest: str
) -> None:
    installed.path.with_name("model.json").write_text(manifest, encoding="latin-1")
    (listed,) = store.list()
    assert "model.json cannot be read" in listed.problem
    with pytest.raises(ModelError, match="repair it with"):
        store.path(installed.id)


async def test_a_manifest_cannot_point_outside_its_folder(
    store: ModelStore, installed: InstalledModel
) -> None:
    path = installed.path.with_name("model.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"file": "../../x.gguf"}))
    assert store.list()[0].problem


async def test_a_file_that_is_gone_is_a_problem_with_its_repair(
    store: ModelStore, gguf: Path, installed: InstalledModel
) -> None:
    installed.path.unlink()
    assert store.list()[0].problem
    with pytest.raises(ModelError, match=r"is gone .*rung models rm my-model.q8"):
        store.path(installed.id)


async def test_a_removed_model_leaves_nothing_and_is_gone(
    store: ModelStore, installed: InstalledModel
) -> None:
    store.remove(installed.id)
    assert files_below(store.models_dir) == []
    with pytest.raises(ModelError, match="is not installed"):
        store.remove(installed.id)


@pytest.mark.parametrize("method", ["path", "find", "remove", "lock", "work_folder"])
def test_no_method_accepts_an_id_that_leaves_the_folder(
    store: ModelStore, tmp_path: Path, method: str
) -> None:
    (tmp_path / "evil").mkdir()
    with pytest.raises(ModelError, match="is not a model id"):
        getattr(store, method)("../evil")
    assert (tmp_path / "evil").is_dir()


async def test_a_local_file_takes_no_space_and_outlives_its_original(
    store: ModelStore, gguf: Path, installed: InstalledModel
) -> None:
    assert installed.path.samefile(gguf)
    gguf.unlink()
    assert store.path(installed.id).is_file()
    await store.verify(installed.id)


@pytest.mark.parametrize("kind", ["relative", "absolute"])
async def test_a_local_file_behind_a_symlink_is_installed_and_outlives_the_link(
    store: ModelStore, gguf: Path, kind: str
) -> None:
    link = gguf.parent / "snapshots" / "main" / "Linked.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(Path("../..") / gguf.name if kind == "relative" else gguf)
    installed = await pulled(await describe_file(link), store)
    link.unlink()
    assert installed.id == "linked"
    assert not installed.path.is_symlink()
    assert installed.path.samefile(gguf)
    gguf.unlink()
    assert store.path(installed.id).is_file()
    await store.verify(installed.id)


async def test_a_local_file_on_another_disk_is_copied(store: ModelStore, gguf: Path) -> None:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == gguf.stat().st_dev:
        pytest.skip("there is no second disk")
    far = elsewhere / f"rung-test-{gguf.parent.name}.gguf"
    try:
        far.write_bytes(gguf.read_bytes())
        installed = await pulled(await describe_file(far, "far"), store)
        assert not installed.path.samefile(far)
        assert installed.path.read_bytes() == gguf.read_bytes()
        entry = await describe_file(far, "grown")
        with far.open("ab") as file:
            file.write(b"x")
        with pytest.raises(ModelError, match="has changed"):
            await pulled(entry, store)
        assert store.list() == [installed]
    finally:
        far.unlink()


@pytest.mark.parametrize("change", ["replaced", "grown", "gone"])
async def test_a_local_file_that_changed_since_it_was_described_is_refused(
    store: ModelStore, gguf: Path, change: str
) -> None:
    entry: CatalogueModel = await describe_file(gguf)
    content = gguf.read_bytes()
    gguf.unlink()
    if change != "gone":
        gguf.write_bytes(content + b"x" if change == "grown" else bytes(len(content)))
    with pytest.raises(ModelError, match=r"nothing was installed|cannot be read"):
        await pulled(entry, store)
    assert files_below(store.models_dir) == [
        ".my-model.q8.part",
        ".my-model.q8.part/job.json",
    ]


async def test_one_part_of_a_split_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "part.gguf"
    path.write_bytes(gguf_bytes(SHAPE | {"split.count": 3}, values=64))
    with pytest.raises(ModelError, match="one of 3 parts"):
        await describe_file(path)


async def test_leftovers_of_other_pulls_are_swept(store: ModelStore, gguf: Path) -> None:
    left = store.work_folder("other")
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(b"x")
    busy = store.work_folder("busy")
    busy.mkdir()
    lock = store.lock("busy")
    assert lock.acquire()
    await pulled(await describe_file(gguf), store)
    assert not left.exists()
    assert busy.exists()
    lock.release()
