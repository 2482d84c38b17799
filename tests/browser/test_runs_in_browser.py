"""The runs as a person arranges, compares and repeats them, in real Chromium. Their processes only sleep."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from adapter_factory import make_adapter, register_adapter
from playwright.sync_api import Browser, Page, expect

from adapters.recipe import Hyperparameters
from adapters.training import supervisor
from adapters.training.examples import read_examples
from db import run_points
from db import runs as run_store
from db.home import Home
from db.vocabulary import RunFailure, RunStatus
from elara_ui.services import Services

pytestmark = pytest.mark.slow

STARTER = Path(__file__).resolve().parents[2] / "adapters" / "starter"
PROBE = "What is type 2 diabetes?"


@pytest.fixture
def launch(services: Services, home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Launches runs; with an ending they end at once, with curves and samples."""
    started: list[subprocess.Popen[bytes]] = []

    def sleep(_home: Home, run_id: str, _at_once: int) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)", run_id]))
        return started[-1]

    def launch(
        ending: RunStatus | None = None, failure: RunFailure | None = None, loss: float = 2.5, **settings: Any
    ) -> str:
        run_id = supervisor.launch(
            services.database,
            home,
            audience="patient",
            base_model="smollm2-135m",
            hyperparameters=Hyperparameters(**settings),
            examples=read_examples(STARTER / "patient.jsonl")[:30],
            source="starter",
        )
        with services.database.session() as session:
            for step in range(21) if ending else ():
                run_points.record_point(session, run_id, step, train_loss=loss, eval_loss=loss, grad_norm=1.0)
                if step % 10 == 0:
                    run_points.record_sample(session, run_id, step, PROBE, f"Answer of step {step}.")
            if ending:
                run_store.finish(session, run_id, ending, "It ended." if failure else None, failure=failure)
        return run_id

    monkeypatch.setattr(supervisor, "_spawn", sleep)
    yield launch
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The fine-tune tab; complains about scripts' errors."""
    troubles: list[str] = []
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(address)
    page.get_by_role("tab", name="Fine-tune").click()
    yield page
    assert not troubles


def press(page: Page, act: str, run_id: str) -> None:
    page.locator(f'#runs [data-act="{act}"][data-item="{run_id}"]').click(timeout=20_000)


def test_runs_are_compared_arranged_repeated_and_removed(page: Page, services: Services, launch: Any) -> None:
    slow, fast = (launch(RunStatus.SUCCEEDED, loss=loss, lora_r=r) for loss, r in ((2.5, 16), (1.5, 8)))
    failed = launch(RunStatus.FAILED, RunFailure.OUT_OF_MEMORY)
    launch()  # it trains, so that the rest waits
    first, second = launch(), launch()

    press(page, "open", slow)
    samples = page.locator("#run-samples")
    expect(samples).to_contain_text("Answer of step 0.")
    expect(samples).to_contain_text("Answer of step 20.")
    page.locator("#run-chart-name label", has_text="Gradient norm").click()
    expect(page.get_by_text("Norm before clipping")).to_be_visible()
    expect(page.locator("#run-chart-name")).not_to_contain_text("Reward margin")
    with services.database.session() as session:
        run_points.record_point(session, slow, 20, reward_margin=0.5, eval_reward_margin=0.25)
    page.locator("#run-chart-name label", has_text="Reward margin").click(timeout=20_000)
    expect(page.get_by_text("Margin in nats")).to_be_visible()

    for run_id in (slow, fast):
        press(page, "pick", run_id)
        expect(page.locator(f'[data-act="pick"][data-item="{run_id}"]')).to_have_attribute(
            "aria-checked", "true"
        )
    compared = page.locator("#run-compare")
    expect(compared).to_contain_text("lora_r")
    legend = compared.locator(".role-legend-label text")
    expect(legend).to_have_text(["A", "B"])
    rows = compared.locator(".el-sortable tbody tr")
    expect(rows.first).to_contain_text(slow)
    compared.get_by_role("button", name="Held-out loss", exact=True).click()
    expect(rows.first).to_contain_text(fast)

    press(page, "up", second)
    expect(page.locator(".el-run-row", has_text=second)).to_contain_text("place 1 in the queue")
    press(page, "ask_remove", first)
    press(page, "remove", first)
    expect(page.locator("#runs")).not_to_contain_text(first)

    press(page, "open", failed)
    detail = page.locator("#run-detail")
    expect(detail).to_contain_text("out of memory")
    detail.get_by_role("button", name="Batches of 2").click()
    expect(page.locator("#runs-message")).to_contain_text("on its way", timeout=20_000)
    assert services.runs.recent()[0].hyperparameters["batch_size"] == 2


def test_columns_stay_mapped_while_another_source_is_looked_at(page: Page, tmp_path: Path) -> None:
    rows = "".join(f"Was ist {number}?,Das ist {number}.\n" for number in range(12))
    (tmp_path / "rows.csv").write_text(f"frage,antwort\n{rows}", encoding="utf-8")
    sources, question = page.locator("#train-source label"), page.locator("#column-prompt input")
    sources.filter(has_text="A file of mine").click()
    page.locator("#train-file input[type=file]").set_input_files(tmp_path / "rows.csv")
    for column, name in (("prompt", "frage"), ("answer", "antwort")):
        page.locator(f"#column-{column} input").click()
        page.get_by_role("option", name=name).click()
        expect(page.get_by_role("option")).to_have_count(0)  # they fade; the next list has the same names
    sources.filter(has_text="Starter examples").click()
    expect(question).to_be_hidden()
    sources.filter(has_text="A file of mine").click()
    expect(question).to_have_value("frage")
    page.locator("#check-data").click()
    expect(page.locator("#data-report")).to_contain_text("Das ist")


def test_an_adapter_teaches_while_the_page_is_used(
    page: Page, services: Services, home: Home, tmp_path: Path
) -> None:
    register_adapter(services.database, home, make_adapter(tmp_path / "trained", seed=1, rank=2))
    panel = page.locator("#teaching")
    panel.get_by_role("button", name="Let an adapter teach").click(timeout=20_000)
    page.locator("#teaching-use label", has_text="Store it").click()
    page.locator("#start-teaching").click()
    report = page.locator("#teaching-report")
    expect(report).to_contain_text(re.compile(r"(\d+) of \1 answers passed the rules"), timeout=20_000)
    expect(report).to_contain_text("Stored as a set")
    expect(page.locator("#start-teaching")).to_be_enabled()
    page.locator("#train-source label", has_text="A stored set").click()
    page.locator("#train-stored input").click()
    expect(page.get_by_role("option", name="distilled from patient@1")).to_be_visible()
