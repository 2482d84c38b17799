"""A merged model says what base model and adapter say, or it is not kept."""

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
from adapter_factory import register_adapter  # noqa: E402
from peft import LoraConfig, PeftModel, get_peft_model  # noqa: E402
from pydantic import TypeAdapter  # noqa: E402
from tiny_models import save_tiny_llama, tiny_gpt2, tiny_tokenizer  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from adapters import registry  # noqa: E402
from adapters.engines.base import Turn  # noqa: E402
from adapters.errors import AdapterError, ModelError  # noqa: E402
from adapters.training import merging  # noqa: E402
from adapters.training.merging import Check, Request, merge, write_merged  # noqa: E402
from adapters.training.rendering import encode  # noqa: E402
from db.vocabulary import Role  # noqa: E402
from elara_ui.services.exporting import Target  # noqa: E402

LLAMA, GPT2 = ["q_proj", "v_proj"], ["c_attn"]


@pytest.fixture(scope="module")
def tiny_base(tmp_path_factory):
    torch.manual_seed(1)
    return save_tiny_llama(tmp_path_factory.mktemp("tiny"))


def train_somehow(base, folder, modules, strength=0.5):
    """A LoRA that isn't zero, as peft saves it."""
    torch.manual_seed(2)
    model = AutoModelForCausalLM.from_pretrained(base)
    wrapped = get_peft_model(
        model, LoraConfig(r=4, lora_alpha=8, target_modules=modules, task_type="CAUSAL_LM")
    )
    for name, weight in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=strength)
    wrapped.save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(database, home, tiny_base, tmp_path):
    """The folder of a registered adapter on the tiny model."""
    trained = train_somehow(tiny_base, tmp_path / "trained", LLAMA)
    name = register_adapter(database, home, trained, base_model=str(tiny_base))
    return home.adapters / name.replace("@", "/")


def merge_here(home, adapter, folder):
    """Do the process's work in this one."""
    folder.mkdir()
    *stages, last = merge(TypeAdapter(Request).dump_json(Request(home.models, adapter, folder)))
    assert all(set(stage) == {"stage"} for stage in stages)
    return Check(**last)


def logits(model, text="What is asthma?"):
    with torch.inference_mode():
        return model(**tiny_tokenizer()(text, return_tensors="pt")).logits


def test_the_merged_model_says_what_base_and_adapter_say(home, tiny_base, adapter, tmp_path):
    check = merge_here(home, adapter, tmp_path / "merged")
    assert check.passed
    assert check.dtype == "float32"
    assert check.difference < 1e-3 * check.effect
    plain = AutoModelForCausalLM.from_pretrained(tiny_base)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert not torch.allclose(logits(plain), logits(merged), atol=1e-2)
    side_by_side = PeftModel.from_pretrained(plain, str(adapter))
    assert torch.allclose(logits(side_by_side), logits(merged), atol=1e-4)
    assert {path.suffix for path in (tmp_path / "merged").iterdir()} <= {".json", ".safetensors", ".jinja"}
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").chat_template == tiny_tokenizer().chat_template


def test_weights_stay_in_the_type_they_came_in(home, database, tiny_base, tmp_path):
    base = tmp_path / "half"
    AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.bfloat16).save_pretrained(base)
    tiny_tokenizer().save_pretrained(base)
    trained = train_somehow(base, tmp_path / "trained", LLAMA)
    register_adapter(database, home, trained, base_model=str(base))
    check = merge_here(home, home.adapters / "patient" / "1", tmp_path / "merged")
    assert check.dtype == "bfloat16"
    assert check.passed
    assert check.difference > 1e-4  # rounded, and said so
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "merged").dtype == torch.bfloat16


def test_a_model_without_a_chat_template_gets_the_one_it_learned(home, database, tmp_path):
    base = tmp_path / "gpt2"
    tiny_gpt2().save_pretrained(base)
    tiny_tokenizer(chat_template=None).save_pretrained(base)
    trained = train_somehow(base, tmp_path / "trained", GPT2)
    register_adapter(database, home, trained, base_model=str(base))
    assert merge_here(home, home.adapters / "patient" / "1", tmp_path / "merged").passed
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    turns = [Turn(Role.USER, "Why?"), Turn(Role.ASSISTANT, "Because.")]
    rows = [{"role": str(turn.role), "content": turn.content} for turn in turns]
    rendered = tokenizer.apply_chat_template(rows, tokenize=True, return_dict=False)
    assert rendered == encode(turns, tiny_tokenizer(chat_template=None)).input_ids


def test_another_base_model_is_refused(home, database, tiny_base, tmp_path):
    trained = train_somehow(tiny_base, tmp_path / "trained", LLAMA)
    register_adapter(database, home, trained, base_model=str(tiny_base), base_sha256="0" * 64)
    with pytest.raises(ModelError, match=r"trained on other weights than those of .* now"):
        merge_here(home, home.adapters / "patient" / "1", tmp_path / "merged")


def test_an_adapter_that_does_not_fit_is_refused(home, database, tiny_base, adapter, tmp_path):
    config = adapter / registry.CONFIG
    config.write_text(config.read_text().replace('"q_proj"', '"o_proj"'))
    name = register_adapter(database, home, adapter, base_model=str(tiny_base))
    with pytest.raises(AdapterError, match="doesn't fit its base model"):
        merge_here(home, home.adapters / name.replace("@", "/"), tmp_path / "merged")


@pytest.mark.parametrize(
    ("difference", "effect", "passed"),
    [
        (1e-5, 2.0, True),
        (0.5, 2.0, False),  # more than rounding
        (float("nan"), 2.0, False),
        (0.0015, 0.0016, True),  # an adapter that hardly does anything
        (0.0019, 0.0030, False),  # a weak one that rounding has eaten
    ],
)
def test_neither_a_difference_nor_a_lost_adapter_passes(difference, effect, passed):
    check = Check(dtype="float32", difference=difference, effect=effect, spread=2.0)
    assert check.passed is passed


def test_what_fails_the_check_is_not_kept(home, adapter, tmp_path, monkeypatch):
    wrong = {"dtype": "float32", "difference": 3.0, "effect": 4.0, "spread": 1.0}

    def pretend(module, request):
        yield {"stage": "merging"}
        yield wrong

    monkeypatch.setattr(merging.child, "ask", pretend)
    with pytest.raises(AdapterError, match=r"must say what base model and adapter say.*differ by 3"):
        write_merged(home, adapter, tmp_path / "out" / "merged")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_merging_in_a_process_of_its_own_and_the_card_that_shows_how_to_use_it(services, adapter, tmp_path):
    stages = []
    exported = services.exports.export(
        "patient@1", Target.MERGED, str(tmp_path / "merged"), report=stages.append
    )
    assert stages == ["loading the base model", "merging", "writing the merged model", "checking it"]
    assert {"model.safetensors", "README.md", "config.json"} <= {file.name for file in exported.files}
    card = (tmp_path / "merged" / "README.md").read_text()
    assert exported.note in card
    program = card.split("```python\n")[1].split("```")[0].replace("max_new_tokens=256", "max_new_tokens=3")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "merged", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_program_on_the_card_of_the_peft_folder_runs(adapter, tiny_base):
    card = (adapter / registry.CARD).read_text()
    program = card.split("```python\n")[1].split("```")[0].replace("max_new_tokens=256", "max_new_tokens=3")
    program = program.replace(f"'path/to/{tiny_base.name}'", repr(str(tiny_base)))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=adapter, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_what_the_process_refuses_comes_back_in_its_words(services, database, home, tiny_base, tmp_path):
    trained = train_somehow(tiny_base, tmp_path / "trained", LLAMA)
    name = register_adapter(database, home, trained, base_model=str(tiny_base), base_sha256="0" * 64)
    with pytest.raises(ModelError, match="trained on other weights"):
        services.exports.export(name, Target.MERGED)
    assert list(home.exports.iterdir()) == []
