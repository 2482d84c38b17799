"""How many threads answer best on a machine, within what a container may use."""

import os

import pytest

from adapters import processors
from adapters.processors import Threads, choose_threads, count_cores


@pytest.fixture
def machine(monkeypatch):
    """A machine of so many logical processors and cores, all of them this process's."""

    def make(logical, physical, system="linux"):
        monkeypatch.setattr(processors.os, "sched_getaffinity", lambda _: set(range(logical)), raising=False)
        counts = {True: logical, False: physical}
        monkeypatch.setattr(processors.psutil, "cpu_count", lambda logical=True: counts[logical])
        monkeypatch.setattr(processors.sys, "platform", system)

    return make


def test_this_machine_has_at_least_a_core_and_no_more_than_it_says():
    assert 1 <= count_cores() <= os.cpu_count()


@pytest.mark.parametrize(
    ("written", "cores"), [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1)]
)
def test_a_container_s_limit_counts_in_whole_cores(machine, tmp_path, written, cores):
    machine(8, 8)
    (tmp_path / "cpu.max").write_text(written)
    assert count_cores(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("300000", 3)])
def test_so_does_one_of_the_older_kind(machine, tmp_path, quota, cores):
    machine(8, 8)
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert count_cores(tmp_path) == cores


@pytest.mark.parametrize(
    ("logical", "physical", "system", "threads"),
    [
        (2, 2, "linux", Threads(reading=2, writing=2)),
        (8, 4, "linux", Threads(reading=8, writing=4)),
        (8, 8, "darwin", Threads(reading=8, writing=4)),
        (8, None, "linux", Threads(reading=8, writing=4)),
        (1, 1, "linux", Threads(reading=1, writing=1)),
    ],
)
def test_threads_that_write_have_a_core_of_their_own(machine, tmp_path, logical, physical, system, threads):
    machine(logical, physical, system)
    assert choose_threads(root=tmp_path) == threads


@pytest.mark.parametrize(("logical", "physical", "writing"), [(2, 2, 1), (1, 1, 1), (8, 4, 4), (4, 4, 3)])
def test_a_spared_core_is_left_to_other_programs_when_writing(machine, tmp_path, logical, physical, writing):
    machine(logical, physical)
    assert choose_threads(1, tmp_path) == Threads(logical, writing)
