"""How much memory base models take, held against what was measured and what is published."""

from pathlib import Path

import pytest

from adapters import catalog
from adapters.base_model import Weights
from adapters.machine import MachineMemory, Memory, look_at_memory, read_cards
from adapters.memory_fit import Fit, Window, judge, reckon, recommend, weight_bytes

GB = 10**9
LAPTOP = MachineMemory(Memory(8 * GB, 6 * GB))
WINDOW = Window(4096, 4)


@pytest.mark.parametrize(
    ("window", "measured_mb"),
    [(Window(512, 1), 181), (Window(4096, 1), 266), (Window(4096, 4), 550), (Window(8192, 4), 929)],
)
def test_the_embedded_model_s_memory_is_what_llama_cpp_took(window: Window, measured_mb: int) -> None:
    need = reckon(catalog.find(catalog.EMBEDDED), Weights.Q4, window, stored=98_362_432)
    assert need is not None
    assert measured_mb <= need.total / 1e6 <= measured_mb + 30


@pytest.mark.parametrize(
    ("model", "weights", "published_gb"),
    [
        ("Qwen/Qwen3-4B-Instruct-2507", Weights.Q4, 2.50),
        ("Qwen/Qwen3-4B-Instruct-2507", Weights.Q8, 4.28),
        ("Qwen/Qwen3-4B-Instruct-2507", Weights.F16, 8.05),
        ("mistralai/Mistral-7B-Instruct-v0.3", Weights.Q4, 4.37),
        ("meta-llama/Llama-3.1-8B-Instruct", Weights.Q4, 4.92),
        ("HuggingFaceTB/SmolLM2-360M-Instruct", Weights.Q4, 0.271),
    ],
)
def test_files_are_reckoned_as_large_as_those_published(
    model: str, weights: Weights, published_gb: float
) -> None:
    assert weight_bytes(catalog.find(model), weights) / 1e9 == pytest.approx(published_gb, rel=0.03)


def test_layers_that_look_back_over_a_window_remember_less() -> None:
    gemma = catalog.find("google/medgemma-4b-it")
    short, long = (reckon(gemma, Weights.Q4, Window(tokens, 1)) for tokens in (1024, 8192))
    assert short is not None
    assert long is not None
    assert long.cache < 3 * short.cache  # 8 times as much if every layer looked back all the way


def test_what_isn_t_known_isn_t_judged() -> None:
    unknown = catalog.find("someone/unknown")
    assert reckon(unknown, Weights.Q4, WINDOW) is None
    assert judge(None, Weights.Q4, LAPTOP) is Fit.UNKNOWN


def test_a_model_fits_now_or_once_others_are_closed_or_never() -> None:
    fits = {
        name: judge(reckon(catalog.find(name), Weights.Q4, WINDOW), Weights.Q4, LAPTOP)
        for name in ("Qwen/Qwen3-4B-Instruct-2507", "meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-14B")
    }
    assert list(fits.values()) == [Fit.FITS, Fit.TOO_LARGE, Fit.TOO_LARGE]
    busy = MachineMemory(Memory(8 * GB, 3 * GB))
    need = reckon(catalog.find("Qwen/Qwen3-4B-Instruct-2507"), Weights.Q4, WINDOW)
    assert judge(need, Weights.Q4, busy) is Fit.TIGHT


@pytest.mark.parametrize("gigabytes", [2, 4, 8, 16, 64])
def test_what_is_recommended_fits_and_grows_with_the_machine(gigabytes: int) -> None:
    machine = MachineMemory(Memory(gigabytes * GB, int(0.75 * gigabytes * GB)))
    found = recommend(catalog.CATALOG, WINDOW, machine)
    for each in found:
        assert judge(reckon(each.model, each.weights, WINDOW), each.weights, machine) is Fit.FITS
        assert each.model.instruct
    families = [each.model.family for each in found if not each.model.medical]
    assert len(set(families)) == len(families)
    larger = recommend(catalog.CATALOG, WINDOW, MachineMemory(Memory(256 * GB, 200 * GB)))
    assert max(each.model.parameters for each in found) <= max(each.model.parameters for each in larger)


def test_medical_models_are_recommended_where_they_fit_the_better_one_first() -> None:
    found = recommend(catalog.CATALOG, WINDOW, MachineMemory(Memory(16 * GB, 13 * GB)))
    assert [each.model.id for each in found if each.model.medical] == [
        "google/medgemma-4b-it",
        "BioMistral/BioMistral-7B",
    ]


def test_without_a_graphics_card_nothing_is_recommended_that_would_crawl() -> None:
    found = recommend(catalog.CATALOG, WINDOW, MachineMemory(Memory(512 * GB, 500 * GB)))
    assert all(weight_bytes(each.model, each.weights) <= 6 * GB for each in found)


def test_a_graphics_card_takes_full_weights_and_larger_ones_in_four_bits() -> None:
    machine = MachineMemory(Memory(64 * GB, 60 * GB), Memory(25 * GB, 24 * GB), "Card")
    found = {
        each.model.id: (each.weights, each.dtype) for each in recommend(catalog.CATALOG, WINDOW, machine)
    }
    assert found["Qwen/Qwen3-14B"] == (Weights.FULL, "4bit")
    assert found["meta-llama/Llama-3.1-8B-Instruct"] == (Weights.FULL, "bf16")


def test_a_container_s_limit_is_the_machine_s_memory(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(str(2 * GB))
    (tmp_path / "memory.current").write_text(str(GB))
    (tmp_path / "memory.stat").write_text("inactive_file 0\n")
    seen = look_at_memory(tmp_path).main
    assert seen.total == 2 * GB
    assert seen.available <= GB


def test_graphics_cards_are_read_from_nvidia_s_tool() -> None:
    name, memory = read_cards("NVIDIA A10, 24 GB, 23028, 22500\nNVIDIA A10, 24 GB, 23028, 1000\n")
    assert name == "NVIDIA A10, 24 GB"
    assert memory == Memory(2 * 23028 << 20, 23500 << 20)
    assert read_cards("Failed to initialise\n") == ("", None)
