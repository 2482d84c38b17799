"""Whose turn it is in a llama.cpp server, without one."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from adapters.engines.base import GenerationRequest, Turn
from adapters.engines.llama_slots import Seat, Slots
from db.vocabulary import Role


def request(voice: str | None, *said: str) -> GenerationRequest:
    return GenerationRequest(tuple(Turn(Role.USER, text) for text in said or ("?",)), voice)


def take(slots: Slots, voice: str | None, *said: str) -> Seat:
    seat = slots.take(request(voice, *said), threading.Event())
    assert seat is not None
    return seat


class Waiting:
    """Someone who waits in a thread of their own."""

    def __init__(self, slots: Slots, voice: str | None) -> None:
        self.given_up, self.seat = threading.Event(), None
        before = slots.waiting
        self._thread = threading.Thread(target=self._wait, args=(slots, voice), daemon=True)
        self._thread.start()
        while slots.waiting == before and self._thread.is_alive():
            time.sleep(0.001)

    def _wait(self, slots: Slots, voice: str | None) -> None:
        self.seat = slots.take(request(voice), self.given_up)

    def arrives(self) -> Seat:
        self._thread.join(5)
        assert self.seat is not None
        return self.seat

    @property
    def waits(self) -> bool:
        self._thread.join(0.15)
        return self._thread.is_alive()


def test_one_voice_speaks_at_a_time_and_its_own_may_join() -> None:
    slots = Slots(3)
    first, second = take(slots, "a"), take(slots, "a")
    assert first.slot is not second.slot
    other = Waiting(slots, "b")
    assert other.waits
    assert (slots.running, slots.waiting) == (2, 1)
    slots.give_back(first)
    assert other.waits
    slots.give_back(second)
    assert other.arrives()


def test_nobody_joins_past_another_voice_that_waits() -> None:
    slots = Slots(3)
    speaking = take(slots, "a")
    other, late = Waiting(slots, "b"), Waiting(slots, "a")
    assert late.waits
    slots.give_back(speaking)
    seat = other.arrives()
    assert late.waits
    slots.give_back(seat)
    assert late.arrives()


def test_those_of_one_voice_speak_together_as_many_as_there_are_slots() -> None:
    slots = Slots(2)
    speaking = take(slots, None)
    line = [Waiting(slots, voice) for voice in ("a", "b", "a", "a")]
    slots.give_back(speaking)
    together = [line[0].arrives(), line[2].arrives()]
    assert line[1].waits
    assert line[3].waits
    for seat in together:
        slots.give_back(seat)
    slots.give_back(line[1].arrives())
    assert line[3].arrives()


def test_who_gives_up_leaves_the_line() -> None:
    slots = Slots(1)
    speaking = take(slots, "a")
    gone, next_one = Waiting(slots, "b"), Waiting(slots, "a")
    gone.given_up.set()
    assert not gone.waits
    assert gone.seat is None
    slots.give_back(speaking)
    assert next_one.arrives()


def test_a_slot_is_reused_by_its_own_voice_and_forgets_with_another() -> None:
    slots = Slots(2)
    for voice in ("a", "b"):
        seat = take(slots, voice, "one")
        assert not seat.may_reuse  # nothing is remembered yet
        slots.give_back(seat)
    again = take(slots, "a", "one", "more")
    assert (again.slot.index, again.may_reuse) == (0, True)
    slots.give_back(again)
    other = take(slots, None)
    assert (other.slot.index, other.may_reuse) == (1, False)  # the one that was left alone for longest
    slots.give_back(other)
    assert take(slots, "a", "one").may_reuse


def test_under_load_no_two_voices_speak_at_once_and_nobody_starves() -> None:
    slots, speaking, wrong = Slots(3), [], []
    waited: list[float] = []

    def speak(voice: str) -> None:
        for _ in range(20):
            began = time.monotonic()
            seat = take(slots, voice)
            waited.append(time.monotonic() - began)
            speaking.append(voice)
            time.sleep(0.001)
            wrong.extend(other for other in speaking if other != voice)
            speaking.remove(voice)
            slots.give_back(seat)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(speak, "aaaaaaabbccc"))
    assert not wrong
    assert len(waited) == 240
    assert max(waited) < 5
    assert (slots.running, slots.waiting) == (0, 0)
