"""Which layers of a base model get a LoRA, and putting it on them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.catalog import TARGET_MODULES
from adapters.errors import AdapterError, RecipeError
from adapters.recipe import Hyperparameters
from adapters.registry import WEIGHTS

_LINEAR_CLASSES = frozenset({"Linear", "Conv1D", "Linear8bitLt", "Linear4bit"})


def add_lora(model: Any, hyperparameters: Hyperparameters) -> Any:
    """Put an untrained LoRA on a model, which is changed in place.

    Args:
        model: a transformers causal language model, or its outline.
        hyperparameters: give rank, scale, dropout and target modules.

    Returns:
        The model as peft wraps it; only the LoRA can be trained.

    Raises:
        RecipeError: target modules that the model doesn't have.
    """
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    targets = resolve_targets(model, hyperparameters.target_modules)
    config = LoraConfig(
        r=hyperparameters.lora_r,
        lora_alpha=hyperparameters.lora_alpha,
        lora_dropout=hyperparameters.lora_dropout,
        target_modules=targets,
        use_rslora=hyperparameters.use_rslora,
        fan_in_fan_out=_are_transposed(model, targets),
        bias="none",
        task_type="CAUSAL_LM",
    )
    if hyperparameters.quantization != "none":
        model = prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=hyperparameters.gradient_checkpointing
        )
    return _quicken_dropout(get_peft_model(model, config))


def _quicken_dropout(model: Any) -> Any:
    from peft.tuners.lora import LoraLayer
    from torch.nn import Dropout

    from adapters.training.dropout import QuickDropout

    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            for name, dropout in layer.lora_dropout.items():
                if isinstance(dropout, Dropout):
                    layer.lora_dropout[name] = QuickDropout(dropout.p)
    return model


def take_over(model: Any, parent: Path) -> None:
    """Give a fresh LoRA the weights of one that was trained; they stay trainable.

    Args:
        model: as `add_lora` wrapped it, with the parent's rank and target modules.
        parent: the folder of the trained one.

    Raises:
        AdapterError: its weights are of other layers or shapes.
    """
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    weights = load_file(parent / WEIGHTS)
    fresh = get_peft_model_state_dict(model, save_embedding_layers=False)
    shapes, wanted = ({name: tensor.shape for name, tensor in part.items()} for part in (weights, fresh))
    if shapes != wanted:
        raise AdapterError(
            f"The adapter in {parent} can't be continued from: it must have the layers and the rank of the "
            f"run's own, but {_difference(shapes, wanted)}. Leave continue_from empty to start afresh."
        )
    for name in model.peft_config:  # what dpo and kto compare with is the parent too, not the bare base model
        set_peft_model_state_dict(model, weights, adapter_name=name)


def _difference(shapes: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    name = min(name for name in {*shapes, *wanted} if shapes.get(name) != wanted.get(name))
    has, should = (tuple(part[name]) if name in part else "absent" for part in (shapes, wanted))
    return f"{name} is {has} in it and {should} in the run"


def keep_precise(model: Any) -> None:
    """Bring what is trained back to float32, which trl rounds to bfloat16 on a quantised base.

    AdamW's steps are small against the weights: in bfloat16, with 8 significant bits, most of them are
    rounded away. The memory estimate counts on float32 too.

    Args:
        model: as `add_lora` wrapped it, already handed to trl's trainer.
    """
    import torch

    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.to(torch.float32)


def outline_lora(model: Any, hyperparameters: Hyperparameters) -> Any:
    """The same on a model's outline: the LoRA then takes no memory either.

    Raises:
        RecipeError: target modules that the model doesn't have.
    """
    import torch

    with torch.device("meta"):
        return add_lora(model, hyperparameters)


def resolve_targets(model: Any, wanted: Sequence[str]) -> list[str]:
    """The modules that get a LoRA.

    Args:
        model: a transformers model.
        wanted: names from the recipe; empty takes those of the architecture, or every linear layer when the
            architecture is unknown.

    Raises:
        RecipeError: a name that the model doesn't have; the message lists those it has.
    """
    head = model.get_output_embeddings()
    existing = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if type(module).__name__ in _LINEAR_CLASSES and module is not head
    }
    names = list(wanted) or list(TARGET_MODULES.get(model.config.model_type, sorted(existing)))
    if missing := [name for name in names if name not in existing]:
        raise RecipeError(
            f"target_modules must name layers of the base model, but it has no {', '.join(missing)}. "
            f"It has {', '.join(sorted(existing))}; leave the field empty to choose by architecture."
        )
    return names


def _are_transposed(model: Any, targets: Sequence[str]) -> bool:
    """Whether the layers keep their weights as inputs × outputs, as GPT-2's ``Conv1D`` does."""
    kinds = {
        type(module).__name__
        for name, module in model.named_modules()
        if name.rpartition(".")[2] in targets and type(module).__name__ in _LINEAR_CLASSES
    }
    return kinds == {"Conv1D"}
