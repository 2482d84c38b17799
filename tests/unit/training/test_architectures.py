"""Each architecture that Elara names: a real run on a tiny random model, saved and loaded again."""

import warnings

import pytest
import xllamacpp

torch = pytest.importorskip("torch")
from base_gguf import write_base_gguf  # noqa: E402
from peft import LoraConfig, PeftModel, get_peft_model  # noqa: E402
from tiny_models import ARCHITECTURES, save_tiny, tiny_model  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from adapters import catalog  # noqa: E402
from adapters.engines.base import Turn  # noqa: E402
from adapters.export import convert_lora  # noqa: E402
from adapters.recipe import Hyperparameters, override  # noqa: E402
from adapters.training import lora, trainer  # noqa: E402
from adapters.training.loading import load, locate  # noqa: E402
from adapters.training.progress import Silence  # noqa: E402
from adapters.training.rendering import encode  # noqa: E402
from db.vocabulary import Role  # noqa: E402

SETTINGS = override(
    Hyperparameters(),
    {"precision": "fp32", "learning_rate": 0.01, "lora_dropout": 0, "num_epochs": 3, "lora_r": 4},
)
QUESTIONS = (Turn(Role.USER, "Gout?"), Turn(Role.ASSISTANT, "Uric acid."))


def logits(model, row):
    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor([row.input_ids])).logits


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_run_learns_and_what_it_saves_is_what_it_learned(tmp_path, architecture):
    folder = save_tiny(tmp_path / "base", architecture)
    source = locate(tmp_path, str(folder), Silence())
    base = load(source, SETTINGS)
    before = {name: weight.clone() for name, weight in base.model.state_dict().items()}
    rows = [encode(QUESTIONS, base.tokenizer)] * 8
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="fan_in_fan_out")
        result = trainer.fit(base, rows, rows[:2], SETTINGS, folder=tmp_path / "run", progress=Silence())
    assert result.metrics["eval_loss_after"] < 0.8 * result.metrics["eval_loss_before"]

    frozen = {name.replace(".base_layer", ""): weight for name, weight in base.model.state_dict().items()}
    assert all(torch.equal(frozen[name], weight) for name, weight in before.items())
    adapted = {name.rpartition(".lora_A")[0].rpartition(".")[2] for name in frozen if "lora_A" in name}
    assert adapted == set(catalog.TARGET_MODULES[architecture])

    fresh = AutoModelForCausalLM.from_pretrained(folder)
    untrained = logits(fresh, rows[0])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="fan_in_fan_out|missing adapter keys")
        reloaded = logits(PeftModel.from_pretrained(fresh, result.folder), rows[0])
    assert torch.allclose(reloaded, logits(base.model, rows[0]), atol=1e-5)
    assert not torch.allclose(reloaded, untrained, atol=1e-2)


def test_every_architecture_of_the_catalogue_has_its_modules():
    trainable = {entry.architecture for entry in catalog.CATALOG if entry.trainable}
    assert trainable <= set(ARCHITECTURES)
    for architecture in ARCHITECTURES:
        model = tiny_model(architecture)
        assert lora.resolve_targets(model, ()) == list(catalog.TARGET_MODULES[architecture])
        named = catalog.LINEAR_MODULES[architecture]
        assert lora.resolve_targets(model, named) == list(named)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_only_conv1d_is_transposed(architecture):
    model = lora.add_lora(tiny_model(architecture), SETTINGS)
    assert model.peft_config["default"].fan_in_fan_out == (architecture == "gpt2")


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["gpt2", "bloom"])
def test_llama_cpp_says_what_peft_says(tmp_path, architecture):
    """A tiny random base, written as GGUF by the test, with every linear layer adapted at random."""
    torch.manual_seed(1)
    model = tiny_model(architecture, initializer_range=0.3)
    gguf = write_base_gguf(model, tmp_path / "base.gguf")
    targets = list(catalog.LINEAR_MODULES[architecture])
    config = LoraConfig(r=4, lora_alpha=8, target_modules=targets, fan_in_fan_out=architecture == "gpt2")
    peft = get_peft_model(model, config).eval()
    for name, weight in peft.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.3)
            weight.data = weight.data.half().float()  # the file's own precision
    peft.save_pretrained(tmp_path)
    convert_lora(tmp_path, tmp_path / "adapter.gguf", model.config.to_dict())

    prompt = list(range(50, 70))
    served = torch.tensor(serve_greedily(gguf, tmp_path / "adapter.gguf", prompt), dtype=torch.float64)
    tokens, theirs = served[:, :1].long(), served[:, 1]
    ids = torch.tensor([prompt + tokens[:, 0].tolist()])

    def look_up():
        with torch.no_grad():
            return peft(ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)

    ours = look_up()
    assert torch.equal(ours.argmax(-1, keepdim=True), tokens)
    # It keeps keys and values in 16 bits, and multiplies the adapter's in them.
    assert (ours.max(-1).values.double() - theirs).abs().max() < 0.05
    with peft.disable_adapter():
        assert (look_up().gather(-1, tokens)[:, 0] - theirs).abs().max() > 1


def serve_greedily(gguf, adapter, prompt):
    """Tokens that llama.cpp chooses with an adapter, each with its log-probability."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gguf)
    parameters.n_ctx, parameters.n_parallel, parameters.verbosity = 256, 1, 0
    parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    answers = []
    body = {"prompt": prompt, "n_predict": 24, "temperature": 0, "n_probs": 1, "ignore_eos": True}
    server = xllamacpp.Server(parameters)
    server.handle_completions(body, lambda answer: answers.append(answer) and False)
    content = answers[-1]["choices"][0]["logprobs"]["content"]
    assert len(content) == 24
    return [(token["id"], token["logprob"]) for token in content]
