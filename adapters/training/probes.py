"""Fixed questions put to the model while it learns, so that one sees its voice change.

Asking must not touch the training: no random number is drawn and every module gets its mode back, so that
the losses are the same to the last bit with and without probes.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    StoppingCriteria,
    StoppingCriteriaList,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from adapters.engines.base import Turn
from adapters.templating import render_prompt
from adapters.training.loading import LoadedBase
from adapters.training.progress import Listener
from adapters.training.rendering import with_system
from db.vocabulary import Role

ANSWER_TOKENS = 60  # enough to hear the voice; a processor writes a few seconds on three such answers
BEAT_SECONDS = 1.0

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}

log = logging.getLogger(__name__)


class Probes(TrainerCallback):  # type: ignore[misc]  # transformers is not checked
    """Asks the questions at the start, of the base model, and at each evaluation.

    Without a held-out part nothing is evaluated; then they are asked at the end of each epoch.

    Args:
        questions: what to ask; none asks nothing.
        base: the model that is trained, and its tokenizer.
        system_prompt: that of training.
        progress: told the answers.
    """

    def __init__(
        self, questions: Sequence[str], base: LoadedBase, system_prompt: str, progress: Listener
    ) -> None:
        self._questions = tuple(questions)
        self._base = base
        self._progress = progress
        self._prompts = [_render(question, base.tokenizer, system_prompt) for question in questions]
        self._asked_at: int | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Ask the base model: an adapter that has learned nothing adds nothing."""
        if state.global_step == 0:
            self._ask(given["model"], 0)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Ask the model as it is now."""
        self._ask(given["model"], state.global_step)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Ask where nothing is evaluated."""
        if args.eval_strategy == "no":
            self._ask(given["model"], state.global_step)

    def _ask(self, model: Any, step: int) -> None:
        if not self._prompts or step == self._asked_at:
            return
        self._asked_at = step
        try:
            with _undisturbed(model), _autocast(model, self._base.precision):
                answers = _generate(model, self._prompts, self._base.tokenizer, self._progress)
        except (RuntimeError, ValueError, NotImplementedError) as error:  # training goes on without
            log.warning("The probe questions can't be answered: %s", error)
            return
        for question, answer in zip(self._questions, answers, strict=True):
            self._progress.sample(step, question, answer)


class _Beat(StoppingCriteria):  # type: ignore[misc]
    """Signs of life between tokens; where the run should stop, this raises."""

    def __init__(self, progress: Listener) -> None:
        self._progress = progress
        self._last = time.monotonic()

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        if time.monotonic() - self._last > BEAT_SECONDS:
            self._last = time.monotonic()
            self._progress.beat()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def _render(question: str, tokenizer: Any, system_prompt: str) -> list[int]:
    """A question's tokens up to where the answer begins, exactly as training renders them."""
    return render_prompt(with_system((Turn(Role.USER, question),), system_prompt), tokenizer)


def _generate(model: Any, prompts: Sequence[list[int]], tokenizer: Any, progress: Listener) -> list[str]:
    """The likeliest answers, all at once; shorter prompts are padded on the left."""
    width = max(map(len, prompts))
    padding = [width - len(prompt) for prompt in prompts]
    fill = tokenizer.pad_token_id
    ids = [[fill] * missing + prompt for missing, prompt in zip(padding, prompts, strict=True)]
    mask = [[0] * missing + [1] * (width - missing) for missing in padding]
    answers = model.generate(
        input_ids=torch.tensor(ids, device=model.device),
        attention_mask=torch.tensor(mask, device=model.device),
        generation_config=GenerationConfig(
            max_new_tokens=ANSWER_TOKENS,
            do_sample=False,
            use_cache=True,
            pad_token_id=fill,
            eos_token_id=tokenizer.eos_token_id,
        ),
        stopping_criteria=StoppingCriteriaList([_Beat(progress)]),
    )[:, width:]
    return [tokenizer.decode(answer, skip_special_tokens=True).strip() for answer in answers]


@contextmanager
def _undisturbed(model: Any) -> Iterator[None]:
    """Evaluation mode without gradients; modes and random states are as before afterwards."""
    training = [module for module in model.modules() if module.training]
    cached = model.config.use_cache
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.no_grad():
        model.eval()
        try:
            yield
        finally:
            for module in training:
                module.training = True
            model.config.use_cache = cached


def _autocast(model: Any, precision: str) -> torch.autocast:
    """The numbers that training computes in."""
    return torch.autocast(
        model.device.type, dtype=_DTYPES.get(precision, torch.bfloat16), enabled=precision in _DTYPES
    )
