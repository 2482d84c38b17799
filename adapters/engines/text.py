"""What becomes of a message's text before a chat template takes it in, in training and in serving alike."""

import re

# Those of ChatML, Llama 3, Phi and Qwen; of SentencePiece models; of Mistral; of Gemma.
_CONTROL_TOKEN = re.compile(
    r"<\|[^|<>\s]{1,64}\|>|</?s>|<(?:bos|eos|pad|unk)>|\[/?(?:INST|SYSTEM_PROMPT)\]|<(?:start|end)_of_turn>"
)


def defuse(text: str) -> str:
    """Text that stays text: nobody may end their own turn and speak as the system or the model.

    Tokenizers read control tokens such as ``<|im_end|>`` or ``</s>`` wherever they stand, so what looks like
    one is broken by spaces. Lone surrogates, which UTF-8 doesn't have, become “?”.

    Args:
        text: one message's content, as someone typed or uploaded it.

    Returns:
        The same text where it has neither; defusing it again changes nothing.
    """
    whole = text.encode("utf-8", "replace").decode()
    return _CONTROL_TOKEN.sub(lambda found: f"{found[0][0]} {found[0][1:-1]} {found[0][-1]}", whole)
