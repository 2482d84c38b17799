"""One LoRA fit with peft and trl, by any objective: encoded rows in, trained weights and figures out."""

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import PeftModel, get_peft_model_state_dict
from torch import Tensor
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from adapters.errors import RunError
from adapters.recipe import Hyperparameters
from adapters.training.batching import OrderedSampler, planned_steps
from adapters.training.checkpoints import CheckpointRhythm, find_last, keep_stopped, step_of
from adapters.training.loading import LoadedBase
from adapters.training.lora import add_lora, keep_precise, take_over
from adapters.training.loss import PLAIN_HEADS, sum_loss
from adapters.training.packing import PackedRow, arrange
from adapters.training.preferences import Method, RewardLog, choose_method, held_out_rewards
from adapters.training.progress import Listener, RunCancelled
from adapters.training.rendering import IGNORED, Encoded

CHECKPOINTS_KEPT = 3
RATE_STEPS = 20  # steps over which the rate shown is averaged


@dataclass(frozen=True)
class Fit:
    """What came out.

    Args:
        folder: the adapter as peft saves it: safetensors and its configuration.
        metrics: losses (of sft in nats per token), steps, seconds, tokens per second, held-out rewards.
    """

    folder: Path
    metrics: dict[str, float]


def fit(
    base: LoadedBase,
    train: Sequence[Encoded],
    evaluation: Sequence[Encoded],
    hyperparameters: Hyperparameters,
    *,
    folder: Path,
    progress: Listener,
    left_out: int = 0,
    parent: Path | None = None,
) -> Fit:
    """Train a LoRA on a base model, from the last checkpoint in `folder` if there is one.

    Args:
        base: in memory; it is wrapped and changed in place.
        train: what to learn; not empty. Packed here if the settings say so.
        evaluation: what to measure on; may be empty.
        hyperparameters: the checked settings.
        folder: for checkpoints and the result.
        progress: told every step; stops the run when asked.
        left_out: examples that were too long; named to whoever watches.
        parent: folder of the adapter whose weights are the start; None starts afresh. The loss before is then
            that adapter's.

    Raises:
        RecipeError: target modules that the model doesn't have, or packing that it can't do.
        AdapterError: the parent doesn't fit the base model.
        RunError: a loss or a weight stopped being a number.
        RunCancelled: someone asked to stop; a checkpoint is kept where that was.
    """
    set_seed(hyperparameters.seed)
    train = arrange(train, hyperparameters, base.longest(hyperparameters), base.model.config.model_type)
    model = add_lora(base.model, hyperparameters)
    checkpoint = find_last(folder)
    reporter = _Reporter(progress, left_out)
    method = _choose_method(hyperparameters, train, base.tokenizer.pad_token_id)
    trainer = method.trainer(
        model=model,
        args=_arguments(base, hyperparameters, method, folder, rows=len(train), measured=bool(evaluation)),
        data_collator=method.collator,
        train_dataset=method.columns(train),
        eval_dataset=method.columns(evaluation) if evaluation else None,
        processing_class=base.tokenizer,
        callbacks=[reporter, RewardLog(), CheckpointRhythm(hyperparameters.save_steps)],
    )
    keep_precise(model)
    if parent is not None:
        take_over(model, parent)
    trainer.remove_callback(PrinterCallback)  # the log has the same figures from `Progress`
    if trainer.args.load_best_model_at_end:
        trainer.add_callback(EarlyStoppingCallback(hyperparameters.early_stopping_patience))
    reporter.before = progress.rewind(step_of(checkpoint))
    if evaluation and reporter.before is None and checkpoint is None:
        # A fresh LoRA adds nothing, so that what is measured is the base model.
        progress.stage("measuring the base model" if parent is None else "measuring what is continued from")
        reporter.before = trainer.evaluate()["eval_loss"]
    result = _train(trainer, checkpoint)
    after = trainer.state.best_metric if trainer.args.load_best_model_at_end else reporter.last_eval
    _require_numbers(model, result["train_loss"], hyperparameters)
    metrics = reporter.metrics(result, after) | held_out_rewards(trainer)
    return Fit(_save(model, base, folder / "adapter"), metrics)


def _choose_method(settings: Hyperparameters, train: Sequence[Encoded], padding: int) -> Method:
    if settings.objective == "sft":
        packed = any(isinstance(row, PackedRow) for row in train)
        collator = DataCollatorForLanguageModeling(padding, return_position_ids=packed)
        return Method(_LeanTrainer, SFTConfig, _answer_columns, collator=collator)
    return choose_method(settings, train, padding)


def _answer_columns(rows: Sequence[Encoded]) -> Dataset:
    columns = [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]
    packed = [{"seq_lengths": row.seq_lengths} for row in rows if isinstance(row, PackedRow)]
    return Dataset.from_list([a | b for a, b in zip(columns, packed, strict=True)] if packed else columns)


def _train(trainer: Trainer, checkpoint: Path | None) -> dict[str, float]:
    try:
        metrics: dict[str, float] = trainer.train(
            resume_from_checkpoint=str(checkpoint) if checkpoint else None
        ).metrics
    except RunCancelled:
        keep_stopped(trainer, step_of(checkpoint))
        raise
    return metrics


def _arguments(
    base: LoadedBase, settings: Hyperparameters, method: Method, folder: Path, *, rows: int, measured: bool
) -> TrainingArguments:
    on_gpu = base.model.device.type == "cuda"
    arguments = method.config(
        output_dir=str(folder),
        num_train_epochs=settings.num_epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler,
        warmup_steps=settings.warmup_ratio,  # below 1 it is a share of all steps
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        bf16=base.precision == "bf16",
        fp16=base.precision == "fp16",
        activation_checkpointing=settings.gradient_checkpointing,
        logging_steps=settings.logging_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # a loss that is no number must be seen, to be stopped
        save_strategy="epoch",  # and every few steps, by `CheckpointRhythm`
        save_total_limit=CHECKPOINTS_KEPT,
        restore_callback_states_from_checkpoint=True,  # how often in a row nothing improved
        eval_strategy="epoch" if measured else "no",
        load_best_model_at_end=measured and settings.early_stopping_patience > 0,
        metric_for_best_model="eval_loss" if measured and settings.early_stopping_patience else None,
        include_num_input_tokens_seen="non_padding",
        max_length=None,  # rows that don't fit were left out and counted; none is ever cut
        dataloader_pin_memory=on_gpu,
        use_cpu=not on_gpu,
        disable_tqdm=True,
        report_to="none",
        **method.arguments,
    )
    # transformers would take its own max_steps for the number of steps, more epochs than asked for included.
    arguments.max_steps = planned_steps(rows, settings, batch_size=arguments.train_batch_size)
    return arguments


def _require_number(loss: float, step: int, learning_rate: float) -> None:
    if math.isfinite(loss):
        return
    if step == 0:
        raise RunError(
            "The base model's own loss is not a number. Set precision to fp32, or choose another base model."
        )
    raise RunError(
        f"The loss stopped being a number at step {step}. Lower the learning rate "
        f"(it is {learning_rate:g}), or set precision to fp32."
    )


def _require_numbers(model: PeftModel, train_loss: float, settings: Hyperparameters) -> None:
    """Losses are seen only every few steps; what is saved is looked at whole."""
    weights = get_peft_model_state_dict(model, save_embedding_layers=False).values()
    if not math.isfinite(train_loss) or not all(weight.isfinite().all() for weight in weights):
        raise RunError(
            "The adapter's weights stopped being numbers, so it was not kept. Lower the learning rate "
            f"(it is {settings.learning_rate:g}), or set precision to fp32."
        )


def _save(model: PeftModel, base: LoadedBase, folder: Path) -> Path:
    # The hub id or catalogue id, not the path on this machine: the files are made to travel.
    model.peft_config["default"].base_model_name_or_path = base.source.entry.id
    model.save_pretrained(
        str(folder),
        safe_serialization=True,
        save_embedding_layers=False,
        selected_adapters=["default"],  # not what dpo and kto compare with
    )
    return folder


class _LeanTrainer(SFTTrainer):  # type: ignore[misc]  # trl has no types
    """trl's trainer, sparing on a processor the work whose result nobody reads.

    There, trl projects every position onto the vocabulary, masked ones too, and measures entropy and accuracy
    on the way. On a graphics card its own kernel already skips the masked positions.
    """

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> OrderedSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        size = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return OrderedSampler(size, lengths=[len(row) for row in rows["input_ids"]], seed=self.args.seed)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Cross-entropy of the supervised positions alone, summed over tokens and divided by their number."""
        core = self.accelerator.unwrap_model(model).get_base_model()
        if "position_ids" in inputs:  # with a mask beside them, examples in a row would see each other
            inputs = {name: tensor for name, tensor in inputs.items() if name != "attention_mask"}
        if return_outputs or self.args.device.type != "cpu" or core.config.model_type not in PLAIN_HEADS:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        targets = inputs["labels"][:, 1:].flatten()
        positions = (targets != IGNORED).nonzero().flatten()
        with self.accelerator.autocast():
            total = sum_loss(core, inputs, positions, targets[positions])
        return total / (len(positions) if num_items_in_batch is None else num_items_in_batch)


class _Reporter(TrainerCallback):  # type: ignore[misc]  # transformers is not checked
    """Tells `Progress` what happens, and remembers what the metrics need."""

    def __init__(self, progress: Listener, left_out: int) -> None:
        self.before: float | None = None
        self.last_eval: float | None = None
        self._progress = progress
        self._stage = f"training; {left_out} examples too long, left out" if left_out else "training"
        self._recent: deque[tuple[int, float]] = deque(maxlen=RATE_STEPS)
        self._tokens = 0
        self._tokens_before = 0  # seen before a resumed run went on
        self._seconds = 0.0
        self._began = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Say how many steps there will be."""
        self._tokens_before = int(state.num_input_tokens_seen)
        self._progress.stage(self._stage, total_steps=state.max_steps)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_substep_end(self, *_: Any, **__: Any) -> None:
        """Between accumulated batches too a run can be stopped."""
        self._progress.beat()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Count tokens and seconds."""
        tokens = int(state.num_input_tokens_seen) - self._tokens_before - self._tokens
        seconds = time.perf_counter() - self._began
        self._tokens += tokens
        self._seconds += seconds
        self._recent.append((tokens, seconds))
        self._progress.beat(state.global_step, state.epoch, self._rate())

    def on_prediction_step(self, *_: Any, **__: Any) -> None:
        """While measuring too a run gives signs of life and can be stopped."""
        self._progress.beat()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Draw a dot of the training loss."""
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        _require_number(loss, state.global_step, args.learning_rate)
        self._progress.point(
            state.global_step,
            train_loss=loss,
            learning_rate=(logs or {}).get("learning_rate"),
            tokens_per_second=self._rate(),
            epoch=state.epoch,
        )

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **_: Any,
    ) -> None:
        """Draw a dot of the held-out loss."""
        self.last_eval = metrics["eval_loss"]
        _require_number(self.last_eval, state.global_step, args.learning_rate)
        self._progress.point(state.global_step, eval_loss=self.last_eval, epoch=state.epoch)

    def metrics(self, result: dict[str, float], after: float | None) -> dict[str, float]:
        """The figures that go into the manifest; of a resumed run, tokens and seconds of its last attempt."""
        figures = {
            "eval_loss_before": self.before,
            "eval_loss_after": after,
            "train_loss": result["train_loss"] if self._seconds else None,
            "train_tokens": float(self._tokens),
            "train_seconds": round(self._seconds, 1),
            "tokens_per_second": round(self._tokens / self._seconds, 1) if self._seconds else None,
        }
        return {name: value for name, value in figures.items() if value is not None}

    def _rate(self) -> float | None:
        seconds = sum(spent for _, spent in self._recent)
        return sum(tokens for tokens, _ in self._recent) / seconds if seconds else None
