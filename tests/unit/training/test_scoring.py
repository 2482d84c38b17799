"""The loss of reference answers is the model's own, of the answers' tokens alone; an adapter's, too."""

import pytest

torch = pytest.importorskip("torch")
from adapter_factory import register_adapter  # noqa: E402
from peft import PeftModel  # noqa: E402
from pydantic import TypeAdapter  # noqa: E402
from test_merging import LLAMA, train_somehow  # noqa: E402
from tiny_models import save_tiny_llama, tiny_tokenizer  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from adapters.engines.base import Turn  # noqa: E402
from adapters.errors import ModelError  # noqa: E402
from adapters.training.rendering import encode  # noqa: E402
from adapters.training.scoring import Reference, Request, score  # noqa: E402
from db.vocabulary import Role  # noqa: E402

PROMPT = "Be brief."
REFERENCES = (Reference("a", "What is asthma?", "A lung disease."), Reference("b", "Why?", "Because."))


@pytest.fixture(scope="module")
def tiny_base(tmp_path_factory):
    torch.manual_seed(1)
    return save_tiny_llama(tmp_path_factory.mktemp("tiny"))


def score_here(home, base, adapter=None, references=REFERENCES):
    """Do the process's work in this one."""
    request = Request(home.models, str(base), adapter, PROMPT, references)
    return list(score(TypeAdapter(Request).dump_json(request)))


def expected(model, reference):
    """The loss as transformers reckons it from labels."""
    turns = [Turn(Role.SYSTEM, PROMPT), Turn(Role.USER, reference.question)]
    row = encode([*turns, Turn(Role.ASSISTANT, reference.answer)], tiny_tokenizer())
    with torch.inference_mode():
        loss = model(input_ids=torch.tensor([row.input_ids]), labels=torch.tensor([row.labels])).loss
    return pytest.approx(float(loss), abs=1e-5), row.supervised


def test_only_the_tokens_of_the_answers_count(home, tiny_base):
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    found = score_here(home, tiny_base)
    assert [(each["name"], each["nats"], each["tokens"]) for each in found] == [
        (reference.name, *expected(model, reference)) for reference in REFERENCES
    ]


def test_an_adapter_is_scored_on_its_base_model(home, database, tiny_base, tmp_path):
    trained = train_somehow(tiny_base, tmp_path / "trained", LLAMA)
    name = register_adapter(database, home, trained, base_model=str(tiny_base))
    folder = home.adapters / name.replace("@", "/")
    wrapped = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), str(folder))
    plain, adapted = score_here(home, tiny_base), score_here(home, tiny_base, folder)
    assert (adapted[0]["nats"], adapted[0]["tokens"]) == expected(wrapped, REFERENCES[0])
    assert adapted[0]["nats"] != pytest.approx(plain[0]["nats"], abs=1e-3)


def test_an_answer_longer_than_the_window_is_passed_over(home, tiny_base):
    long = Reference("long", "Why?", "word " * 500)
    assert [each["name"] for each in score_here(home, tiny_base, references=(long, REFERENCES[1]))] == ["b"]


def test_other_weights_than_the_adapters_are_refused(home, database, tiny_base, tmp_path):
    trained = train_somehow(tiny_base, tmp_path / "trained", LLAMA)
    register_adapter(database, home, trained, base_model=str(tiny_base), base_sha256="0" * 64)
    with pytest.raises(ModelError, match="trained on other weights"):
        score_here(home, tiny_base, home.adapters / "patient" / "1")
