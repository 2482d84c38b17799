"""Whether a question fits a context window with its answer; the same rule and words in every engine."""

from adapters.errors import ContextOverflow


def check_room(prompt_tokens: int, max_new_tokens: int, context_tokens: int) -> None:
    """The prompt and the longest answer must fit the window together.

    Args:
        prompt_tokens: the rendered messages, tokens.
        max_new_tokens: bound on the answer, tokens.
        context_tokens: the window, tokens.

    Raises:
        ContextOverflow: they don't.
    """
    limit = context_tokens - max_new_tokens
    if prompt_tokens > limit:
        raise ContextOverflow(
            f"Messages and answer must fit {context_tokens} tokens; the messages take "
            f"{prompt_tokens} and up to {max_new_tokens} are kept for the answer. "
            "Shorten the messages or the answer.",
            prompt_tokens=prompt_tokens,
            limit=limit,
        )
