"""One LoRA fit with peft and trl, by any objective: encoded rows in, trained weights and figures out."""

import math
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
    TrainingArguments,
    set_seed,
)
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from adapters.errors import NotANumber
from adapters.recipe import Hyperparameters
from adapters.training.batching import OrderedSampler, planned_steps
from adapters.training.checkpoints import (
    CheckpointRhythm,
    ResumableTrainer,
    find_last,
    is_unmeasured,
    keep_stopped,
    step_of,
)
from adapters.training.loading import LoadedBase
from adapters.training.lora import add_lora, keep_precise, take_over
from adapters.training.loss import PLAIN_HEADS, count_shared, sum_loss
from adapters.training.packing import PackedRow, arrange
from adapters.training.preferences import Method, RewardLog, choose_method, held_out_rewards
from adapters.training.progress import Listener, RunCancelled
from adapters.training.rendering import IGNORED, Encoded
from adapters.training.reporter import Reporter, ReportingTrainer

CHECKPOINTS_KEPT = 3


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
    watchers: Sequence[TrainerCallback] = (),
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
        watchers: told what happens too, after `progress`.

    Raises:
        RecipeError: target modules that the model doesn't have, or packing that it can't do.
        AdapterError: the parent doesn't fit the base model.
        NotANumber: a loss or a weight stopped being a number.
        RunCancelled: someone asked to stop; a checkpoint is kept where that was.
    """
    set_seed(hyperparameters.seed)
    train = arrange(train, hyperparameters, base.longest(hyperparameters), base.model.config.model_type)
    model = add_lora(base.model, hyperparameters)
    checkpoint = find_last(folder)
    reporter = Reporter(progress, left_out)
    method = _choose_method(hyperparameters, train, base.tokenizer.pad_token_id)
    trainer = method.trainer(
        model=model,
        args=_arguments(base, hyperparameters, method, folder, rows=len(train), measured=bool(evaluation)),
        data_collator=method.collator,
        train_dataset=method.columns(train),
        eval_dataset=method.columns(evaluation) if evaluation else None,
        processing_class=base.tokenizer,
        callbacks=[reporter, RewardLog(progress), CheckpointRhythm(hyperparameters.save_steps), *watchers],
    )
    keep_precise(model)
    if parent is not None:
        take_over(model, parent)
    trainer.remove_callback(PrinterCallback)  # the log has the same figures from `Progress`
    if trainer.args.load_best_model_at_end:
        trainer.add_callback(EarlyStoppingCallback(hyperparameters.early_stopping_patience))
    reporter.before = progress.rewind(step_of(checkpoint), measured=not is_unmeasured(checkpoint))
    if evaluation and reporter.before is None and checkpoint is None:
        # A fresh LoRA adds nothing, so that what is measured is the base model.
        progress.stage("measuring the base model" if parent is None else "measuring what is continued from")
        reporter.before = trainer.evaluate()["eval_loss"]
    result = _train(trainer, checkpoint)
    after = trainer.state.best_metric if trainer.args.load_best_model_at_end else reporter.last_eval
    _require_numbers(model, result["train_loss"], hyperparameters)
    metrics = reporter.metrics(result, after, trainer.state.global_step) | held_out_rewards(trainer)
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


def _require_numbers(model: PeftModel, train_loss: float, settings: Hyperparameters) -> None:
    """Losses are seen only every few steps; what is saved is looked at whole."""
    weights = get_peft_model_state_dict(model, save_embedding_layers=False).values()
    if not math.isfinite(train_loss) or not all(weight.isfinite().all() for weight in weights):
        raise NotANumber(
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


class _LeanTrainer(ResumableTrainer, ReportingTrainer, SFTTrainer):  # type: ignore[misc]  # trl has no types
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
            shared = count_shared(core, inputs, positions)
            total = sum_loss(core, inputs, positions, targets[positions], shared)
        return total / (len(positions) if num_items_in_batch is None else num_items_in_batch)
