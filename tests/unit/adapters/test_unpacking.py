"""What may come in as an adapter's files, and what a stranger's zip may not do."""

import random
import zipfile
from pathlib import Path

import pytest
from hostile_zips import LINK, encrypt_flag, understate, zip_entries, zip_folder

from adapters.errors import AdapterError
from adapters.unpacking import MOST_FILES, gather

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
WHOLE = {CONFIG: b"{}", WEIGHTS: b"numbers"}
MOST = 10**8


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    for name, content in WHOLE.items():
        (folder / name).write_bytes(content)
    return folder


def refusal(source: Path, target: Path, most: int = MOST) -> str:
    """What is said; nothing may have been written outside of the target."""
    with pytest.raises(AdapterError) as refused:
        gather([source], target, most)
    return refused.value.message


def names(folder: Path) -> set[str]:
    return {item.name for item in folder.iterdir()}


@pytest.mark.parametrize("inside", ["", "patient-lora"])
def test_a_zip_gives_what_is_needed_and_names_the_rest(
    adapter: Path, target: Path, tmp_path: Path, inside: str
) -> None:
    for name in ("README.md", "tokenizer.json", "adapter.gguf"):
        (adapter / name).write_text("beside", "utf-8")
    (adapter / "LICENSE.txt").write_text("Apache", "utf-8")
    gathered = gather([zip_folder(adapter, tmp_path / "a.zip", inside)], target, MOST)
    assert names(target) == {CONFIG, WEIGHTS, "LICENSE"}
    assert set(gathered.left_out) == {"README.md", "tokenizer.json", "adapter.gguf"}
    assert (target / WEIGHTS).read_bytes() == b"numbers"


def test_a_folder_gives_only_what_is_needed(adapter: Path, target: Path) -> None:
    (adapter / "optimizer.pt").write_bytes(b"pickle")
    (adapter / "checkpoint-10").mkdir()
    gathered = gather([adapter], target, MOST)
    assert names(target) == {CONFIG, WEIGHTS}
    assert gathered.left_out == ("checkpoint-10", "optimizer.pt")


def test_single_files_are_taken_together(adapter: Path, target: Path) -> None:
    gather([adapter / WEIGHTS, adapter / CONFIG], target, MOST)
    assert names(target) == {CONFIG, WEIGHTS}


def test_a_link_in_a_folder_is_not_followed(adapter: Path, target: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret", "utf-8")
    (adapter / WEIGHTS).unlink()
    (adapter / WEIGHTS).symlink_to(tmp_path / "secret")
    assert "plain files" in refusal(adapter, target)
    with pytest.raises(AdapterError):
        gather([adapter / WEIGHTS, adapter / CONFIG], target, MOST)


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/../../evil", "..\\evil", "C:evil", "a\\b", f"{'../' * 9}{CONFIG}"]
)
def test_names_that_lead_out_are_refused(target: Path, tmp_path: Path, name: str) -> None:
    path = zip_entries(tmp_path / "a.zip", WHOLE | {name: b"evil"})
    assert "stay in its own folder" in refusal(path, target)
    assert names(target) == set()
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("name", [WEIGHTS, "README.md"])
def test_links_in_a_zip_are_refused(target: Path, tmp_path: Path, name: str) -> None:
    path = zip_entries(tmp_path / "a.zip", WHOLE | {name: b"/etc/passwd"}, {name: LINK})
    assert "link" in refusal(path, target)


def test_what_grows_too_much_is_refused_before_it_is_unpacked(target: Path, tmp_path: Path) -> None:
    path = zip_entries(tmp_path / "a.zip", WHOLE | {WEIGHTS: bytes(3 * 10**6)})
    assert "100 times" in refusal(path, target)
    assert names(target) == set()


def test_a_size_that_is_a_lie_stops_the_unpacking(target: Path, tmp_path: Path) -> None:
    path = zip_entries(tmp_path / "a.zip", WHOLE | {WEIGHTS: bytes(range(256)) * 9000})
    understate(path, WEIGHTS, 1000)
    refusal(path, target)
    assert not (target / WEIGHTS).exists() or (target / WEIGHTS).stat().st_size <= 1000


def test_the_sum_of_sizes_is_bounded(adapter: Path, target: Path, tmp_path: Path) -> None:
    (adapter / WEIGHTS).write_bytes(random.Random(1).randbytes(2_000_000))
    for source in (adapter, zip_folder(adapter, tmp_path / "a.zip")):
        assert "at most 1 MB" in refusal(source, target, 10**6)


def test_a_configuration_of_megabytes_is_refused(adapter: Path, target: Path) -> None:
    (adapter / CONFIG).write_text(" " * 2_000_000, "utf-8")
    assert "larger than it may be" in refusal(adapter, target)


def test_too_many_entries_are_refused_before_their_list_is_read(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zip_entries(tmp_path / "a.zip", WHOLE | {f"{n}.txt": b"" for n in range(MOST_FILES)})
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert f"at most {MOST_FILES} files" in refusal(path, target)


@pytest.mark.parametrize("name", ["adapter_model.bin", "training_args.bin", "optimizer.pt", "x.PKL"])
def test_pickles_in_a_zip_are_refused_with_the_way_round(target: Path, tmp_path: Path, name: str) -> None:
    told = refusal(zip_entries(tmp_path / "a.zip", WHOLE | {name: b"pickle"}), target)
    assert "pickle" in told
    assert "safe_serialization=True" in told


def test_a_folder_with_pickled_weights_only_is_told_how_to_save_them(adapter: Path, target: Path) -> None:
    (adapter / WEIGHTS).rename(adapter / "adapter_model.bin")
    assert "safe_serialization=True" in refusal(adapter, target)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("inner.zip", "packed twice"),
        ("weights.tar.gz", "packed twice"),
        ("run.py", "only"),
        ("checkpoint-1/adapter_config.json", "one folder"),
    ],
)
def test_whatever_else_is_in_a_zip_is_refused(target: Path, tmp_path: Path, name: str, said: str) -> None:
    assert said in refusal(zip_entries(tmp_path / "a.zip", WHOLE | {name: b"x"}), target)


def test_encrypted_broken_and_false_zips_are_refused(adapter: Path, target: Path, tmp_path: Path) -> None:
    path = zip_folder(adapter, tmp_path / "a.zip")
    whole = path.read_bytes()
    assert "encrypted" in refusal(encrypt_flag(path), target)
    path.write_bytes(whole[:-30])
    assert "cut off" in refusal(path, target)
    path.write_bytes(whole.replace(b"PK\x03\x04", b"PK\x00\x00"))
    assert "can't be read" in refusal(path, target)
    path.write_bytes(b"MZ" * 500)
    assert "must be one" in refusal(path, target)


@pytest.mark.parametrize("missing", [CONFIG, WEIGHTS])
def test_what_is_missing_is_named(adapter: Path, target: Path, missing: str) -> None:
    (adapter / missing).unlink()
    assert f"{missing} is missing" in refusal(adapter, target)


def test_a_gguf_alone_is_not_enough(adapter: Path, target: Path) -> None:
    (adapter / WEIGHTS).rename(adapter / "adapter.gguf")
    assert "only a GGUF" in refusal(adapter, target)
