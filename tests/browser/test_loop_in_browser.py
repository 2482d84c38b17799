"""The whole loop as a person walks it: chat, review, fine-tune, promote, chat again, in real Chromium.

Set ELARA_SCREENSHOTS=1 to leave pictures of the page under docs/images.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
CHROMIUM = os.environ.get("ELARA_CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = {"1440": (1440, 900), "1024": (1024, 768), "390": (390, 844)}
HOSTILE = "I have a fever <script>window.hacked=1</script> ![x](http://203.0.113.1/x.png). What should I do?"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class App:
    """`python app.py` on a home of its own."""

    def __init__(self, home: Path, model: Path) -> None:
        self.home, self.model = home, model
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "app.py", "--home", str(self.home), "--port", str(self.port)],
            cwd=ROOT,
            env=os.environ | {"ELARA_MODEL_FILE": str(self.model)},
        )
        for _ in range(300):
            try:
                if httpx.get(self.url).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.2)
        raise AssertionError("The page did not come up in a minute.")

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, embedded_gguf: Path) -> Iterator[App]:
    app = App(tmp_path_factory.mktemp("browser") / "home", embedded_gguf)
    app.start()
    yield app
    app.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(app: App, browser: Browser) -> Iterator[Page]:
    """A page that complains about scripts' errors and about anything fetched from elsewhere."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((app.url, "data:", "blob:"))
            else troubles.append(f"fetched {request.url}")
        ),
    )
    page.goto(app.url)
    expect(page.locator(".el-welcome, .el-turn").first).to_be_visible(timeout=30_000)
    yield page
    page.close()
    assert not troubles


def newest_answer(page: Page) -> str:
    """Id of the last answer in the thread; empty when there is none."""
    ids = page.locator("#thread [data-response]").evaluate_all("all => all.map(one => one.dataset.response)")
    return ids[-1] if ids else ""


def send(page: Page, question: str) -> None:
    page.locator("#question textarea").fill(question)
    page.locator("#send").click()


def expect_answer_after(page: Page, before: str) -> None:
    """Wait until another answer than `before` is the newest and complete."""
    page.wait_for_function(
        """before => { const all = document.querySelectorAll('#thread [data-response]');
        return all.length > 0 && all[all.length - 1].dataset.response !== before
            && document.querySelector('#send')?.offsetParent; }""",
        arg=before,
        timeout=90_000,
    )


def ask(page: Page, question: str) -> None:
    """Ask, and wait for the whole answer."""
    before = newest_answer(page)
    send(page, question)
    expect_answer_after(page, before)


def delete_conversation(page: Page) -> None:
    """Delete the open one, as the side panel does it; the panel may be closed still."""
    if not page.get_by_role("button", name="Delete…").is_visible():
        page.get_by_role("button", name="This conversation").click()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Yes, delete for good").click()
    expect(page.locator(".el-welcome")).to_be_visible(timeout=30_000)


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def look(page: Page, name: str, *, keep: bool = True) -> None:
    """Check that nothing scrolls sideways at any size; leave screenshots, light and dark, when asked.

    Args:
        name: of the pictures.
        keep: whether the documentation has a use for them.
    """
    wanted = keep and os.environ.get("ELARA_SCREENSHOTS")
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(400)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls at {size}"
        for theme in ("light", "dark") if wanted else ():
            page.evaluate("theme => document.body.classList.toggle('dark', theme === 'dark')", theme)
            page.wait_for_timeout(200)
            IMAGES.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=IMAGES / f"{name}-{size}-{theme}.png")
        page.evaluate("document.body.classList.remove('dark')")
    page.set_viewport_size({"width": 1440, "height": 900})


def test_1_chat_answers_and_shows_what_was_written_as_text(page: Page) -> None:
    before = newest_answer(page)
    send(page, HOSTILE)
    page.get_by_role("button", name="Send as it is").click()  # it holds a web address
    expect_answer_after(page, before)
    expect(page.locator(".el-bubble")).to_contain_text("<script>window.hacked=1</script> ![x]")
    assert page.evaluate("window.hacked") is None
    meta = page.locator("#thread .el-meta")
    expect(meta).to_contain_text("Patient")
    expect(meta).to_contain_text("no adapter")
    expect(meta).to_contain_text("tokens/s")
    page.get_by_title("Good answer").click()
    expect(page.get_by_title("Good answer")).to_have_attribute("aria-pressed", "true")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#thread .el-user").get_by_text("Copy").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == HOSTILE
    look(page, "hostile", keep=False)


def test_2_stop_ends_an_answer_and_keeps_it(page: Page) -> None:
    page.get_by_role("radio", name="Researcher").check()
    send(page, "Tell me everything about the history of medicine, at length.")
    expect(page.locator("#stop")).to_be_visible(timeout=30_000)
    expect(page.locator(".el-streaming .el-answer")).not_to_be_empty(timeout=30_000)
    page.locator("#stop").click()
    expect(page.locator("#send")).to_be_visible(timeout=10_000)
    expect(page.locator("#thread .el-meta").last).to_contain_text("stopped")


def retitle(page: Page, title: str) -> None:
    """Write into the title's box. Just unfolded, it may still be given what was painted before."""
    box = page.get_by_label("Title")
    for _ in range(20):
        box.fill(title)
        page.wait_for_timeout(300)
        if box.input_value() == title:
            return
    raise AssertionError("The title's box doesn't keep what is written into it.")


def test_3_retry_edit_undo(page: Page) -> None:
    ask(page, "What is a cold?")
    before = newest_answer(page)
    page.get_by_title("Answer this question again").click()
    expect_answer_after(page, before)
    expect(page.locator("#thread .el-user")).to_have_count(1)
    page.get_by_title("Edit this question and ask again").click()
    expect(page.locator("#question textarea")).to_have_value("What is a cold?")
    ask(page, "What is a bad cold?")
    expect(page.locator("#thread .el-bubble").last).to_have_text("What is a bad cold?")
    expect(page.locator("#thread .el-user")).to_have_count(1)
    page.get_by_title("Take back this question and its answer").click()
    expect(page.locator("#thread .el-user")).to_have_count(0)
    expect(page.locator("#question textarea")).to_have_value("What is a bad cold?")


def test_4_conversations_are_found_renamed_downloaded_and_deleted(page: Page) -> None:
    page.locator(".el-row", has_text="history of medicine").click()
    expect(page.locator("#thread .el-bubble")).to_contain_text("history of medicine")
    page.get_by_role("button", name="This conversation").click()
    expect(page.get_by_label("Title")).to_have_value(re.compile("history of medicine"))  # else it comes later
    retitle(page, "Old medicine <b>")
    page.get_by_role("button", name="Rename").click()
    expect(page.locator(".el-row-title", has_text="Old medicine <b>")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename.endswith(".md")
    assert "history of medicine" in Path(download.value.path()).read_text(encoding="utf-8")
    page.get_by_label("Search conversations").fill("old medicine")
    expect(page.locator(".el-row")).to_have_count(1)
    page.get_by_label("Search conversations").fill("")
    delete_conversation(page)
    expect(page.locator(".el-row-title", has_text="Old medicine")).to_have_count(0)


def test_5_bad_questions_are_explained_and_kept(page: Page) -> None:
    send(page, "   ")
    expect(page.get_by_role("alert")).to_contain_text("empty")
    long = "x" * 100_000
    send(page, long)
    expect(page.get_by_role("alert")).to_contain_text("100,000 characters; at most 8,000")
    expect(page.locator("#question textarea")).to_have_value(long)
    page.locator("#question textarea").fill("")
    send(page, "w" * 400)
    expect(page.locator("#thread .el-bubble")).to_be_visible()
    look(page, "long words", keep=False)
    delete_conversation(page)


def test_6_audiences_side_by_side(page: Page) -> None:
    page.get_by_role("button", name="Compare audiences side by side").click()
    page.get_by_label("Question for all of them").fill("What is asthma?")
    page.get_by_role("button", name="Ask all").click()
    expect(page.locator(".el-column .el-meta")).to_have_count(2, timeout=120_000)
    page.locator(".el-column").first.get_by_text("Send to review").click()
    expect(page.locator(".el-column .el-done")).to_have_count(1)
    page.locator("#compare").scroll_into_view_if_needed()
    look(page, "compare")


def test_7_review_with_a_correction(page: Page) -> None:
    open_tab(page, "Review")
    page.get_by_label("Name or pseudonym").fill("Rater A")
    page.locator("#save-profile").click()
    expect(page.locator(".el-exam")).to_contain_text("What is asthma?")
    expect(page.locator(".el-exam")).not_to_contain_text("smollm2")
    look(page, "review")
    page.get_by_role("button", name="Accept", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("missing: Medical accuracy")
    for title, choice in (
        ("Medical accuracy", "Aligned"), ("Wrong content", "None"),
        ("Omission", "Little clinical significance"),
        ("Harm if followed", "Mild"), ("Likelihood of harm", "Low"), ("Harm if followed", "None"),
        ("Urgency advice", "Correct"), ("Readability", "Right"), ("Relevance", "Fully"),
    ):  # fmt: skip
        page.get_by_role("radiogroup", name=title).get_by_label(choice).check()
    page.get_by_role("button", name="Correct the text").click()
    page.get_by_label("Corrected answer").fill("Asthma makes your airways tight. Use your inhaler.")
    page.get_by_role("button", name="Accept with edit").click()
    expect(page.locator("#review-last")).to_contain_text("made by the base model alone")
    expect(page.locator(".el-standing")).to_contain_text("1 reviewed")
    page.get_by_role("radio", name="My reviews").check()
    expect(page.locator("#own-reviews")).to_contain_text("What is asthma?")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download accepted answers").click()
    assert "Asthma makes your airways tight" in Path(download.value.path()).read_text(encoding="utf-8")


def test_8_fine_tune_promote_and_ask_the_adapter(page: Page, app: App) -> None:
    open_tab(page, "Fine-tune")
    page.locator("#check-data").click()
    expect(page.get_by_text("examples to learn from")).to_be_visible()
    expect(page.locator("#launch")).to_be_disabled()
    page.get_by_label("Rank (r)").fill("0")
    expect(page.locator("#changes").get_by_role("alert")).to_contain_text(
        "lora_r must be a whole number from 1"
    )
    page.get_by_label("Rank (r)").fill("8")
    page.get_by_role("button", name="How it is learned").click()
    page.get_by_label("Most steps").fill("4")
    page.get_by_label("Batch size").fill("1")
    page.get_by_role("button", name="What it is learned from").click()
    page.get_by_label("Most examples").fill("30")  # so that little is held out and measured
    expect(page.locator("#changes")).to_contain_text("Most steps 0 4")
    page.locator("#preview-run").click()
    expect(page.locator("#launch")).to_be_enabled(timeout=180_000)
    expect(page.locator("#preview-report .el-learned").nth(1)).to_contain_text(re.compile(r"\w+ \w+"))
    look(page, "preview", keep=False)
    page.locator("#launch").click()
    expect(page.get_by_text("is on its way")).to_be_visible(timeout=30_000)
    page.close()  # the run goes on without us
    page = page.context.browser.new_page(viewport={"width": 1440, "height": 900})  # type: ignore[union-attr]
    page.goto(app.url)
    open_tab(page, "Fine-tune")
    expect(page.locator("#run-detail")).to_contain_text("succeeded", timeout=900_000)
    look(page, "fine-tune")
    page.locator("#adapters").get_by_role("button", name="Details").click()
    details = page.locator("#adapter-details")
    expect(details).to_contain_text("from starter")
    details.get_by_role("button", name="Write").first.click()
    expect(page.locator("#adapters-message")).to_contain_text(str(app.home / "exports" / "patient-1-gguf"))
    details.get_by_text("Model card").click()
    expect(details).to_contain_text("Not clinically reviewed")
    details.scroll_into_view_if_needed()
    look(page, "adapter", keep=False)
    open_tab(page, "Evaluate")
    expect(page.get_by_label("Version", exact=True)).to_have_value("patient@1")
    expect(page.locator("#evaluations")).to_contain_text("Nothing was evaluated yet")
    open_tab(page, "Fine-tune")
    page.locator("#promoted-by textarea, #promoted-by input").fill("Ada")
    page.locator("#promoted-why textarea, #promoted-why input").fill("A first look")
    page.locator("#adapters").get_by_role("button", name="Make live").click()
    expect(page.get_by_text("patient@1 now answers for patient")).to_be_visible()
    open_tab(page, "Chat")
    expect(page.locator(".el-answering p")).to_contain_text("patient@1")
    ask(page, "What is asthma?")
    expect(page.locator("#thread .el-meta").last).to_contain_text("patient@1")
    look(page, "chat", keep=False)
    page.close()


def test_9_everything_is_there_after_a_restart(page: Page, app: App) -> None:
    app.stop()
    app.start()
    page.goto(app.url)
    page.locator(".el-row", has_text="What is asthma?").click()
    expect(page.locator("#thread .el-meta").last).to_contain_text("patient@1")
    open_tab(page, "Fine-tune")
    expect(page.locator("#run-detail")).to_contain_text("succeeded")
    open_tab(page, "Models")
    embedded = page.locator("#models-list .el-model", has_text="(embedded)")
    expect(embedded).to_contain_text("answers now")
    embedded.locator(".el-model-head").click()
    expect(page.locator(".el-form-row")).to_contain_text("GB of memory")
    expect(page.locator("#models-shelf")).to_contain_text("patient@1")
    look(page, "models", keep=False)


def test_leaving_a_conversation_breaks_its_answer_off_and_keeps_it(page: Page) -> None:
    page.get_by_role("radio", name="Researcher").check()
    send(page, "Explain at length how the immune system works.")
    expect(page.locator(".el-streaming .el-answer p")).not_to_be_empty(timeout=60_000)
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".el-welcome")).to_be_visible()
    page.wait_for_timeout(3_000)
    expect(page.locator(".el-welcome")).to_be_visible()  # nothing of the old answer comes after
    expect(page.locator("#send")).to_be_visible()
    page.locator(".el-row", has_text="immune system").click()
    expect(page.locator("#thread .el-meta").last).to_contain_text("stopped", timeout=30_000)


def test_keys_alone_reach_the_question_and_ask_it(page: Page) -> None:
    for _ in range(45):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#question') !== null"):
            break
    else:
        pytest.fail("Tab never reaches the question")
    before = newest_answer(page)
    page.keyboard.type("What is a cough?")
    page.keyboard.press("Enter")
    expect_answer_after(page, before)
