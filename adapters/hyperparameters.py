"""Every knob of a training run: its rule, its default and what it does in plain words.

`HYPERPARAMETERS` is the one table behind the page's form, the command line's ``--set`` and the checks.
Ranges are what the trainer accepts; the usual ranges, given as hints, are those of `docs/fine-tune.md`.
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from adapters.errors import RecipeError
from adapters.hyperparameter_info import GROUP_TITLES, HyperparameterInfo, show_value

__all__ = [
    "GROUP_TITLES",
    "HYPERPARAMETERS",
    "Difference",
    "HyperparameterInfo",
    "Hyperparameters",
    "compare",
    "override",
    "show_value",
]

USUAL_SCALE = (1.0, 2.0)  # alpha ÷ rank, or ÷ √rank where it is stabilised: what the adapter is scaled by
FAST_FOR_PREFERENCES = 5e-5  # learning rate; dpo and kto push whole answers apart, not token by token

HYPERPARAMETERS: tuple[HyperparameterInfo, ...] = (
    HyperparameterInfo(
        "objective", "Objective", "main", "choice", "sft",
        "What is learned from the data. sft imitates the answers. dpo learns which of two answers is better, "
        "from rows with a chosen and a rejected answer. kto learns from single answers labelled as wanted or "
        "not. Begin with sft; dpo and kto sharpen judgement rather than teach facts, and want about a tenth "
        "of its learning rate. All three learn from answers alone, never from prompts.",
        choices=("sft", "dpo", "kto"),
    ),
    HyperparameterInfo(
        "beta", "Beta", "main", "float", 0.1,
        "For dpo and kto: how firmly the adapter is held to the way the model answered before. Small lets "
        "it move far for a preference, large keeps it close. sft ignores it.",
        minimum=0.001, maximum=10.0, usual=(0.01, 0.5),
        advice="lower drifts into odd answers, higher hardly learns.",
    ),
    HyperparameterInfo(
        "lora_r", "Rank (r)", "main", "int", 16,
        "How much room the adapter has to learn. A small rank can pick up a tone and a reading level; a "
        "large one can hold more facts, costs more memory and learns small sets by heart. Take 4 to 8 for "
        "a few hundred examples, 16 to 32 for thousands.",
        minimum=1, maximum=256, usual=(4, 64),
        advice="very small ranks learn little, very large ones overfit.",
    ),
    HyperparameterInfo(
        "lora_alpha", "Alpha", "main", "int", 32,
        "How loudly the adapter speaks: its change to the model is scaled by alpha ÷ rank. Twice the rank "
        "is a good rule of thumb; raise it if the adapter makes too little difference. With rank "
        "stabilising it is scaled by alpha ÷ √rank instead, so take once or twice the root of the rank.",
        minimum=1, maximum=1024,
    ),
    HyperparameterInfo(
        "lora_dropout", "Dropout", "main", "float", 0.1,
        "The share of the adapter's inputs hidden at random in each training step, so that it can't lean "
        "on single examples. Take 0.2 to 0.3 for small sets and 0 to 0.05 for large ones.",
        minimum=0.0, maximum=0.9, usual=(0.0, 0.3), advice="above 0.3 most of what is shown is thrown away.",
    ),
    HyperparameterInfo(
        "target_modules", "Target modules", "main", "modules", (),
        "The layers that get an adapter. Empty chooses by the model's architecture: q_proj, k_proj, "
        "v_proj, o_proj for LLaMA, Mistral, SmolLM2 and Qwen; c_attn, c_proj for GPT-2 and DialoGPT; "
        "query_key_value, dense for BLOOM. Adding the MLP layers (gate_proj, up_proj, down_proj) learns "
        "more and costs more. Names are checked against the model before training starts.",
    ),
    HyperparameterInfo(
        "use_rslora", "Rank-stabilised LoRA", "main", "bool", False,
        "Scales by alpha ÷ √rank instead of alpha ÷ rank, which keeps large ranks learning. Makes little "
        "difference below rank 32.",
    ),
    HyperparameterInfo(
        "continue_from", "Continue from", "main", "adapter", "",
        "Starts from the weights of an adapter that is there, such as patient@1, to teach it more; empty "
        "starts afresh. Rank, alpha, target modules and rank stabilising are then that adapter's. It is a "
        "new run with its own data and makes a new version; a run that was broken off is resumed instead, "
        "from the list of runs. The loss before training is then the adapter's, not the base model's.",
    ),
    HyperparameterInfo(
        "num_epochs", "Epochs", "schedule", "int", 3,
        "How many times the whole set is shown. Take 3 to 5 for small sets and 1 to 3 for large ones, and "
        "watch the held-out loss: once it rises while the training loss falls, the model is learning by "
        "heart.",
        minimum=1, maximum=100, usual=(1, 10),
        advice="many passes over the same examples end in learning by heart.",
    ),
    HyperparameterInfo(
        "max_steps", "Most steps", "schedule", "int", 0,
        "Ends training after this many updates, unless the epochs end it sooner. 0 leaves it to the epochs. "
        "A handful of steps is a quick way to try whether everything works.",
        minimum=0, maximum=1_000_000,
    ),
    HyperparameterInfo(
        "batch_size", "Batch size", "schedule", "int", 4,
        "How many examples are worked on at once. Larger is steadier and needs more memory: 2 to 4 on a "
        "processor, 8 to 32 on a graphics card.",
        minimum=1, maximum=512, usual=(1, 32),
        advice="memory grows with it; accumulation has the same effect for less.",
    ),
    HyperparameterInfo(
        "gradient_accumulation_steps", "Gradient accumulation", "schedule", "int", 1,
        "How many batches are added up before one update. The effective batch is batch size × "
        "accumulation, at the memory of one batch.",
        minimum=1, maximum=1024, usual=(1, 64), advice="few updates remain for a small set.",
    ),
    HyperparameterInfo(
        "learning_rate", "Learning rate", "schedule", "float", 2e-4,
        "The size of each update. Between 1e-4 and 5e-4 suits LoRA. If the loss jumps about or grows, "
        "lower it; if it doesn't fall, raise it.",
        minimum=1e-8, maximum=1.0, usual=(1e-5, 1e-3),
        advice="lower barely learns, higher tends to break the model.",
    ),
    HyperparameterInfo(
        "scheduler", "Schedule", "schedule", "choice", "cosine",
        "How the learning rate goes on after warm-up: cosine eases out gently, linear falls steadily, "
        "constant stays.",
        choices=("cosine", "linear", "constant"),
    ),
    HyperparameterInfo(
        "warmup_ratio", "Warm-up", "schedule", "float", 0.1,
        "The share of all steps in which the learning rate climbs from zero, so that the first, noisy "
        "updates do no damage.",
        minimum=0.0, maximum=0.5, usual=(0.0, 0.2),
        advice="much of the training is spent below the chosen rate.",
    ),
    HyperparameterInfo(
        "weight_decay", "Weight decay", "schedule", "float", 0.01,
        "Pulls the adapter's weights gently towards zero, against overfitting.",
        minimum=0.0, maximum=1.0, usual=(0.0, 0.1), advice="the adapter is held back from learning.",
    ),
    HyperparameterInfo(
        "early_stopping_patience", "Early stopping patience", "schedule", "int", 0,
        "Stops once the held-out loss has failed to improve this many times in a row (it is measured at "
        "the end of every epoch), and keeps the best weights. 0 switches it off. It needs a held-out "
        "part.",
        minimum=0, maximum=100,
    ),
    HyperparameterInfo(
        "seed", "Seed", "schedule", "int", 42,
        "Fixes every random choice (sampling, split, order, starting weights), to repeat a run.",
        minimum=0, maximum=2**31 - 1,
    ),
    HyperparameterInfo(
        "max_samples", "Most examples", "data", "int", 5000,
        "Uses at most this many examples, drawn at random by the seed. A few hundred careful and varied "
        "ones teach more than thousands of careless ones.",
        minimum=1, maximum=1_000_000,
    ),
    HyperparameterInfo(
        "eval_fraction", "Held-out share", "data", "float", 0.1,
        "The share of questions kept apart to measure how well the adapter does on what it has not seen. "
        "No question is ever on both sides. 0 measures nothing.",
        minimum=0.0, maximum=0.5, usual=(0.0, 0.3), advice="little is left to learn from.",
    ),
    HyperparameterInfo(
        "max_length", "Longest example", "data", "int", 1024,
        "Tokens of prompt and answer together (100 English words are about 130 tokens). An answer is never "
        "cut short: that would teach the model to stop in mid-sentence.",
        minimum=32, maximum=32768, usual=(128, 4096),
        advice="short limits lose examples, long ones need much memory.",
    ),
    HyperparameterInfo(
        "overlong", "Examples that are too long", "data", "choice", "drop",
        "What happens to an example over the limit: drop leaves it out and counts it, truncate_prompt takes "
        "away the oldest part of its prompt and keeps the answer whole, stop refuses to train.",
        choices=("drop", "truncate_prompt", "stop"),
    ),
    HyperparameterInfo(
        "packing", "Packing", "data", "bool", False,
        "Puts several short examples into one row of up to max_length tokens; none of them sees another. It "
        "keeps a graphics card busy when examples are short. Batch size then counts rows, so an update "
        "learns from more examples and there are fewer of them: take a smaller batch or more epochs. On a "
        "processor it gains nothing, as batches of like length hardly hold padding anyway.",
    ),
    HyperparameterInfo(
        "precision", "Precision", "memory", "choice", "auto",
        "The numbers used for computing. auto takes bf16 where the processor or card has it (half the "
        "memory, faster), else fp16 on a graphics card, else fp32. fp16 needs a graphics card.",
        choices=("auto", "bf16", "fp16", "fp32"),
    ),
    HyperparameterInfo(
        "quantization", "Quantised base", "memory", "choice", "none",
        "Holds the frozen base model in 8 or 4 bits (NF4) to save memory; the adapter itself stays "
        "precise. For 7B models on cards of 8 GB and more; on a processor it works and is slow.",
        choices=("none", "8bit", "4bit"),
    ),
    HyperparameterInfo(
        "gradient_checkpointing", "Gradient checkpointing", "memory", "bool", False,
        "Forgets intermediate results and computes them again when needed: much less memory for about a "
        "third more time.",
    ),
    HyperparameterInfo(
        "logging_steps", "Log every", "record", "int", 10,
        "Steps between two dots of the loss chart.",
        minimum=1, maximum=10_000,
    ),
    HyperparameterInfo(
        "save_steps", "Checkpoint every", "record", "int", 100,
        "Steps between two full checkpoints, from which an interrupted run goes on; there is one at the end "
        "of each epoch too. The newest 3 are kept.",
        minimum=1, maximum=100_000,
    ),
    HyperparameterInfo(
        "probe_samples", "Sample answers", "record", "int", 3,
        "How many of the audience's example questions are put to the model at the start and at each "
        "evaluation, so that one sees its voice change. They take seconds and change nothing of what is "
        "learned. 0 asks none.",
        minimum=0, maximum=8,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Hyperparameters:
    """The checked settings of one run; see `HYPERPARAMETERS` for what each means.

    Raises:
        RecipeError: a value breaks its rule.
    """

    objective: str = "sft"
    beta: float = 0.1
    lora_r: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.1
    target_modules: tuple[str, ...] = ()
    use_rslora: bool = False
    continue_from: str = ""
    num_epochs: int = 3
    max_steps: int = 0
    batch_size: int = 4
    gradient_accumulation_steps: int = 1
    learning_rate: float = 2e-4
    scheduler: str = "cosine"
    warmup_ratio: float = 0.1
    weight_decay: float = 0.01
    early_stopping_patience: int = 0
    seed: int = 42
    max_samples: int = 5000
    eval_fraction: float = 0.1
    max_length: int = 1024
    overlong: str = "drop"
    packing: bool = False
    precision: str = "auto"
    quantization: str = "none"
    gradient_checkpointing: bool = False
    logging_steps: int = 10
    save_steps: int = 100
    probe_samples: int = 3

    def __post_init__(self) -> None:
        for info in HYPERPARAMETERS:
            object.__setattr__(self, info.name, info.parse(getattr(self, info.name)))
        if self.early_stopping_patience and not self.eval_fraction:
            raise RecipeError(
                "Early stopping needs a held-out part, but eval_fraction is 0. "
                "Set eval_fraction to 0.1, or early_stopping_patience to 0."
            )
        if self.packing and self.objective != "sft":
            raise RecipeError(
                f"packing puts several answers into one row, which {self.objective} can't compare. "
                "Set packing to false, or objective to sft."
            )
        if self.batch_size < self.smallest_batch:
            raise RecipeError(
                "KTO compares the answers of a batch with each other, so batch_size must be at least 2, but "
                f"it is {self.batch_size}. Set batch_size to 2, or objective to sft or dpo."
            )

    @property
    def smallest_batch(self) -> int:
        """The fewest examples of a batch that the objective can learn from."""
        return 2 if self.objective == "kto" else 1

    def to_dict(self) -> dict[str, Any]:
        """As JSON and YAML hold it; `override` on the defaults gives it back."""
        return asdict(self) | {"target_modules": list(self.target_modules)}

    def hints(self) -> list[str]:
        """What is allowed but unusual, one sentence each; see `adapters.hints` for what the data adds."""
        usual_for_sft = () if self.objective == "sft" else ("learning_rate",)
        numbers = (info for info in HYPERPARAMETERS if info.usual and info.name not in usual_for_sft)
        hints = [hint for info in numbers if (hint := info.unusual(getattr(self, info.name)))]
        hints += self._scale_hints()
        if self.objective != "sft":
            hints += self._preference_hints()
        return hints

    def _scale_hints(self) -> list[str]:
        """Whether alpha is unusual for the rank; an adapter that is continued has settled it."""
        unit = math.sqrt(self.lora_r) if self.use_rslora else self.lora_r
        scale, (low, high) = self.lora_alpha / unit, USUAL_SCALE
        if low <= scale <= high or self.continue_from:
            return []
        of = f"the root of rank {self.lora_r}" if self.use_rslora else f"rank {self.lora_r}"
        usual = sorted({max(1, round(low * unit)), round(high * unit)})
        return [
            f"Alpha {self.lora_alpha} is {scale:.2g} × {of}, where {low:g} to {high:g} × is usual: "
            f"{' to '.join(map(str, usual))}. "
            + ("The adapter may hardly count." if scale < low else "The adapter may drown the base model.")
        ]

    def _preference_hints(self) -> list[str]:
        """What is usual for sft and not for dpo and kto."""
        hints = []
        if self.learning_rate > FAST_FOR_PREFERENCES:
            hints.append(
                f"Learning rate {self.learning_rate:g} is fast for {self.objective}, which usually takes "
                f"5e-6 to {FAST_FOR_PREFERENCES:g}: answers may fall apart."
            )
        if self.lora_dropout:
            hints.append(
                f"{self.objective} compares the adapter with the model before it, so nothing is hidden at "
                f"random: lora_dropout {self.lora_dropout:g} is ignored."
            )
        return hints


@dataclass(frozen=True)
class Difference:
    """One hyperparameter that two sets of settings disagree on.

    Args:
        name: of the hyperparameter.
        label: as the page calls it.
        before: its value in the first, as a person types it.
        after: its value in the second.
    """

    name: str
    label: str
    before: str
    after: str


def compare(first: Hyperparameters, second: Hyperparameters) -> tuple[Difference, ...]:
    """Where two sets of settings differ, in the order of the form."""
    pairs = ((info, getattr(first, info.name), getattr(second, info.name)) for info in HYPERPARAMETERS)
    return tuple(
        Difference(info.name, info.label, show_value(before), show_value(after))
        for info, before, after in pairs
        if before != after
    )


def override(hyperparameters: Hyperparameters, values: Mapping[str, object]) -> Hyperparameters:
    """The same settings with some replaced.

    Args:
        hyperparameters: where the rest comes from.
        values: name → value, typed or as text: ``"8"``, ``"1e-4"``, ``"q_proj,v_proj"``, ``"true"``.

    Raises:
        RecipeError: an unknown name (the closest is suggested), or a value that breaks its rule.
    """
    known = {info.name: info for info in HYPERPARAMETERS}
    for name in values:
        if name not in known:
            raise RecipeError(_unknown(name, list(known)))
    parsed = {name: known[name].parse(value) for name, value in values.items()}
    return replace(hyperparameters, **parsed)


def _unknown(name: str, known: list[str]) -> str:
    nicknames = {"rank": "lora_r", "r": "lora_r", "alpha": "lora_alpha", "lr": "learning_rate"}
    close = nicknames.get(name) or next(iter(difflib.get_close_matches(name, known, n=1)), None)
    remedy = f"Did you mean {close}?" if close else "Known are " + ", ".join(known) + "."
    return f"There is no hyperparameter {name[:60]!r}. {remedy}"
