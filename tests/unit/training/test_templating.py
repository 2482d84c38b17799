"""Trained prompts are asked prompts, token for token, whatever template a model has or lacks."""

import pytest

pytest.importorskip("transformers")
from tiny_models import CHAT_TEMPLATE, tiny_tokenizer
from tokenizers.processors import TemplateProcessing

from adapters.engines.base import Turn
from adapters.errors import EngineError, ModelError
from adapters.templating import fallback_template, open_with_system, puts_system_first, render_prompt
from adapters.training.rendering import IGNORED, encode
from db.vocabulary import Role

DIALOGUE = (
    Turn(Role.SYSTEM, "Be brief."),
    Turn(Role.USER, "Gout?"),
    Turn(Role.ASSISTANT, "Yes."),
    Turn(Role.USER, "Why?"),
    Turn(Role.ASSISTANT, "Uric acid."),
)
NO_SYSTEM_ROLE = (
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>model\n{% endif %}"
).replace("{{ message.role }}", "{{ 'model' if message.role == 'assistant' else message.role }}")
# As Mistral 7B Instruct v0.3: the system prompt stands with the last message, if that is a question.
MISTRAL = (
    "{% if messages[0].role == 'system' %}{% set rule = messages[0].content %}{% set turns = messages[1:] %}"
    "{% else %}{% set turns = messages %}{% endif %}"
    "{% for turn in turns %}"
    "{% if (turn.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if turn.role == 'user' %}[INST] "
    "{% if loop.last and rule is defined %}{{ rule + '\n\n' }}{% endif %}{{ turn.content }}[/INST]"
    "{% else %} {{ turn.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
# As Qwen3: earlier thoughts are left out, the last answer shows its own, and a switch forgoes them.
QWEN3 = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
    "{% endif %}"
)


def labelled_tokenizer(*, opens):
    """For a plain base model: Mistral's tokenizer opens each text with a token, BLOOM's doesn't."""
    tokenizer = tiny_tokenizer(chat_template=None)
    tokenizer.bos_token = "<|im_start|>"
    if opens:
        start = ("<|im_start|>", tokenizer.bos_token_id)
        tokenizer._tokenizer.post_processor = TemplateProcessing("<|im_start|> $A", special_tokens=[start])
    return tokenizer


LABELLED_TEXT = "Question:\nBe brief.\n\nGout?\n\nAnswer:\nYes.<|endoftext|>\n\nQuestion:\nWhy?\n\nAnswer:\n"
FORMATS = {
    "embedded": (
        tiny_tokenizer(CHAT_TEMPLATE),
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nGout?<|im_end|>\n"
        "<|im_start|>assistant\nYes.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n",
    ),
    "no system role": (
        tiny_tokenizer(NO_SYSTEM_ROLE),
        "<|im_start|>user\nBe brief.\n\nGout?<|im_end|>\n<|im_start|>model\nYes.<|im_end|>\n"
        "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>model\n",
    ),
    "Mistral Instruct": (
        tiny_tokenizer(MISTRAL),
        "[INST] Be brief.\n\nGout?[/INST] Yes.<|im_end|>[INST] Why?[/INST]",
    ),
    "Qwen3": (
        tiny_tokenizer(QWEN3),
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nGout?<|im_end|>\n"
        "<|im_start|>assistant\nYes.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    ),
    "DialoGPT": (
        tiny_tokenizer(None),
        "Be brief.\n\nGout?<|endoftext|>Yes.<|endoftext|>Why?<|endoftext|>",
    ),
    "Mistral base": (labelled_tokenizer(opens=True), "<|im_start|>" + LABELLED_TEXT),
    "BLOOM": (labelled_tokenizer(opens=False), LABELLED_TEXT),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_trained_prompt_is_the_asked_prompt(name):
    tokenizer, text = FORMATS[name]
    row = encode(DIALOGUE, tokenizer)
    prompt = render_prompt(DIALOGUE[:-1], tokenizer)
    assert tokenizer.decode(prompt) == text
    assert row.input_ids[: len(prompt)] == prompt
    assert row.labels[: len(prompt)] == [IGNORED] * len(prompt)
    answer = row.labels[len(prompt) :]
    assert answer == row.input_ids[len(prompt) :]
    assert tokenizer.decode(answer).lstrip() == "Uric acid." + tokenizer.eos_token
    assert answer[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("name", FORMATS)
def test_each_answer_of_a_dialogue_is_asked_for_as_the_last_one_is(name):
    """The first answer's prompt is where the longer conversation begins, but for thoughts left out later."""
    tokenizer, _ = FORMATS[name]
    first = tokenizer.decode(render_prompt(DIALOGUE[:2], tokenizer)).removesuffix("<think>\n\n</think>\n\n")
    assert tokenizer.decode(render_prompt(DIALOGUE[:-1], tokenizer)).startswith(first)


@pytest.mark.parametrize("name", ["DialoGPT", "Mistral base", "BLOOM"])
def test_the_format_given_away_with_a_model_reads_a_system_prompt_as_training_did(name):
    tokenizer, text = FORMATS[name]
    rows = [{"role": turn.role.value, "content": turn.content} for turn in DIALOGUE[:-1]]
    template = fallback_template(tokenizer)
    given = tokenizer.apply_chat_template(
        rows, chat_template=template, tokenize=False, add_generation_prompt=True
    )
    assert given == text


@pytest.mark.parametrize("name", FORMATS)
def test_without_a_system_prompt_nothing_is_put_in_its_place(name):
    tokenizer, _ = FORMATS[name]
    assert "brief" not in tokenizer.decode(encode(DIALOGUE[1:], tokenizer).input_ids)


def test_answers_that_begin_with_a_blank_line_are_labelled_like_others():
    tokenizer, _ = FORMATS["BLOOM"]
    turns = (Turn(Role.USER, "Gout?\n\n"), Turn(Role.ASSISTANT, "\n\nYes.\n"))
    assert tokenizer.decode(encode(turns, tokenizer).input_ids) == (
        "Question:\nGout?\n\nAnswer:\nYes.<|endoftext|>"
    )


def test_turns_that_a_template_refuses_are_named():
    with pytest.raises(ModelError, match="refuses a conversation: roles must alternate"):
        encode((DIALOGUE[1], DIALOGUE[1], DIALOGUE[2]), tiny_tokenizer(MISTRAL))


def test_a_template_that_leaves_the_system_out_or_fails_gets_it_in_the_question():
    def fail(_):
        raise EngineError("no system role")

    assert not puts_system_first(lambda turns: turns[1].content)
    assert not puts_system_first(fail)
    assert puts_system_first(lambda turns: "".join(turn.content for turn in turns))
    assert open_with_system(DIALOGUE[:1]) == DIALOGUE[:1]
