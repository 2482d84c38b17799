"""Real teachers: the embedded model through llama.cpp, and a tiny one through transformers."""

import json
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from adapter_factory import make_adapter, make_peft_folder, register_adapter

sys.path.append(str(Path(__file__).parents[1] / "unit" / "training"))

from adapters.engines.base import Sampling, Turn
from adapters.training.teacher import answer_prompts
from db.vocabulary import FinishReason, Role
from elara_ui.services import build_services
from elara_ui.services.training import DataChoice, DataSource
from elara_ui.settings import Settings

pytestmark = pytest.mark.slow

QUESTIONS = ("What is a cold?", "Why do I cough at night?", "What is asthma?")
TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2}  # fmt: skip


def ask(question):
    return Turn(Role.SYSTEM, "Be kind."), Turn(Role.USER, question)


def test_the_embedded_model_teaches_three_prompts(home, database, embedded_gguf, tmp_path):
    (home.models / embedded_gguf.name).symlink_to(embedded_gguf)
    name = register_adapter(database, home, make_adapter(tmp_path / "trained", seed=1, strength=0.001))
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(json.dumps({"instruction": text, "response": "x"}) for text in QUESTIONS))
    services = build_services(Settings.read(home=home.root, context_tokens=1024))
    try:
        lesson = services.distillation.plan(name, DataChoice(DataSource.FILE, path), max_tokens=40)
        answers = list(services.distillation.answer(lesson))
        judged = services.distillation.judge(lesson, max_grade=30)
    finally:
        services.close()
    assert [answer.question for answer in answers] == list(QUESTIONS)
    assert all(answer.text for answer in answers)
    assert judged.answered == 3


@pytest.fixture
def tiny_teacher(home, database, tmp_path):
    from adapter_factory import lora_tensors
    from tiny_models import save_tiny_llama

    base = save_tiny_llama(tmp_path / "base")
    modules = ("q_proj", "v_proj")
    tensors = lora_tensors(3, rank=2, modules=modules, strength=1.0, config=TINY)
    folder = make_peft_folder(tmp_path / "trained", 3, rank=2, modules=modules, tensors=tensors)
    register_adapter(database, home, folder, base_model=str(base))
    return home.adapters / "patient" / "1"


def test_a_teacher_with_transformers_answers_in_order_and_repeatably(home, tiny_teacher):
    sampling = Sampling(temperature=1.0, repetition_penalty=1.0, max_new_tokens=8, seed=3)
    first, second = (
        list(answer_prompts(home, tiny_teacher, sampling, [ask(text) for text in QUESTIONS]))
        for _ in range(2)
    )
    assert [item.text for item in first] == [item.text for item in second]
    assert len({item.text for item in first}) == 3
    for item in first:
        assert item.completion_tokens <= 8
        assert item.finish_reason in (FinishReason.STOP, FinishReason.LENGTH)


def test_leaving_a_teacher_ends_its_process(home, tiny_teacher):
    sampling = Sampling(temperature=0.0, max_new_tokens=100)
    with closing(answer_prompts(home, tiny_teacher, sampling, [ask("Why?")] * 500)) as answers:
        next(answers)
        (process,) = [
            child for child in psutil.Process().children() if "adapters.training.teacher" in child.cmdline()
        ]
    assert not process.is_running()
