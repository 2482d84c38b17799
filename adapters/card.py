"""The model card: what a manifest says, written for people, in the form that model hubs read.

Everything in it comes from the manifest and the catalogue; nothing is measured or guessed here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from adapters import catalog
from adapters.catalog import BaseModel
from adapters.errors import ModelError
from adapters.hyperparameters import HYPERPARAMETERS
from adapters.manifest import GGUF, WEIGHTS, Form, Manifest, Provenance
from adapters.usage import describe_usage

LIMITS = (
    "It was trained on {rows} examples. It can be wrong, leave out what matters, and invent sources, in a "
    "confident tone.",
    "The held-out loss says how well it predicts answers like those it learned from. It measures neither "
    "medical accuracy nor safety.",
    "It speaks for the audience {audience}; what it says to others was not looked at.",
)
UPLOAD_LIMIT = (
    "It was trained elsewhere. What is said here of its data, recipe and figures is what came with it, and "
    "can't be checked; that its files fit the base model was. It can be wrong, leave out what matters, and "
    "invent sources, in a confident tone."
)
# Of dpo and kto the loss is that of Rafailov et al. 2023 and Ethayarajh et al. 2024: a number without a unit.
LOSS_UNIT = "nats per token for sft"
UPLOAD_FACTS: Mapping[str, str] = {
    "file": "File",
    "by": "Brought by",
    "at": "Brought in (UTC)",
    "said_base": "Base model, as its file calls it",
    "claimed_name": "Name where it was made",
    "rank": "Rank",
    "alpha": "Alpha",
    "rank_stabilised": "Rank-stabilised",
    "targets": "Target modules",
    "matrices": "Matrices changed",
    "parameters": "Numbers in it",
    "dtype": "Type of its numbers",
}
METRICS: Mapping[str, tuple[str, str]] = {
    "eval_loss_before": ("Held-out loss before", LOSS_UNIT),
    "eval_loss_after": ("Held-out loss after", LOSS_UNIT),
    "train_loss": ("Training loss, mean of the run", LOSS_UNIT),
    "eval_reward_accuracy": ("Held-out pairs told apart", "share"),
    "eval_reward_margin": ("Held-out margin between wanted and unwanted answers", "reward, nats × beta"),
    "train_tokens": ("Trained on", "tokens, every epoch counted"),
    "train_seconds": ("Time in training steps", "s"),
    "tokens_per_second": ("Training rate", "tokens per second"),
    "train_rows": ("Learned from", "rows"),
    "held_out_rows": ("Held out", "rows"),
    "left_out_rows": ("Left out as too long", "rows"),
}
_DATA: Mapping[str, str] = {
    "given": "Rows read",
    "train": "Kept for learning",
    "evaluation": "Held out for measuring",
    "bad_rows": "Left out: could not be used",
    "duplicates": "Left out: the same question and answer",
    "near_duplicates": "Left out: nearly the same as another",
    "too_long": "Left out: answer over the audience's limit of words",
    "over_cap": "Left out: over the most examples",
    "max_words": "The audience's limit, words",
}
_HUB_DATASET = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:/[\w.-]+)?(?::.*)?")


def write_card(manifest: Manifest, form: Form, notes: Sequence[str] = ()) -> str:
    """The card of an adapter, as Markdown under a YAML front matter.

    Args:
        manifest: what is known; the hash of the card itself needn't be in it.
        form: what the card lies beside, which decides how it is used.
        notes: what making this form has shown, one sentence each.
    """
    made = manifest.provenance
    base = find_base(made.base_model)
    sections = [
        ("", [f"**{manifest.notice}**", "", _introduce(manifest, base, form), *_paragraphs(notes)]),
        ("How to use it", describe_usage(manifest, base, form)),
        ("Base model", _describe_base(made, base)),
        ("Data", _describe_data(made)),
        ("Measured", _describe_metrics(made.metrics)),
        ("Recipe", _describe_recipe(made.recipe)),
        ("Limits", _describe_limits(made, base, form)),
        *([("Brought in", _describe_upload(manifest))] if made.upload else []),
        ("Made by", _describe_making(manifest)),
    ]
    lines = ["---", _front_matter(manifest, base, form).strip(), "---", "", f"# {manifest.name}"]
    for title, body in sections:
        lines += ["", *([f"## {title}", ""] if title else []), *body]
    return "\n".join(lines) + "\n"


def find_base(base_model: str) -> BaseModel:
    """What the catalogue knows of a base model; a folder goes by its name alone, wherever it is or was."""
    if Path(base_model).is_absolute():
        return BaseModel(id=Path(base_model).name, title=Path(base_model).name, source=base_model)
    try:
        return catalog.find(base_model)
    except ModelError:
        return BaseModel(id=base_model, title=base_model, source="")


def show(value: Any) -> str:
    """A figure or a setting in a cell: no more digits than it means, nothing that breaks a table."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(show, value))
    return " ".join(str(value).replace("|", "\\|").split())


def _front_matter(manifest: Manifest, base: BaseModel, form: Form) -> str:
    """The keys that hubs read: https://huggingface.co/docs/hub/model-cards#model-card-metadata."""
    made = manifest.provenance
    values: dict[str, Any] = {
        "library_name": "transformers" if form is Form.MERGED else "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "elara", "medical", made.audience, "not-clinically-reviewed"],
    }
    if base.hub_id:
        values["base_model"] = base.hub_id
        values["base_model_relation"] = "finetune" if form is Form.MERGED else "adapter"
    if base.licence:
        values["license"] = base.licence.lower()
    if base.languages.startswith("English"):
        values["language"] = ["en"]
    if dataset := _HUB_DATASET.fullmatch(made.source):
        values["datasets"] = [dataset[1]]
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return text


def _introduce(manifest: Manifest, base: BaseModel, form: Form) -> str:
    audience, version = manifest.provenance.audience, manifest.version
    what = (
        f"{base.title} with a LoRA adapter merged into its weights"
        if form is Form.MERGED
        else f"A LoRA adapter for {base.title}"
    )
    origin = "brought into Elara from elsewhere" if manifest.provenance.upload else "trained with Elara"
    return (
        f"{what}, which makes it explain medicine for the audience **{audience}**. It is version {version}, "
        f"{origin}; clinicians and researchers use it to try out and study answers, never for care."
    )


def _describe_base(made: Provenance, base: BaseModel) -> list[str]:
    facts = {
        "Model": base.title,
        "Catalogue id": base.id,
        "On the Hugging Face hub": base.hub_id,
        "Revision": made.base_revision,
        "SHA-256 of its weights": made.base_sha256,
        "Licence": base.licence or "not known to Elara; look it up before you share anything",
        "Languages": base.languages,
    }
    return _list(facts)


def _describe_data(made: Provenance) -> list[str]:
    facts = {
        "Source": made.source,
        "SHA-256 of the training set": made.snapshot_sha256,
        "Rows learned from": made.rows if made.rows or not made.upload else "not known",
    }
    counts = [(label, made.data[name]) for name, label in _DATA.items() if made.data.get(name) is not None]
    reasons = made.data.get("reasons") or {}
    lines = _list(facts)
    if counts:
        lines += ["", *_table(("What became of the rows", "Count"), counts)]
    if reasons:
        lines += ["", *_table(("Left out because", "Rows"), reasons.items())]
    return lines


def _describe_metrics(metrics: Mapping[str, Any]) -> list[str]:
    if not metrics:
        return ["Nothing was measured."]
    rows = []
    for name, value in metrics.items():
        label, unit = METRICS.get(name, (name.replace("_", " ").capitalize(), ""))
        rows.append((label, value, unit))
    return _table(("Figure", "Value", "Unit"), rows)


def _describe_recipe(recipe: Mapping[str, Any]) -> list[str]:
    labels = {info.name: info.label for info in HYPERPARAMETERS}
    lines = []
    if prompt := recipe.get("system_prompt"):
        lines += ["Trained under this system prompt, which should open every conversation:", ""]
        lines += [f"> {show(prompt)}", ""]
    if words := recipe.get("max_explanation_length"):
        lines += [f"Answers have at most {words} words.", ""]
    settings = recipe.get("hyperparameters") or {}
    rows = [
        (labels.get(name, name), f"`{name}`", "by default" if value in ("", [], ()) else value)
        for name, value in settings.items()
    ]
    return lines + _table(("Setting", "Name", "Value"), rows)


def _describe_limits(made: Provenance, base: BaseModel, form: Form) -> list[str]:
    limits = [limit.format(rows=made.rows, audience=made.audience) for limit in LIMITS]
    if made.upload:
        limits[0] = UPLOAD_LIMIT
    if base.notes:
        limits.append(f"Of the base model: {base.notes}")
    if base.licence:
        limits.append(
            f"The base model's licence, {base.licence}, holds for whatever is made from it, "
            f"{'this model' if form is Form.MERGED else 'this adapter'} included."
        )
    quantised = (made.recipe.get("hyperparameters") or {}).get("quantization", "none")
    if quantised != "none":
        limits.append(
            f"It was trained on the base model in {quantised}; on the full weights it differs a little."
        )
    return [f"- {limit}" for limit in limits]


def _describe_upload(manifest: Manifest) -> list[str]:
    """Who brought it, what was found in it, and whether it has passed its probe."""
    upload, probe = manifest.provenance.upload, manifest.probe
    tried = "not yet" if not probe else "passed" if probe.get("passed") else "failed"
    facts = {UPLOAD_FACTS.get(name, name): value for name, value in upload.items()}
    return _list(facts | {"Probe": tried})


def _describe_making(manifest: Manifest) -> list[str]:
    libraries = ", ".join(f"{name} {version}" for name, version in manifest.libraries.items())
    facts = {"Run": manifest.provenance.run_id, "Made (UTC)": manifest.created_at, "Libraries": libraries}
    hashes = [(name, f"`{digest}`") for name, digest in manifest.files.items() if name in (WEIGHTS, GGUF)]
    return [*_list(facts), "", *_table(("File of the adapter", "SHA-256"), hashes)]


def _list(facts: Mapping[str, Any]) -> list[str]:
    return [f"- {label}: {show(value)}" for label, value in facts.items() if value not in ("", None)]


def _paragraphs(notes: Iterable[str]) -> list[str]:
    return [line for note in notes for line in ("", note)]


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return lines + [f"| {' | '.join(map(show, row))} |" for row in rows]
