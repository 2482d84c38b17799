"""What becomes of a message's text before a chat template takes it in, in training and in serving alike."""

import re

_CONTROL_TOKEN = re.compile(r"<\|([^|<>\s]{1,64})\|>")


def defuse(text: str) -> str:
    """Text that stays text: nobody may end their own turn and speak as the system or the model.

    Tokenizers read control tokens such as ``<|im_end|>`` wherever they stand, so what looks like one is
    broken by a space. Lone surrogates, which UTF-8 doesn't have, become “?”.

    Args:
        text: one message's content, as someone typed or uploaded it.

    Returns:
        The same text where it has neither; defusing it again changes nothing.
    """
    return _CONTROL_TOKEN.sub(r"< |\1| >", text.encode("utf-8", "replace").decode())
