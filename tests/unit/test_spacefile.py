"""The deployment descriptors say what is so: the Spacefile against its schema and the settings, the README's
front matter against the pins."""

import re
from typing import Any

import pytest
import yaml

from elara_ui.errors import InvalidInput
from elara_ui.settings import PROJECT_ROOT, Settings

# The published v0 schema: keys allowed at each level.
SPACEFILE_KEYS = {"v", "icon", "app_name", "micros"}
MICRO_KEYS = {
    "name", "src", "engine", "primary", "path", "commands", "include", "run", "dev", "presets",
    "public", "public_routes", "actions", "provide_actions",
}  # fmt: skip
ENGINES = {"next", "nuxt", "svelte-kit", "python3.9", "python3.8", "nodejs16", "custom"}
SPACE_COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


@pytest.fixture(scope="module")
def spacefile() -> dict[str, Any]:
    return yaml.safe_load((PROJECT_ROOT / "Spacefile").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def micro(spacefile: dict[str, Any]) -> dict[str, Any]:
    (micro,) = spacefile["micros"]
    return micro


def test_spacefile_follows_the_schema(spacefile: dict[str, Any], micro: dict[str, Any]) -> None:
    assert spacefile.keys() <= SPACEFILE_KEYS
    assert spacefile["v"] == 0
    assert len(spacefile["app_name"]) <= 12
    assert {"name", "src", "engine"} <= micro.keys() <= MICRO_KEYS
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", micro["name"])
    assert micro["engine"] in ENGINES
    assert all(isinstance(command, str) for command in micro["commands"])


def test_spacefile_starts_what_is_there(micro: dict[str, Any]) -> None:
    for command in (micro["run"], micro["dev"]):
        assert (PROJECT_ROOT / command.split()[1]).is_file()
    assert (PROJECT_ROOT / "requirements.txt").is_file()


def test_spacefile_lists_every_setting_with_its_description_and_default(micro: dict[str, Any]) -> None:
    listed = {entry["name"]: entry for entry in micro["presets"]["env"]}
    expected = {f"ELARA_{name.upper()}": field for name, field in Settings.model_fields.items()}
    assert list(listed) == list(expected)
    for name, field in expected.items():
        entry = listed[name]
        assert entry.keys() <= {"name", "description", "default"}
        assert entry["description"] == field.description
        default = PROJECT_ROOT / entry["default"] if name == "ELARA_HOME" else entry.get("default")
        assert str(default) == str(field.default)


def test_front_matter_configures_a_hugging_face_space() -> None:
    _, front_matter, _ = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    space = yaml.safe_load(front_matter)
    pins = (PROJECT_ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert space["sdk"] == "gradio"
    assert f"gradio=={space['sdk_version']}\n" in pins
    assert (PROJECT_ROOT / space["app_file"]).is_file()
    assert {space["colorFrom"], space["colorTo"]} <= SPACE_COLOURS
    assert tuple(map(int, space["python_version"].split("."))) >= (3, 11)
    assert len(space["short_description"]) <= 60
    assert space["license"] == "apache-2.0"


@pytest.mark.parametrize("keys", ["short", ",", f"{'k' * 16},tiny", "é" * 20])
def test_weak_api_keys_are_refused_without_being_told(keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELARA_API_KEYS", keys)
    with pytest.raises(
        InvalidInput, match="Setting ELARA_API_KEYS is not valid: each key needs 16"
    ) as refused:
        Settings.read()
    assert keys not in refused.value.message


def test_api_keys_show_in_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELARA_API_KEYS", f" {'k' * 16} ,{'l' * 16},")
    settings = Settings.read()
    assert settings.keys == ("k" * 16, "l" * 16)
    assert "kkkk" not in repr(settings)


def test_names_of_another_server_are_read_and_held_to_their_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELARA_ENGINE_NAMES", "patient@1=lora-p, smollm2-135m = org/base")
    assert Settings.read().remote_names == {"patient@1": "lora-p", "smollm2-135m": "org/base"}
    monkeypatch.setenv("ELARA_ENGINE_NAMES", "patient@1")
    with pytest.raises(InvalidInput, match="OURS=THEIRS"):
        Settings.read()
    monkeypatch.setenv("ELARA_ENGINE_URL", "gpu:8000")
    with pytest.raises(InvalidInput, match="ELARA_ENGINE_URL"):
        Settings.read()
