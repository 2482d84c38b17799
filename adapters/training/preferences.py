"""Learning from preferences: trl's DPO and KTO trainers, fed with rows that are tokens already.

trl's own preparation of rows is never run: what is trained on is what `adapters.training.rendering` made, so
that the template is that of the questions later, and nothing is cut. The model before training, with which
both compare, is a frozen copy of the untrained (or continued) LoRA, made by trl.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
from trl.trainer.utils import FusedCausalLMOutput

from adapters.recipe import Hyperparameters
from adapters.training.batching import OrderedSampler
from adapters.training.checkpoints import ResumableTrainer
from adapters.training.loss import PLAIN_HEADS, score_answers
from adapters.training.progress import Listener
from adapters.training.rendering import Encoded
from adapters.training.reporter import ReportingTrainer

log = logging.getLogger(__name__)

# trl's name → ours, of what is measured on the held-out part; rewards are beta × the change of an answer's
# log-probability, nats.
REWARDS = {"rewards/accuracies": "reward_accuracy", "rewards/margins": "reward_margin"}


@dataclass(frozen=True)
class Method:
    """How an objective is trained by trl.

    Args:
        trainer: the class that trains.
        config: the class of its arguments.
        columns: puts encoded rows into the columns that it reads.
        arguments: what the objective adds to those that all have in common.
        collator: makes batches; None leaves that to trl.
    """

    trainer: type
    config: type
    columns: Callable[[Sequence[Encoded]], Dataset]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    collator: Callable[[Sequence[dict[str, Any]]], dict[str, Tensor]] | None = None


def choose_method(settings: Hyperparameters, train: Sequence[Encoded], padding: int) -> Method:
    """How dpo or kto is trained.

    Args:
        settings: give objective and beta.
        train: what is learned from.
        padding: the token that fills batches up.
    """
    if settings.objective == "dpo":
        return Method(PairTrainer, DPOConfig, pair_columns, {"beta": settings.beta})
    weights = balance(train)
    if max(weights.values()) > 1:
        log.info("Weights of wanted and unwanted answers: %.3g and %.3g", *weights.values())
    first = {tuple(row.prompt_ids): row for row in reversed(train)}  # one row of each prompt
    spare = list(label_columns(list(first.values())[-2:]))
    return Method(
        LabelTrainer,
        KTOConfig,
        label_columns,
        {"beta": settings.beta, **weights},
        MismatchCollator(padding, spare),
    )


class PairTrainer(ResumableTrainer, ReportingTrainer, DPOTrainer):  # type: ignore[misc]  # trl has no types
    """trl's DPO on encoded pairs, in an order that can be resumed."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        _spare_masked_positions(self)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> OrderedSampler:
        return _sampler(self, train_dataset)

    def _compute_loss(self, model: Any, inputs: dict[str, Tensor], return_outputs: bool) -> Any:
        loss = super()._compute_loss(model, inputs, return_outputs)
        pairs = len(inputs["input_ids"]) // 2
        _weigh(self, dict.fromkeys(("rewards/accuracies", "rewards/margins"), pairs))
        return loss


class LabelTrainer(ResumableTrainer, ReportingTrainer, KTOTrainer):  # type: ignore[misc]  # trl has no types
    """trl's KTO on encoded answers, in an order that can be resumed.

    trl pairs each prompt with an answer to another one when it prepares the rows, for batches in the order of
    the file. Here `MismatchCollator` does it for the batches as they are drawn, so that rows can be shuffled.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        _spare_masked_positions(self)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> OrderedSampler:
        return _sampler(self, train_dataset)

    def _compute_loss(self, model: Any, inputs: dict[str, Tensor], return_outputs: bool) -> Any:
        loss = super()._compute_loss(model, inputs, return_outputs)
        wanted = int(inputs["label"].sum())
        _weigh(self, {"rewards/chosen": wanted, "rewards/rejected": len(inputs["label"]) - wanted})
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """The margin is that of all rows; trl's is the mean of batches that happen to have both kinds."""
        figures = self._metrics["train" if self.model.training else "eval"]
        chosen, rejected = figures.get("rewards/chosen"), figures.get("rewards/rejected")
        figures.pop("rewards/margins", None)
        if chosen and rejected:
            figures["rewards/margins"] = [sum(chosen) / len(chosen) - sum(rejected) / len(rejected)]
        super().log(logs, start_time)


@dataclass
class MismatchCollator:
    """Pads labelled answers, and beside each puts its prompt with an answer to another one.

    From these KTO reckons how far the model has moved altogether; nothing is learned from them. The other
    answer is the next one in the batch whose prompt differs, or a spare one where there is none, cut so that
    no sequence gets longer than those to learn from: they are as long as the model can read, or memory holds.

    Args:
        padding: token that fills up.
        spare: rows for batches of a single prompt.
    """

    padding: int
    spare: Sequence[dict[str, Any]]

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """What trl's KTO takes, [rows, length]."""
        prompts = [row["prompt_ids"] for row in rows]
        answers = [row["completion_ids"] for row in rows]
        longest = max(len(row["prompt_ids"]) + len(row["completion_ids"]) for row in rows)
        others = [
            self._mismatch(rows, number)[: longest - len(prompt)] for number, prompt in enumerate(prompts)
        ]
        mismatched = self._pad(prompts, others)
        return {
            **self._pad(prompts, answers),
            **{f"KL_{name}": tensor for name, tensor in mismatched.items()},
            "label": torch.tensor([row["label"] for row in rows]),
        }

    def _mismatch(self, rows: Sequence[dict[str, Any]], number: int) -> list[int]:
        own = rows[number]["prompt_ids"]
        candidates = [*rows[number + 1 :], *rows[:number], *self.spare]
        other = next((row for row in candidates if row["prompt_ids"] != own), candidates[0])
        answer: list[int] = other["completion_ids"]
        return answer

    def _pad(self, prompts: Sequence[list[int]], answers: Sequence[list[int]]) -> dict[str, Tensor]:
        def fill(rows: Sequence[list[int]], value: int) -> Tensor:
            return pad_sequence(list(map(torch.tensor, rows)), batch_first=True, padding_value=value)

        pairs = list(zip(prompts, answers, strict=True))
        return {
            "input_ids": fill([prompt + answer for prompt, answer in pairs], self.padding),
            "attention_mask": fill([[1] * len(prompt + answer) for prompt, answer in pairs], 0),
            "completion_mask": fill([[0] * len(prompt) + [1] * len(answer) for prompt, answer in pairs], 0),
        }


class RewardLog(TrainerCallback):  # type: ignore[misc]  # transformers is not checked
    """Draws how well better answers are told from worse ones.

    Args:
        progress: told the figures.
    """

    def __init__(self, progress: Listener) -> None:
        self._progress = progress

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """A dot of what was learned, or measured, since the last."""
        known = {
            f"{prefix}{name}": value
            for prefix in ("", "eval_")
            for name, value in read_rewards(logs or {}, prefix).items()
        }
        if known:
            self._progress.point(state.global_step, epoch=state.epoch, **known)


def read_rewards(logs: dict[str, float], prefix: str) -> dict[str, float]:
    """The figures of `REWARDS` among what trl has logged, by our names.

    Args:
        logs: trl's name → value.
        prefix: ``eval_`` for the held-out part, else empty.
    """
    return {ours: logs[prefix + theirs] for theirs, ours in REWARDS.items() if prefix + theirs in logs}


def held_out_rewards(trainer: Trainer) -> dict[str, float]:
    """The held-out reward figures of the weights that are kept, for the adapter's metrics; none for sft.

    They are read from the trainer's own record, which checkpoints hold, so that a resumed run has them too.

    Args:
        trainer: after training.
    """
    state = trainer.state
    step = state.best_global_step if trainer.args.load_best_model_at_end else state.global_step
    measured = [read_rewards(entry, "eval_") for entry in state.log_history if entry["step"] == step]
    return {f"eval_{name}": value for figures in measured for name, value in figures.items()}


def pair_columns(rows: Sequence[Encoded]) -> Dataset:
    """Encoded pairs as `PairTrainer` takes them."""
    pairs = [(row, row.rejected) for row in rows if row.rejected is not None]
    return Dataset.from_list(
        [
            {"prompt_ids": row.prompt_ids, "chosen_ids": row.answer_ids, "rejected_ids": rejected.answer_ids}
            for row, rejected in pairs
        ]
    )


def label_columns(rows: Sequence[Encoded]) -> Dataset:
    """Encoded answers as `LabelTrainer` takes them."""
    return Dataset.from_list(
        [
            {"prompt_ids": row.prompt_ids, "completion_ids": row.answer_ids, "label": bool(row.wanted)}
            for row in rows
        ]
    )


def balance(rows: Sequence[Encoded]) -> dict[str, float]:
    """Weights that let wanted and unwanted answers count the same: Ethayarajh et al. 2024, equation 8.

    Of whichever there are fewer, each one counts more.
    """
    wanted = max(1, sum(bool(row.wanted) for row in rows))
    unwanted = max(1, len(rows) - wanted)
    return {
        "desirable_weight": max(1.0, unwanted / wanted),
        "undesirable_weight": max(1.0, wanted / unwanted),
    }


def _sampler(trainer: Any, train_dataset: Dataset | None) -> OrderedSampler:
    rows = trainer.train_dataset if train_dataset is None else train_dataset
    answers = [rows[name] for name in rows.column_names if name.endswith("_ids") and name != "prompt_ids"]
    longest = [max(map(len, row)) for row in zip(*answers, strict=True)]
    lengths = [len(prompt) + answer for prompt, answer in zip(rows["prompt_ids"], longest, strict=True)]
    size = trainer.args.train_batch_size * trainer.args.gradient_accumulation_steps
    return OrderedSampler(size, lengths=lengths, seed=trainer.args.seed)


def _weigh(trainer: Any, counts: dict[str, int]) -> None:
    """Let the latest batch's figures count once a row; trl would give a small last batch the same weight."""
    figures = trainer._metrics["train" if trainer.model.training else "eval"]
    for name, count in counts.items():
        if count > 1:
            figures[name].extend([figures[name][-1]] * (count - 1))


def _spare_masked_positions(trainer: Any) -> None:
    """On a processor, project only the answers onto the vocabulary, and measure nothing that nobody reads.

    There trl scores every position, prompts included, and reckons entropies and mean logits on the way. Its
    trainers ask a model for all this by one call, which is answered here.
    """
    core = trainer.model.get_base_model()
    if trainer.args.device.type != "cpu" or core.config.model_type not in PLAIN_HEADS:
        return
    full = core.forward

    @wraps(full)  # asked for by `generate`, which passes on only what a signature names
    def forward(*given: Any, fused_lm_head: bool = False, labels: Tensor | None = None, **inputs: Any) -> Any:
        if not fused_lm_head:
            return full(*given, labels=labels, **inputs)
        scores = score_answers(core, inputs, labels)
        unread = torch.zeros_like(scores, requires_grad=False)
        return FusedCausalLMOutput(
            log_probs=scores, entropy=unread, mean_logits=unread, is_top1=unread.bool()
        )

    core.forward = forward
