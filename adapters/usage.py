"""How a shared adapter is used elsewhere: short programs that run as they stand, for the model card."""

from collections.abc import Mapping

from adapters.catalog import BaseModel
from adapters.embedded import FILE_NAME
from adapters.manifest import GGUF, Form, Manifest
from adapters.templating import JOINED, LABELLED

_HEAD: Mapping[Form, str] = {
    Form.PEFT: """import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base, adapter = {base!r}, "."  # the adapter: this folder
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)""",
    Form.MERGED: """import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "."  # this folder
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")""",
}
_TEMPLATED = """
messages = [
    {{"role": "system", "content": {system!r}}},
    {{"role": "user", "content": {question!r}}},
]
prompt = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
)"""
_GIVEN_TEMPLATE = """
tokenizer.chat_template = {template!r}  # it has none of its own"""
# Formats of models without a chat template by architecture, as `templating.fallback_template` finds them.
_FALLBACKS: Mapping[str, str] = {
    "gpt2": JOINED,
    "bloom": LABELLED,
    "mistral": "{{ bos_token }}" + LABELLED,
}
_ANSWER = """
with torch.inference_mode():
    output = model.generate(**prompt, max_new_tokens=256, do_sample=False, repetition_penalty=1.3)
print(tokenizer.decode(output[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))"""

QUESTION = "What is asthma?"


def describe_usage(manifest: Manifest, base: BaseModel, form: Form) -> list[str]:
    """Markdown with a program for each way that this form can be used.

    Args:
        manifest: gives the system prompt and which files there are.
        base: what is known of the base model.
        form: what the card lies beside.
    """
    lines: list[str] = []
    if form is not Form.GGUF:
        lines += ["With transformers" + (" and peft:" if form is Form.PEFT else ":"), ""]
        lines += ["```python", write_program(manifest, base, form), "```", ""]
    if form is not Form.MERGED and (GGUF in manifest.files or form is Form.GGUF):
        lines += _describe_llama(manifest, base)
    if form is Form.MERGED:
        lines += ["It is an ordinary model folder, so vLLM, TGI and llama.cpp's converter take it too.", ""]
    if form is Form.PEFT and base.embedded:
        lines += [
            f"The adapter was trained on the weights of `{FILE_NAME}` (package `{base.source}`), which are "
            "those of the model above rounded to 4 bits; on the unrounded ones its answers differ a little.",
            "",
        ]
    lines += [f"In Elara, where {manifest.name} is kept:", "", "```sh", _elara(manifest), "```"]
    return lines


def write_program(manifest: Manifest, base: BaseModel, form: Form) -> str:
    """A Python program that asks the model one question and prints the answer."""
    template = _FALLBACKS.get(base.architecture)
    bare = base.has_chat_template is False and form is Form.PEFT and template
    body = (_GIVEN_TEMPLATE if bare else "") + _TEMPLATED
    words = {
        "template": template,
        "base": base.hub_id or f"path/to/{base.title}",
        "system": _system_prompt(manifest),
        "question": QUESTION,
    }
    return "\n".join(part.format(**words) for part in (_HEAD[form], body)) + "\n" + _ANSWER.lstrip("\n")


def _describe_llama(manifest: Manifest, base: BaseModel) -> list[str]:
    model = FILE_NAME if base.embedded else f"{base.title.replace(' ', '-')}.gguf"
    prompt = _system_prompt(manifest).replace("'", "'\\''")
    return [
        f"With llama.cpp, beside the base model as `{model}`:",
        "",
        "```sh",
        f"llama-cli -m {model} --lora {GGUF} --temp 0.15 --repeat-penalty 1.3 \\",
        f"  -sys '{prompt}' -p '{QUESTION}'",
        "```",
        "",
    ]


def _elara(manifest: Manifest) -> str:
    audience = manifest.provenance.audience
    return (
        f'python -m elara_ui ask "{QUESTION}" --audience {audience} --adapter {manifest.name}\n'
        f"python -m elara_ui release promote {manifest.name} --by NAME --why REASON"
    )


def _system_prompt(manifest: Manifest) -> str:
    return str(manifest.provenance.recipe.get("system_prompt") or "")
