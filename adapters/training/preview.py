"""What a run would do, worked out before it is launched: the gate, as what it refuses isn't worth a start.

Tokenizer and model are needed, so it is a process of its own, ``python -m adapters.training.preview
REQUEST``, started by `preview_run` only. It reads a JSON file and writes a line of JSON on stdout: the
preview, or why the run is refused. Measuring the time comes last and gives a second line; where it takes too
long, the first one stands. Nothing here loads torch when it is imported.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from adapters import catalog, errors
from adapters.errors import RunError
from adapters.hints import find_hints
from adapters.presets import settings_for
from adapters.recipe import Hyperparameters, Recipe, find_recipe
from adapters.scratch import PREVIEW, hold, scratch
from adapters.training import loading, supervisor
from adapters.training.calibration import calibrate
from adapters.training.examples import Example
from adapters.training.loading import LoadedBase
from adapters.training.lora import outline_lora, resolve_targets
from adapters.training.memory import estimate_memory, look_at_machine
from adapters.training.packing import arrange
from adapters.training.parent import Parent, find_parent, inherit, take_same_weights
from adapters.training.preparation import prepare
from adapters.training.progress import Silence
from adapters.training.record import FrozenRecipe
from adapters.training.rendering import encode_all, require_rows
from adapters.training.report import (
    Lengths,
    Preview,
    describe_lengths,
    largest_batch,
    make_plan,
    pick_typical,
    render_row,
)
from adapters.training.worker import NICENESS
from db.errors import ElaraError
from db.home import Home
from db.session import Database

TIMEOUT_SECONDS = 180
SAMPLE_ROWS = 3
SHOWN_FROM = 50
"""Examples among which the sample rows are looked for: some may be too long."""
TYPICAL = 0.9  # calibrated on a batch that is longer than nine in ten
FEW_STEPS = 20
MANY_LEFT_OUT = 0.1  # of the examples; fewer are seldom missed
PREVIEWED, REFUSED, FAILED = range(3)  # exit statuses
OUT_OF_MEMORY = (
    "The preview ended early; most likely memory ran out, as it would in the run. Take a smaller batch_size "
    "or max_length, or close other programs."
)
TOO_SLOW = (
    f"A preview may take {TIMEOUT_SECONDS} seconds, and this one was not done: the machine may be busy, or "
    "the model's files still on their way. Try again; if that doesn't help, take fewer or shorter examples."
)
UNTIMED = (
    f"The time was not measured, as three steps were not done within {TIMEOUT_SECONDS} seconds: the machine "
    "is busy or slow, or the model's weights have to be fetched first, which the run then does."
)
FAILED_UNSEEN = "The preview failed before it could say why; the app's log has the details. Try it once more."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What the process is asked.

    Args:
        recipe: as a launch would freeze it.
        models: folder of base models.
        train: what would be learned.
        evaluation: what would be held out.
        calibrate: whether to train a few steps for an estimate of the time.
        parent: the adapter that it would continue from; None when it would start afresh.
        untold: ids of answers of which nothing may be shown.
    """

    recipe: FrozenRecipe
    models: Path
    train: tuple[Example, ...]
    evaluation: tuple[Example, ...]
    calibrate: bool
    parent: Parent | None = None
    untold: frozenset[str] = frozenset()


def preview_run(
    database: Database,
    home: Home,
    *,
    audience: str,
    base_model: str,
    hyperparameters: Hyperparameters,
    examples: Sequence[Example],
    recipe: Recipe | None = None,
    calibrate: bool = True,
    untold: Collection[str] = (),
) -> Preview:
    """What a launch with the same arguments would do.

    Args:
        database: of this home.
        home: where base models are kept.
        audience: for whom the adapter would speak.
        base_model: catalogue id, hub id or folder.
        hyperparameters: usually the recipe's, with some overridden.
        examples: what to learn.
        recipe: the audience's; None reads its file.
        calibrate: whether to train a few steps for an estimate of the time (they are left out where memory
            would not do).
        untold: ids of answers of which nothing may be shown; they count like the others.

    Raises:
        RecipeError: unknown audience, modules that the model doesn't have, contradictory settings.
        AdapterError: the adapter to continue from isn't there, was changed, or has other base weights.
        DatasetError: nothing to learn from, or an answer that would be cut.
        ModelError: the base model can't be had, or its chat template can't be trained with.
        RunError: it took too long even without the time, or ran out of memory.
    """
    recipe = recipe or find_recipe(audience)
    parent = find_parent(database, home, hyperparameters.continue_from)
    base_model = catalog.find(base_model).id
    hyperparameters = inherit(parent, base_model, hyperparameters, usual=settings_for(recipe, base_model))
    prepared = prepare(examples, hyperparameters, recipe.max_explanation_length)
    supervisor.require_consistent(hyperparameters, prepared)
    frozen = FrozenRecipe(
        audience=audience,
        base_model=base_model,
        system_prompt=recipe.system_prompt,
        max_explanation_length=recipe.max_explanation_length,
        hyperparameters=hyperparameters,
        parent_sha256=parent.sha256 if parent else "",
    )
    request = Request(
        frozen, home.models, prepared.train, prepared.evaluation, calibrate, parent, frozenset(untold)
    )
    with scratch(home.runs, PREVIEW) as folder:
        path = folder / "request.json"
        path.write_bytes(TypeAdapter(Request).dump_json(request))
        return _ask(path)


def _ask(request: Path) -> Preview:
    """Let the process answer, and raise what it refuses."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "adapters.training.preview", str(request)],
            cwd=supervisor.PROJECT_ROOT,
            # What it writes meanwhile goes with the request, even when it is ended.
            env=os.environ | supervisor.QUIET | {"TMPDIR": str(request.parent)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        untimed = _read_last(error.stdout or b"")
        if untimed is None:
            raise RunError(TOO_SLOW) from error
        preview = TypeAdapter(Preview).validate_python(untimed)
        return replace(preview, notes=(UNTIMED, *preview.notes))
    if done.returncode not in (PREVIEWED, REFUSED):
        log.error("%s", done.stderr.decode(errors="replace"))
    answer = _read_last(done.stdout)
    if done.returncode < 0:
        raise RunError(OUT_OF_MEMORY)
    if answer is None:
        raise RunError(FAILED_UNSEEN)
    if "error" in answer:
        raise getattr(errors, answer["kind"], RunError)(answer["error"])
    return TypeAdapter(Preview).validate_python(answer)


def _read_last(output: bytes) -> dict[str, Any] | None:
    """The last whole line; the process may have been ended in the middle of one."""
    for line in reversed(output.splitlines()):
        with suppress(ValueError):
            answer: dict[str, Any] = json.loads(line)
            return answer
    return None


def main(arguments: Sequence[str]) -> int:
    """Answer one request.

    Args:
        arguments: the path of the request.

    Returns:
        Exit status: 0 previewed, 1 refused, 2 failed unexpectedly.
    """
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    logging.basicConfig(level=logging.WARNING)
    answers, status = sys.stdout, PREVIEWED
    request = Path(arguments[0])
    with redirect_stdout(sys.stderr), hold(request.parent):  # libraries talk; the one who asked may be killed
        for now, answer in _answer(request):
            print(json.dumps(answer), file=answers, flush=True)
            status = now
    return status


def _answer(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    request = TypeAdapter(Request).validate_json(path.read_bytes())
    try:
        for preview in build_previews(request):
            yield PREVIEWED, preview.to_dict()
    except ElaraError as known:
        yield REFUSED, {"error": known.message, "kind": type(known).__name__}
    except MemoryError:
        yield FAILED, {"error": OUT_OF_MEMORY, "kind": "RunError"}
    except Exception as unknown:
        log.exception("The preview failed")
        first = str(unknown).strip().partition("\n")[0][:200] or "no message"
        kind = type(unknown).__name__
        text = f"The preview was stopped by an unexpected {kind}: {first}. The log has the details."
        yield FAILED, {"error": text, "kind": "RunError"}


def build_previews(request: Request) -> Iterator[Preview]:
    """Work the preview out, in this process; loads torch.

    Yields:
        The preview; then, where the time was asked for and memory does, the same with the time.

    Raises:
        ElaraError: the run is refused; see `preview_run`.
    """
    from adapters.training import trainer  # noqa: F401  # what a run loads counts as its overhead
    from adapters.training.batching import first_epoch, planned_steps

    recipe, settings = request.recipe, request.recipe.hyperparameters
    source = loading.locate(request.models, recipe.base_model, Silence())
    if request.parent:
        source = take_same_weights(request.parent, source)
    machine = look_at_machine()
    base = loading.outline(source, settings)
    limit = base.longest(settings)
    told = tuple(each for each in request.train if request.untold.isdisjoint(each.answers))
    train, held_out, shown = (
        encode_all(part, base.tokenizer, recipe.system_prompt, limit, settings.overlong, settings.objective)
        for part in (request.train, request.evaluation, told[:SHOWN_FROM])
    )
    require_rows(train.rows, limit)
    rows = arrange(train.rows, settings, limit, base.model.config.model_type)
    memory = estimate_memory(
        outline_lora(base.model, settings),
        largest_batch(rows, settings),
        settings,
        base.precision,
        machine,
    )
    order = first_epoch([row.length for row in rows], settings)
    batches = [[rows[number] for number in batch] for batch in order]
    steps = planned_steps(len(rows), settings)
    lengths = describe_lengths((train, held_out), limit, settings.overlong)
    preview = Preview(
        audience=recipe.audience,
        base_model=recipe.base_model,
        precision=base.precision,
        target_modules=tuple(resolve_targets(base.model, settings.target_modules)),
        train=len(train.rows),
        held_out=len(held_out.rows),
        samples=tuple(render_row(row, base.tokenizer) for row in shown.rows[:SAMPLE_ROWS]),
        lengths=lengths,
        plan=make_plan(batches, held_out.rows, settings, steps, None),
        memory=memory,
        notes=_notes(settings, base, steps, lengths, examples=len(train.rows), rows=len(rows)),
    )
    yield preview
    if request.calibrate and memory.fits:
        pace = calibrate(source, pick_typical(batches, TYPICAL), settings)
        yield replace(preview, plan=make_plan(batches, held_out.rows, settings, steps, pace))


def _notes(
    settings: Hyperparameters, base: LoadedBase, steps: int, lengths: Lengths, *, examples: int, rows: int
) -> tuple[str, ...]:
    """What is allowed but worth knowing."""
    notes = find_hints(settings, examples)
    if base.context_tokens < settings.max_length:
        notes.append(
            f"The base model reads at most {base.context_tokens} tokens, so that is the limit rather than "
            f"max_length {settings.max_length}."
        )
    given = sum(item.rows for item in lengths.bins)
    if lengths.left_out > MANY_LEFT_OUT * given:
        notes.append(
            f"{lengths.left_out} of {given} examples are longer than {lengths.limit} tokens and teach "
            "nothing: a larger max_length, where the model reads as much, or overlong truncate_prompt may "
            "keep them."
        )
    if settings.scheduler == "constant" and settings.warmup_ratio:
        notes.append(
            f"A constant schedule has no warm-up: warmup_ratio {settings.warmup_ratio:g} is ignored."
        )
    if settings.packing:
        notes.append(f"{examples} examples are packed into {rows} rows; batch size and steps count rows.")
    if settings.continue_from:
        notes.append(
            f"Training starts from {settings.continue_from}, with its rank, alpha and modules; the loss "
            "before training is that adapter's, not the base model's. What is held out now may be among what "
            "it learned then; a stored set keeps to its own split."
        )
    if steps < FEW_STEPS:
        notes.append(
            f"{steps} steps are few: the adapter will have learned little. More epochs, or more data?"
        )
    return tuple(notes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
