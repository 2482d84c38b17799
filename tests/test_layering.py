"""The rooms and their one direction, read from the imports and tried in fresh interpreters.

app → elara_ui.blocks → tabs → services → (clinical, adapters, db); adapters → db; db → nothing of ours.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("app", "elara_ui", "adapters", "db")
HEAVY = {"torch", "transformers", "peft", "trl", "datasets", "accelerate", "bitsandbytes"}

# Each room and the rooms of ours that it may import; the longest matching name decides.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "db": ("db",),
    "adapters": ("adapters", "db"),
    "elara_ui.clinical": ("elara_ui.clinical",),
    "elara_ui.errors": ("adapters.errors", "db.errors"),
    "elara_ui.settings": ("elara_ui.errors", "elara_ui.clinical", "db.home"),
    "elara_ui.services": (
        "elara_ui.services",
        "elara_ui.clinical",
        "elara_ui.errors",
        "elara_ui.settings",
        "adapters",
        "db",
    ),
    "elara_ui": (
        "elara_ui.services",
        "elara_ui.clinical",
        "elara_ui.errors",
        "elara_ui.settings",
        "adapters",
        "db",
    ),
    "elara_ui.theme": (),
    "elara_ui.tabs": (
        "elara_ui.tabs",
        "elara_ui.theme",
        "elara_ui.services",
        "elara_ui.clinical",
        "elara_ui.errors",
        "elara_ui.settings",
        "adapters",
        "db",
    ),
    "elara_ui.api": (
        "elara_ui.api",
        "elara_ui.services",
        "elara_ui.clinical",
        "elara_ui.errors",
        "elara_ui.settings",
        "adapters",
        "db",
    ),
    "elara_ui.blocks": ("elara_ui", "adapters", "db"),
    "elara_ui.cli": (
        "elara_ui.cli",
        "elara_ui.services",
        "elara_ui.clinical",
        "elara_ui.errors",
        "elara_ui.settings",
        "adapters",
        "db",
    ),
    "elara_ui.__main__": ("elara_ui.cli",),
    "app": ("elara_ui", "db"),
}
GRADIO_ROOMS = ("app", "elara_ui.blocks", "elara_ui.theme", "elara_ui.tabs")
HEAVY_ROOMS = ("adapters.training", "adapters.engines.transformers")
# These extend the libraries' own classes, so they load them at import; others import these when needed.
HEAVY_AT_IMPORT = (
    "adapters.training.activations",
    "adapters.training.quantised",
    "adapters.training.batching",
    "adapters.training.checkpoints",
    "adapters.training.dropout",
    "adapters.training.loss",
    "adapters.training.preferences",
    "adapters.training.probes",
    "adapters.training.reporter",
    "adapters.training.trainer",
    "adapters.engines.transformers",
)


def sources() -> Iterator[Path]:
    yield ROOT / "app.py"
    for room in OURS[1:]:
        yield from sorted((ROOT / room).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


def imports(path: Path) -> Iterator[str]:
    """Everything that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


ALL_SOURCES = pytest.mark.parametrize("path", list(sources()), ids=module_name)


@ALL_SOURCES
def test_imports_follow_the_one_direction(path: Path) -> None:
    name = module_name(path)
    room = max((room for room in MAY_IMPORT if is_within(name, (room,))), key=len)
    ours = [imported for imported in imports(path) if imported.split(".")[0] in OURS]
    wrong = [imported for imported in ours if not is_within(imported, MAY_IMPORT[room])]
    assert not wrong, f"{name} must not import {wrong}"


@ALL_SOURCES
def test_gradio_stays_in_the_page(path: Path) -> None:
    if not is_within(module_name(path), GRADIO_ROOMS):
        assert not [imported for imported in imports(path) if is_within(imported, ("gradio",))]


@ALL_SOURCES
def test_training_libraries_stay_in_training(path: Path) -> None:
    if not is_within(module_name(path), HEAVY_ROOMS):
        assert not [imported for imported in imports(path) if is_within(imported, tuple(HEAVY))]


def loaded_by(modules: list[str]) -> set[str]:
    """Top-level packages in memory after importing modules in a fresh interpreter."""
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_page_starts_without_the_training_libraries() -> None:
    assert not loaded_by(["app", "elara_ui.blocks"]) & HEAVY


def test_everything_beneath_the_page_loads_neither_gradio_nor_training_libraries() -> None:
    apart = (*GRADIO_ROOMS, *HEAVY_AT_IMPORT, "elara_ui.__main__", "db.migrations")
    names = [name for name in map(module_name, sources()) if not is_within(name, apart)]
    assert "elara_ui.cli" in names
    assert not loaded_by(names) & (HEAVY | {"gradio"})


def test_every_library_imported_is_pinned() -> None:
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pinned = {name.lower().replace("_", "-") for name in re.findall(r"^([\w.-]+)==", requirements, re.M)}
    distributions = packages_distributions()
    for path in sources():
        for top in {imported.split(".")[0] for imported in imports(path)} - set(OURS):
            if top in sys.stdlib_module_names:
                continue
            provided_by = {name.lower().replace("_", "-") for name in distributions[top]}
            assert provided_by & pinned, f"{module_name(path)} imports {top}, which requirements.txt lacks"
