"""Failures by name, from exceptions and from how a process ended; and what to change."""

import json
import os
import signal
from datetime import UTC, datetime

import pytest

from adapters.errors import DatasetError, NotANumber, RunError
from adapters.recipe import Hyperparameters, override
from adapters.training import exits
from adapters.training.exits import Exit
from adapters.training.failures import classify, classify_exit, find_remedies
from db.errors import StorageError
from db.vocabulary import RunFailure


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "failure", "said"),
    [
        (OSError(28, "No space left on device"), "disk_full", "The disk is full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk_full", "The disk is full"),
        (caused(RunError("It can't be stored."), OSError(28, "full")), "disk_full", "resume the run"),
        (StorageError("The database x can't be used: the disk is full."), "disk_full", "The disk is full"),
        (RuntimeError("I/O error: File too large (os error 27)"), "disk_full", "larger than may be written"),
        (RuntimeError("[enforce fail at inline_container.cc:672]"), "disk_full", "most likely the disk"),
        (MemoryError(), "out_of_memory", "Memory ran out"),
        (
            RuntimeError("CPU: can't allocate memory: you"),
            "out_of_memory",
            "Memory ran out",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out_of_memory", "smaller batch_size"),
        (NotANumber("The loss stopped being a number at step 3."), "not_a_number", "at step 3"),
        (DatasetError("No example fits."), "refused", "No example fits."),
        (
            ZeroDivisionError("division by zero\nsecond line"),
            "unexpected",
            "ZeroDivisionError: division by zero. ",
        ),
        (KeyError(), "unexpected", "unexpected KeyError: no message"),
    ],
)
def test_exceptions_are_named_and_told_in_one_line(error, failure, said):
    diagnosis = classify(error)
    assert diagnosis.failure == failure
    assert said in diagnosis.message
    assert "\n" not in diagnosis.message


@pytest.mark.parametrize(
    ("end", "failure", "said"),
    [
        (Exit(-9, 0), "killed", "by SIGKILL; nothing says that memory ran out"),
        (Exit(-9, None), "killed", "whether memory ran out, this system doesn't tell"),
        (Exit(-9, 1), "out_of_memory", "ended 1 process for lack of memory: most likely this one"),
        (Exit(None, 2), "out_of_memory", "is gone, and since it began the system has ended 2 processes"),
        (Exit(-15, 3), "killed", "by SIGTERM"),
        (Exit(-11, 0), "unexpected", "crashed with SIGSEGV"),
        (Exit(1, 5), "unexpected", "exit status 1"),
        (Exit(None, 0), "interrupted", "nobody saw how"),
        (Exit(None, None, restarted=True), "interrupted", "machine was restarted"),
    ],
)
def test_the_end_of_a_process_is_told_as_far_as_it_is_known(end, failure, said):
    diagnosis = classify_exit(end)
    assert diagnosis.failure == failure
    assert said in diagnosis.message


def values(remedies):
    return [remedy.values for remedy in remedies]


def test_out_of_memory_offers_what_needs_less():
    settings = Hyperparameters(batch_size=4, gradient_accumulation_steps=2, max_length=1024)
    assert values(find_remedies(RunFailure.OUT_OF_MEMORY, settings, ("q", "k", "v", "o"))) == [
        {"gradient_checkpointing": True},
        {"batch_size": 2, "gradient_accumulation_steps": 4},
        {"quantization": "4bit"},
        {"target_modules": "q,k"},
        {"max_length": 512},
    ]


def test_what_has_been_done_already_is_not_offered_again():
    settings = Hyperparameters(
        batch_size=1, gradient_checkpointing=True, quantization="4bit", max_length=64, target_modules=("q",)
    )
    assert find_remedies(RunFailure.OUT_OF_MEMORY, settings, ("q",)) == ()


@pytest.mark.parametrize("batch", [2, 3, 5, 7])
def test_the_effective_batch_stays_about_the_same(batch):
    settings = Hyperparameters(batch_size=batch)
    (_, change, *_) = values(find_remedies(RunFailure.OUT_OF_MEMORY, settings))
    effective = change["batch_size"] * change["gradient_accumulation_steps"]
    assert abs(effective - batch) <= 1


def test_a_loss_that_is_no_number_offers_a_third_of_the_rate_and_fp32():
    settings = Hyperparameters(learning_rate=3e-4)
    found = values(find_remedies(RunFailure.NOT_A_NUMBER, settings, step=5))
    assert found == [{"learning_rate": 1e-4}, {"precision": "fp32"}]
    assert values(find_remedies(RunFailure.NOT_A_NUMBER, settings, step=0)) == [{"precision": "fp32"}]


@pytest.mark.parametrize("failure", [None, *RunFailure])
@pytest.mark.parametrize(
    "settings",
    [
        Hyperparameters(),
        Hyperparameters(objective="kto", batch_size=3),
        Hyperparameters(batch_size=2, gradient_accumulation_steps=1000),
    ],
)
def test_every_remedy_can_be_launched(failure, settings):
    for remedy in find_remedies(failure, settings, ("q_proj", "v_proj"), step=1):
        assert override(settings, remedy.values) != settings


def test_a_continued_run_keeps_the_modules_of_its_adapter():
    settings = Hyperparameters(continue_from="patient@1")
    found = values(find_remedies(RunFailure.OUT_OF_MEMORY, settings, ("q_proj", "v_proj")))
    assert not any("target_modules" in change for change in found)


@pytest.mark.parametrize(
    ("overlong", "change", "fate"),
    [
        ("drop", {"max_length": 512}, "left out"),
        ("truncate_prompt", {"max_length": 512}, "lose the beginning of their prompt"),
        ("stop", {"max_length": 512, "overlong": "drop"}, "left out"),
    ],
)
def test_a_shorter_limit_says_what_becomes_of_longer_examples(overlong, change, fate):
    (*_, shorter) = find_remedies(RunFailure.OUT_OF_MEMORY, Hyperparameters(overlong=overlong))
    assert shorter.values == change
    assert fate in shorter.label


def test_an_exit_is_read_back_for_its_own_process_only(tmp_path, monkeypatch):
    monkeypatch.setattr(exits, "NOTE_SECONDS", 0.0)
    monkeypatch.setattr(exits, "count_memory_kills", lambda: 4)
    exits.note_start(tmp_path, 77)
    exits.note_exit(tmp_path, 77, -signal.SIGKILL)
    monkeypatch.setattr(exits, "count_memory_kills", lambda: 5)
    now = datetime.now(UTC)
    assert exits.read_exit(tmp_path, 77, now) == Exit(-9, 1)
    assert exits.read_exit(tmp_path, 78, now) == Exit(None, None)
    assert exits.read_exit(tmp_path, None, None) == Exit(None, None)
    assert exits.read_exit(tmp_path, 77, datetime(2001, 1, 1, tzinfo=UTC)) == Exit(None, None, restarted=True)


def test_a_damaged_note_is_no_note(tmp_path, monkeypatch):
    monkeypatch.setattr(exits, "NOTE_SECONDS", 0.0)
    (tmp_path / exits.EXIT).write_text("{")
    (tmp_path / exits.START).write_text(json.dumps(["x"]))
    assert exits.read_exit(tmp_path, os.getpid(), None) == Exit()


def test_the_kernel_s_counter_is_read(tmp_path, monkeypatch):
    for name, text in (("events", "low 0\noom_kill 3\n"), ("vmstat", "pgfault 9\noom_kill 5\n")):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(exits, "_KERNEL_COUNTERS", tuple(tmp_path / n for n in ("events", "vmstat", "gone")))
    assert exits.count_memory_kills() == 5
    monkeypatch.setattr(exits, "_KERNEL_COUNTERS", (tmp_path / "gone",))
    assert exits.count_memory_kills() is None
