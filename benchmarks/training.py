"""How fast Elara trains, and how well, against a script as tutorials write it and against trl as it comes.

    python -m benchmarks.training --models FOLDER    # holds the embedded model, or receives it
    python -m benchmarks.training --data rows.jsonl --rows 200
    python -m benchmarks.training --repeat 3           # the best of three
    python -m benchmarks.training --json

Each way trains the embedded model once on the same rows (one epoch, the same LoRA, batch and learning rate)
in a process of its own, and is timed from the rows in memory to the saved adapter. *Useful* tokens are those
of the examples; padding counts for nothing. Then its adapter is put on a fresh base in float32 and measured
on the same held-out rows: nats a token of the answer and its end, in the format in which the model is asked.

- naive: every row padded to 512 tokens, float32, transformers' Trainer, labels = input_ids with the padding
  token masked.
- trl: SFTTrainer on prompt and completion, its defaults.
- Elara: `trainer.fit`; and the same without each of its savings in turn.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adapters import catalog
from adapters.engines.base import Turn
from adapters.recipe import Hyperparameters, find_recipe, override
from adapters.training import loading, supervisor
from adapters.training.examples import Example, read_path
from adapters.training.loading import LoadedBase
from adapters.training.progress import Silence
from adapters.training.rendering import Encoded, encode, with_system

ROOT = Path(__file__).resolve().parent.parent
STARTER = ROOT / "adapters" / "starter"
AUDIENCE = "patient"
LENGTH = 512  # the naive script pads to it; longer rows are left out for all
BATCH, RATE, RANK, ALPHA = 4, 5e-4, 16, 32
HELD_OUT = 16
SEED = 42

NAIVE, TRL, ELARA = "naive", "trl", "Elara"
ABLATIONS = (
    "without bf16",
    "without grouping",
    "padded to 512",
    "without lean loss",
    "with trl's loss",
    "without sharing",
    "with torch's dropout",
)
WAYS = (NAIVE, TRL, ELARA, *ABLATIONS)


@dataclass(frozen=True)
class Outcome:
    """What one way came to.

    Args:
        way: one of `WAYS`.
        seconds: from the rows in memory to the saved adapter.
        tokens: of the examples shown, without padding.
        loss: on the held-out rows, nats per token.
    """

    way: str
    seconds: float
    tokens: int
    loss: float

    @property
    def rate(self) -> float:
        """Useful tokens a second."""
        return self.tokens / self.seconds


def main() -> None:
    """Train every way and print the figures."""
    parser = argparse.ArgumentParser(description="Compare ways to train the embedded model.")
    parser.add_argument("--models", type=Path, default=ROOT / ".elara" / "models", help="base models")
    parser.add_argument("--data", type=Path, help="JSONL of questions and answers; default the starter sets")
    parser.add_argument("--rows", type=int, default=48, help="rows to learn from")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="only these")
    parser.add_argument("--repeat", type=int, default=1, help="times each way is run; the fastest counts")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.add_argument("--part", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part is not None:
        outcome = train(options.part, options.models, options.data, options.rows)
        print(json.dumps(asdict(outcome)))
        return
    options.models.mkdir(parents=True, exist_ok=True)
    # Round by round, so that a busy moment of the machine doesn't fall on one way alone.
    rounds = [
        [run_part(way, options.models, options.data, options.rows) for way in options.ways]
        for _ in range(options.repeat)
    ]
    outcomes = [min(one, key=lambda outcome: outcome.seconds) for one in zip(*rounds, strict=True)]
    print(format_json(outcomes) if options.json else format_table(outcomes))


def run_part(way: str, models: Path, data: Path | None, rows: int) -> Outcome:
    """Train one way in a process of its own.

    Raises:
        RuntimeError: it failed; its own words stand on stderr.
    """
    command = [sys.executable, __file__, "--models", str(models), "--rows", str(rows), "--part", way]
    command += ["--data", str(data)] if data else []
    environment = os.environ | supervisor.QUIET | {"PYTHONPATH": str(ROOT)}
    print(f"{way} …", file=sys.stderr, flush=True)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{way} ended with status {done.returncode}.")
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def train(way: str, models: Path, data: Path | None, count: int) -> Outcome:
    """Train and measure one way, in this process."""
    source = loading.locate(models, catalog.EMBEDDED, Silence())
    values = {"precision": "fp32"} if way in (NAIVE, "without bf16") else {}
    settings = override(plain_settings(), values)
    base = loading.load(source, settings)
    examples, held_out = choose(data, count, base.tokenizer)
    encoded = encode_rows(examples, base.tokenizer)
    fit: Callable[..., Path] = {NAIVE: fit_naive, TRL: fit_trl}.get(way, fit_elara)
    if way in ABLATIONS:
        take_away(way)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        adapter = fit(base, examples, settings, Path(folder))
        seconds = time.perf_counter() - began
        tokens = sum(len(row.input_ids) for row in encoded)
        return Outcome(way, seconds, tokens, measure(source.location, adapter, held_out))


def plain_settings() -> Hyperparameters:
    """One epoch with what all ways share."""
    values = {
        "num_epochs": 1,
        "batch_size": BATCH,
        "learning_rate": RATE,
        "lora_r": RANK,
        "lora_alpha": ALPHA,
        "max_length": LENGTH,
        "seed": SEED,
    }
    return override(Hyperparameters(), values)


def choose(data: Path | None, count: int, tokenizer: Any) -> tuple[list[Example], list[Encoded]]:
    """Rows to learn from, and encoded ones to measure on; the same in every process.

    Raises:
        SystemExit: there are too few.
    """
    files = [data] if data else sorted(STARTER.glob("*.jsonl"))
    examples = [example for file in files for example in read_path(file, skip_bad_rows=True).examples]
    random.Random(SEED).shuffle(examples)
    fitting: list[Example] = []
    for example in examples:
        if len(encode_rows([example], tokenizer)[0].input_ids) <= LENGTH:
            fitting.append(example)
        if len(fitting) == count + HELD_OUT:
            return fitting[HELD_OUT:], encode_rows(fitting[:HELD_OUT], tokenizer)
    raise SystemExit(f"{count} rows and {HELD_OUT} held-out ones are needed; {len(fitting)} fit. Set --rows.")


def turns_of(example: Example) -> tuple[Turn, ...]:
    """A row with the audience's system prompt."""
    return with_system(example.messages, find_recipe(AUDIENCE).system_prompt)


def encode_rows(examples: Sequence[Example], tokenizer: Any) -> list[Encoded]:
    """Rows as Elara trains on them."""
    return [encode(turns_of(example), tokenizer) for example in examples]


def fit_elara(base: LoadedBase, examples: Sequence[Example], settings: Hyperparameters, folder: Path) -> Path:
    """By Elara's own trainer."""
    from adapters.training import trainer

    rows = encode_rows(examples, base.tokenizer)
    return trainer.fit(base, rows, [], settings, folder=folder, progress=Silence()).folder


def take_away(way: str) -> None:
    """Leave one of Elara's savings out, in this process."""
    import torch
    from torch.nn.functional import cross_entropy, pad
    from trl import SFTTrainer

    from adapters.training import dropout, trainer

    def loss_everywhere(self: Any, model: Any, inputs: Any, *_: Any, num_items_in_batch: Any = None) -> Any:
        with self.accelerator.autocast():
            shown = {name: inputs[name] for name in ("input_ids", "attention_mask")}
            logits = model(**shown, use_cache=False).logits[:, :-1].flatten(0, 1)
            targets = inputs["labels"][:, 1:].flatten()
            return cross_entropy(logits.float(), targets, reduction="sum") / num_items_in_batch

    lean = trainer._LeanTrainer
    lean_loss = lean.compute_loss

    def loss_of_padded(self: Any, model: Any, inputs: Any, *others: Any, **named: Any) -> Any:
        missing = LENGTH - inputs["input_ids"].shape[1]
        fills = {"input_ids": 0, "attention_mask": 0, "labels": -100}
        padded = {name: pad(inputs[name], (0, missing), value=fill) for name, fill in fills.items()}
        return lean_loss(self, model, padded, *others, **named)

    if way == "without grouping":
        lean._get_train_sampler = SFTTrainer._get_train_sampler
    elif way == "padded to 512":
        lean.compute_loss = loss_of_padded
    elif way == "without sharing":
        trainer.count_shared = lambda *_: 0
    elif way == "with torch's dropout":
        dropout.QuickDropout.forward = torch.nn.Dropout.forward
    elif way == "without lean loss":
        lean.compute_loss = loss_everywhere
    elif way == "with trl's loss":
        lean.compute_loss = SFTTrainer.compute_loss


def fit_naive(base: LoadedBase, examples: Sequence[Example], _: Hyperparameters, folder: Path) -> Path:
    """As tutorials write it."""
    from peft import get_peft_model
    from transformers import Trainer, TrainingArguments

    tokenizer = base.tokenizer
    rows = []
    for example in examples:
        text = tokenizer.apply_chat_template(as_messages(turns_of(example)), tokenize=False)
        row = tokenizer(text, padding="max_length", truncation=True, max_length=LENGTH)
        row["labels"] = [token if token != tokenizer.pad_token_id else -100 for token in row["input_ids"]]
        rows.append(dict(row))
    model = get_peft_model(base.model, lora_config())
    arguments = TrainingArguments(
        output_dir=str(folder), num_train_epochs=1, per_device_train_batch_size=BATCH, learning_rate=RATE,
        report_to="none", save_strategy="no", seed=SEED, disable_tqdm=True,
        use_cpu=base.model.device.type == "cpu",
    )  # fmt: skip
    Trainer(model=model, args=arguments, train_dataset=rows).train()
    model.save_pretrained(folder / "adapter")
    return folder / "adapter"


def fit_trl(base: LoadedBase, examples: Sequence[Example], _: Hyperparameters, folder: Path) -> Path:
    """With trl's defaults, on rows of prompt and completion, which it masks by itself."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    conversations = [as_messages(turns_of(example)) for example in examples]
    rows = Dataset.from_list([{"prompt": turns[:-1], "completion": turns[-1:]} for turns in conversations])
    arguments = SFTConfig(
        output_dir=str(folder), num_train_epochs=1, per_device_train_batch_size=BATCH, learning_rate=RATE,
        report_to="none", save_strategy="no", seed=SEED, disable_tqdm=True,
        use_cpu=base.model.device.type == "cpu",
    )  # fmt: skip
    trainer = SFTTrainer(
        model=base.model,
        args=arguments,
        train_dataset=rows,
        processing_class=base.tokenizer,
        peft_config=lora_config(),
    )
    trainer.train()
    trainer.model.save_pretrained(folder / "adapter")
    return folder / "adapter"


def lora_config() -> Any:
    """The same LoRA as Elara's."""
    from peft import LoraConfig

    settings = plain_settings()
    return LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        lora_dropout=settings.lora_dropout,
        target_modules=list(catalog.TARGET_MODULES["llama"]),
        task_type="CAUSAL_LM",
    )


def as_messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """Turns as chat templates take them."""
    return [{"role": turn.role.value, "content": turn.content} for turn in turns]


def measure(location: str, adapter: Path, held_out: Sequence[Encoded]) -> float:
    """Held-out loss of an adapter on a fresh base in float32, nats per token of the answers."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from adapters.training.loss import sum_loss

    base = AutoModelForCausalLM.from_pretrained(location, dtype=torch.float32)
    core = PeftModel.from_pretrained(base, adapter).eval().get_base_model()
    total, tokens = 0.0, 0
    for row in held_out:
        ids = torch.tensor([row.input_ids])
        targets = torch.tensor(row.labels[1:])
        positions = (targets != -100).nonzero().flatten()
        with torch.no_grad():
            total += float(sum_loss(core, {"input_ids": ids}, positions, targets[positions]))
        tokens += len(positions)
    return total / tokens


def format_table(outcomes: Sequence[Outcome]) -> str:
    """The figures as a small table; ratios are to the naive script, or to the first way asked for."""
    yardstick = outcomes[0]
    whole = next((one for one in outcomes if one.way == ELARA), None)
    lines = [f"{'way':<20}{'seconds':>9}{'tokens/s':>10}{'× ' + yardstick.way:>10}{'held-out loss':>15}"]
    for one in outcomes:
        ratio = one.rate / yardstick.rate
        lines.append(f"{one.way:<20}{one.seconds:>9.1f}{one.rate:>10.1f}{ratio:>10.2f}{one.loss:>15.3f}")
    if whole:
        lines += [
            f"{ELARA} is {whole.rate / one.rate:.2f} × as fast as {one.way}"
            for one in outcomes
            if one.way in ABLATIONS
        ]
    return "\n".join(lines)


def format_json(outcomes: Sequence[Outcome]) -> str:
    """The figures as one document."""
    return json.dumps([asdict(one) | {"tokens_per_second": one.rate} for one in outcomes], indent=2)


if __name__ == "__main__":
    main()
