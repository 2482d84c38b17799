"""Finding the phrases of many concepts in one walk over the words.

A phrase is written as people would say it, in base forms, with ``(a|b)`` for alternatives, ``[a]`` for what
may be missing, ``#`` for a number, ``_`` for any one word and ``=a`` for exactly this form; ``@name`` takes
another concept's phrases in. Small words ("is", "my", "really") may stand between its words. A word in a
phrase matches the word as written or its base form.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from elara_ui.clinical.redflags.text import Word

_TOKEN = re.compile(r"[()\[\]|]|[^\s()\[\]|]+")
_BRACKETS = frozenset("()[]|")
_CLOSING = {"(": ")", "[": "]"}
_MOST_FILLERS = 3  # small words between two words of a phrase


class Hit(NamedTuple):
    """A phrase found.

    Args:
        concept: whose phrase it is.
        start: its first word, counted from 0.
        end: the word after its last.
    """

    concept: str
    start: int
    end: int


@dataclass(slots=True)
class _Node:
    after: dict[str, list["_Node"]] = field(default_factory=dict)
    alone: dict[str, "_Node"] = field(default_factory=dict)  # those that no other node leads to
    concepts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple["_Sequence", ...]
    optional: bool


_Sequence = tuple["str | _Choice", ...]


class PhraseBook:
    """All phrases of all concepts, as a graph of words: alternatives meet again behind their brackets.

    Args:
        concepts: name → phrases.
        fillers: small words that may stand inside a phrase.

    Raises:
        ValueError: a phrase is written wrongly or takes in a concept that isn't there.
    """

    def __init__(self, concepts: Mapping[str, Sequence[str]], fillers: AbstractSet[str]) -> None:
        root = _Node()
        self._fillers = fillers
        self._words = words_of(concepts)
        for phrase, names in _holders(concepts).items():
            for end in _grow(parse_phrase(phrase), [root]):
                if end is root:
                    raise ValueError(f"Concept {names[0]!r}: everything in {phrase!r} may be missing.")
                end.concepts = (*end.concepts, *names)
        self._start = _State((root,))
        self._states: dict[tuple[int, ...], _State] = {}

    def find(self, words: Sequence[Word]) -> list[Hit]:
        """Every phrase in the words, each concept's longest at a place."""
        hits: list[Hit] = []
        keyed = [(self._key(word), word) for word in words]
        clause_end = 0
        for start, (key, word) in enumerate(keyed):
            if start == clause_end:
                clause_end = _clause_end(words, start)
            state = self._move(self._start, word, key)
            if state is not None:
                longest = self._follow(state, keyed, start + 1, clause_end)
                hits += [Hit(concept, start, end) for concept, end in longest.items()]
        return hits

    def _follow(
        self, state: "_State", keyed: Sequence[tuple[str, Word]], begin: int, end: int
    ) -> Mapping[str, int]:
        """Where each concept ends last, walking on from a state to the end of the clause."""
        longest = dict.fromkeys(state.concepts, begin)
        active = {state: 0} if state.goes_on else {}  # state → small words skipped since its last step
        for at in range(begin, end):
            key, word = keyed[at]
            following: dict[_State, int] = {}
            for reached, skipped in active.items():
                moves = reached.moves
                moved = moves[key] if key in moves else self._move(reached, word, key)
                if moved is not None:
                    for concept in moved.concepts:
                        longest[concept] = at + 1
                    if moved.goes_on:
                        following[moved] = 0
                if skipped < _MOST_FILLERS and word.raw in self._fillers:
                    following[reached] = min(skipped + 1, following.get(reached, _MOST_FILLERS))
            if not following:
                break
            active = following
        return longest

    def _key(self, word: Word) -> str:
        """Under what a step is remembered: words that no phrase has are all alike."""
        if word.raw in self._words or word.base in self._words:
            return word.raw
        return "_" if word.number is None else "#"

    def _move(self, state: "_State", word: Word, key: str) -> "_State | None":
        """The state behind a word, worked out once and remembered: the phrases make a graph, not a tree."""
        if key in state.moves:
            return state.moves[key]
        nodes = {id(node): node for name in _keys(word) for node in state.after.get(name, ())}
        reached = None
        if nodes:
            identity = tuple(sorted(nodes))
            reached = self._states.get(identity)
            if reached is None:
                reached = self._states[identity] = _State(tuple(nodes[number] for number in identity))
        state.moves[key] = reached
        return reached


class _State:
    """Several nodes at once: what may have been read so far."""

    __slots__ = ("after", "concepts", "goes_on", "moves")

    def __init__(self, nodes: tuple[_Node, ...]) -> None:
        self.concepts = tuple(dict.fromkeys(concept for node in nodes for concept in node.concepts))
        self.after: dict[str, list[_Node]] = {}
        for node in nodes:
            for word, following in node.after.items():
                self.after.setdefault(word, []).extend(following)
        self.goes_on = bool(self.after)
        self.moves: dict[str, _State | None] = {}


def _holders(concepts: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    """Phrase → the concepts that have it, for many take others' in."""
    holders: dict[str, list[str]] = {}
    for name in concepts:
        for phrase in dict.fromkeys(gather_phrases(name, concepts)):
            holders.setdefault(phrase, []).append(name)
    return holders


def _grow(sequence: _Sequence, starts: list[_Node]) -> list[_Node]:
    """Hang a sequence on nodes; returns where it ends."""
    current = starts
    for item in sequence:
        if isinstance(item, str):
            current = [_step(current, item)]
            continue
        shared = _Node()
        ends = [shared]
        for option in item.options:
            *front, last = option
            before = _grow(tuple(front), current)
            if isinstance(last, str):
                _link(before, last, shared)
            else:
                ends.extend(_grow((last,), before))
        current = ends + current if item.optional else ends
    return current


def _step(nodes: list[_Node], word: str) -> _Node:
    """The node that a word leads to; phrases that begin alike share it."""
    if len(nodes) > 1:
        target = _Node()
        _link(nodes, word, target)
        return target
    [node] = nodes
    if word not in node.alone:
        node.alone[word] = _Node()
        _link(nodes, word, node.alone[word])
    return node.alone[word]


def _link(nodes: Sequence[_Node], word: str, target: _Node) -> None:
    for node in nodes:
        node.after.setdefault(word, []).append(target)


def gather_phrases(
    name: str, concepts: Mapping[str, Sequence[str]], seen: tuple[str, ...] = ()
) -> Iterator[str]:
    """A concept's phrases, with those of the concepts that it takes in.

    Raises:
        ValueError: one that isn't there, or that takes itself in.
    """
    if name not in concepts or name in seen:
        raise ValueError(f"Concept {name!r} {'takes itself in' if name in seen else 'is not defined'}.")
    for phrase in concepts[name]:
        if phrase.startswith("@"):
            yield from gather_phrases(phrase[1:], concepts, (*seen, name))
        else:
            yield phrase


def parse_phrase(phrase: str) -> _Sequence:
    """Read a phrase.

    Raises:
        ValueError: its brackets don't match.
    """
    if not _BRACKETS.intersection(phrase):
        return tuple(phrase.lower().split())
    tokens = _TOKEN.findall(phrase.lower())[::-1]
    options = _parse_options(tokens, phrase, closing="")
    if tokens:
        raise ValueError(f"Phrase {phrase!r} closes a bracket that it never opened.")
    return options[0] if len(options) == 1 else (_Choice(options, optional=False),)


def _parse_options(tokens: list[str], phrase: str, closing: str) -> tuple[_Sequence, ...]:
    """Take tokens off the end of the list up to the closing bracket; what stands between its bars."""
    options: list[list[str | _Choice]] = [[]]
    while tokens and tokens[-1] not in ")]":
        part = tokens.pop()
        if part == "|":
            options.append([])
        elif part in "([":
            inner = _parse_options(tokens, phrase, _CLOSING[part])
            options[-1].append(_Choice(inner, optional=part == "["))
        else:
            options[-1].append(part)
    if closing and (not tokens or tokens.pop() != closing):
        raise ValueError(f"Phrase {phrase!r} lacks its {closing!r}.")
    if not all(options):
        raise ValueError(f"Phrase {phrase!r} has an alternative without words.")
    return tuple(map(tuple, options))


def split_phrases(written: str | Sequence[str]) -> list[str]:
    """The phrases of a concept: a list, or a text with commas between them."""
    if not isinstance(written, str):
        return [str(phrase) for phrase in written]
    return [phrase.strip() for phrase in written.split(",") if phrase.strip()]


def words_of(concepts: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Every word that occurs in a phrase."""
    own = (phrase for phrases in concepts.values() for phrase in phrases if not phrase.startswith("@"))
    return frozenset(re.findall(r"[a-z0-9'/]+", " ".join(own).lower()))


def _clause_end(words: Sequence[Word], start: int) -> int:
    """The place behind the clause that a word stands in."""
    clause = words[start].clause
    ahead = range(start + 1, len(words))
    return next((at for at in ahead if words[at].clause != clause), len(words))


def _keys(word: Word) -> tuple[str, ...]:
    keys = (word.raw, "=" + word.raw) if word.base == word.raw else (word.raw, "=" + word.raw, word.base)
    return (*keys, "#", "_") if word.number is not None else (*keys, "_")
