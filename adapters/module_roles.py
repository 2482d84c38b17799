"""What the layers of each architecture do, so that a recipe's target modules can be named in another one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from adapters.catalog import LINEAR_MODULES, TARGET_MODULES
from adapters.errors import RecipeError

QUERY, KEY, VALUE, OUT, WIDEN, NARROW = "query", "key", "value", "attention output", "MLP in", "MLP out"
_LLAMA: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "q_proj": frozenset({QUERY}),
        "k_proj": frozenset({KEY}),
        "v_proj": frozenset({VALUE}),
        "o_proj": frozenset({OUT}),
        "gate_proj": frozenset({WIDEN}),
        "up_proj": frozenset({WIDEN}),
        "down_proj": frozenset({NARROW}),
    }
)
_ROLES: Mapping[str, Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "llama": _LLAMA,
        "mistral": _LLAMA,
        "qwen2": _LLAMA,
        "qwen3": _LLAMA,
        "gemma": _LLAMA,
        "gpt2": {
            "c_attn": frozenset({QUERY, KEY, VALUE}),
            "c_proj": frozenset({OUT, NARROW}),  # the name of two layers
            "c_fc": frozenset({WIDEN}),
        },
        "bloom": {
            "query_key_value": frozenset({QUERY, KEY, VALUE}),
            "dense": frozenset({OUT}),
            "dense_h_to_4h": frozenset({WIDEN}),
            "dense_4h_to_h": frozenset({NARROW}),
        },
    }
)


@dataclass(frozen=True)
class Translation:
    """Target modules for another architecture.

    Args:
        names: the modules; empty chooses by architecture.
        reason: what became of the former ones and why, a sentence; empty when nothing changed.
    """

    names: tuple[str, ...]
    reason: str = ""


def translate_targets(names: Sequence[str], old: str, new: str) -> Translation:
    """Name a recipe's target modules in another architecture.

    Args:
        names: as in the recipe; empty chose by architecture.
        old: the architecture they are of, transformers' ``model_type``; empty when not known.
        new: the one they shall be of; empty when not known.

    Raises:
        RecipeError: they can't be carried over; the message says which.
    """
    if not names:
        return Translation((), "Target modules are chosen by the new architecture, as before by the old one.")
    listed = ", ".join(names)
    if set(names) == set(TARGET_MODULES.get(old, ())) and old != new:
        return Translation(
            (), f"{listed} were the usual modules of {old}; now those of the new model are taken."
        )
    if old == new and old:
        return Translation(tuple(names))
    if set(names) == set(LINEAR_MODULES.get(old, ())) and new in LINEAR_MODULES:
        every = LINEAR_MODULES[new]
        return Translation(
            every, f"Every linear layer of {old} became every one of {new}: {', '.join(every)}."
        )
    if not new or old not in _ROLES or new not in _ROLES:
        raise RecipeError(_refuse(listed, old, new))
    return _by_role(names, old, new)


def _by_role(names: Sequence[str], old: str, new: str) -> Translation:
    """The fewest layers that do what the former ones did; one layer may do more."""
    known = _ROLES[old]
    foreign = [name for name in names if name not in known]
    if foreign:
        raise RecipeError(_refuse(", ".join(foreign), old, new))
    wanted = frozenset[str]().union(*(known[name] for name in names))
    found = tuple(name for name, roles in _ROLES[new].items() if roles & wanted)
    extra = sorted(frozenset[str]().union(*(_ROLES[new][name] for name in found)) - wanted)
    more = f"; in {new} they also do {', '.join(extra)}" if extra else ""
    if set(found) == set(names):
        return Translation(found)
    return Translation(
        found, f"{', '.join(names)} of {old} became {', '.join(found)}, which do the same{more}."
    )


def _refuse(listed: str, old: str, new: str) -> str:
    return (
        f"Target modules must be layers of the base model, and it isn't known what {listed} "
        f"of {old or 'the former architecture'} would be in {new or 'the new one'}. Set target_modules for "
        "the new base model, or to nothing to choose by architecture."
    )
