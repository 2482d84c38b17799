"""The text that tokens make, piece by piece. Works with any tokenizer that decodes."""

from typing import Any

_PART_OF_A_CHARACTER = "�"


class Pieces:
    """Turns the tokens of one answer into pieces of whole characters.

    A token's text depends on the one before (a space, or none), so a few tokens are decoded again each time
    and what they say more than last time is the piece.

    Args:
        tokenizer: decodes; special tokens are left out.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._given = 0  # tokens at the beginning of _tokens whose text has been given out

    def add(self, token: int) -> str:
        """Take the next token; returns the text that is complete now, often nothing."""
        self._tokens.append(token)
        before = self._decode(self._tokens[: self._given])
        text = self._decode(self._tokens)
        if len(text) <= len(before) or text.endswith(_PART_OF_A_CHARACTER):
            return ""
        self._tokens = self._tokens[self._given :]
        self._given = len(self._tokens)
        return text[len(before) :]

    def _decode(self, tokens: list[int]) -> str:
        return str(
            self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )
