"""Whose turn it is in a llama.cpp server, and in which of its slots.

llama.cpp computes requests of one voice (the base model or one adapter) together and never those of two: the
voice in the lowest busy slot is served to its end, and again, however long another waits. So only one voice
is let in at a time, in the order in which they came; who asks in the same voice joins. Slots belong to
nobody: one that changes its voice forgets its prompt, which llama.cpp would reuse without asking which
adapter computed it.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from adapters.engines.base import GenerationRequest, Turn

_LOOK_SECONDS = 0.05  # how often someone who waits looks whether they were cancelled


@dataclass(eq=False)
class Slot:
    """A place of a server, with the prompt that it remembers.

    Args:
        index: the server's number for it.
        voice: who spoke in it last; None for the base model.
        turns: what it was last given; empty when it remembers nothing.
        busy: whether someone speaks in it.
        last_used: counts up; the lowest was left alone for longest.
    """

    index: int
    voice: str | None = None
    turns: tuple[Turn, ...] = ()
    busy: bool = False
    last_used: int = 0

    def remembers(self, request: GenerationRequest) -> int:
        """How many turns at the beginning of a request it has computed in the request's voice."""
        return _count_shared(self.turns, request.turns) if self.voice == request.adapter else 0


@dataclass(frozen=True)
class Seat:
    """A slot taken for one answer.

    Args:
        slot: given back when the answer has ended.
        may_reuse: whether what the slot remembers was computed in this answer's voice.
    """

    slot: Slot
    may_reuse: bool


@dataclass(eq=False)
class _Ticket:
    """Someone who waits."""

    request: GenerationRequest
    invited: bool = False


@dataclass(eq=False)
class Slots:
    """Deals out the slots of one server. Safe to use from any thread.

    Args:
        count: answers that can be written at once.
    """

    count: int
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _slots: list[Slot] = field(default_factory=list)
    _line: list[_Ticket] = field(default_factory=list)
    _uses: int = 0

    def __post_init__(self) -> None:
        self._slots = [Slot(index) for index in range(self.count)]

    @property
    def running(self) -> int:
        """Answers being written."""
        return sum(slot.busy for slot in self._slots)

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return len(self._line)

    def take(self, request: GenerationRequest, given_up: threading.Event) -> Seat | None:
        """Wait for a turn.

        Args:
            given_up: set by whoever no longer wants it.

        Returns:
            The slot to speak in, or None when it was given up before.
        """
        ticket = _Ticket(request)
        with self._changed:
            self._line.append(ticket)
            while not given_up.is_set() and not self._may_enter(ticket):
                self._changed.wait(_LOOK_SECONDS)
            self._line.remove(ticket)
            seat = None if given_up.is_set() else self._sit(ticket)
            self._changed.notify_all()
            return seat

    def give_back(self, seat: Seat) -> None:
        """The answer has ended."""
        with self._changed:
            seat.slot.busy = False
            self._changed.notify_all()

    def _may_enter(self, ticket: _Ticket) -> bool:
        busy = [slot for slot in self._slots if slot.busy]
        if not busy:
            return ticket.invited or ticket is self._line[0]
        if busy[0].voice != ticket.request.adapter or len(busy) == self.count:
            return False
        before = self._line[: self._line.index(ticket)]
        return ticket.invited or all(other.request.adapter == busy[0].voice for other in before)

    def _sit(self, ticket: _Ticket) -> Seat:
        request = ticket.request
        if not self.running and not ticket.invited:
            self._open_turn(request.adapter)
        free = [slot for slot in self._slots if not slot.busy]
        slot = max(free, key=lambda slot: (slot.remembers(request), -slot.last_used))
        seat = Seat(slot, may_reuse=bool(slot.turns) and slot.voice == request.adapter)
        self._uses += 1
        slot.voice, slot.turns, slot.busy, slot.last_used = request.adapter, request.turns, True, self._uses
        return seat

    def _open_turn(self, voice: str | None) -> None:
        """Invite those who wait with the same voice to speak together, as many as there are slots."""
        for ticket in self._line:
            ticket.invited = False
        same = [ticket for ticket in self._line if ticket.request.adapter == voice]
        for ticket in same[: self.count - 1]:
            ticket.invited = True


def _count_shared(mine: Sequence[Turn], theirs: Sequence[Turn]) -> int:
    same = 0
    for one, other in zip(mine, theirs, strict=False):
        if one != other:
            break
        same += 1
    return same
