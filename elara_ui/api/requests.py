"""What a client sends, checked: everything that Elara can't do is refused by name, nothing is passed over."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from adapters.engines.base import Turn
from db.vocabulary import Role
from elara_ui.api.errors import ApiError
from elara_ui.errors import InvalidInput
from elara_ui.services.dialogue import Dialogue, take_apart
from elara_ui.services.questions import SAMPLING_LIMITS

MOST_MESSAGES = 200
MOST_STOPS = 4
"""As OpenAI takes."""
LONGEST_STOP = 100

NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "service_tier": ("auto", "default"),
    "metadata": ({},),
}
"""Fields that aren't supported, with the values that ask for nothing: those are taken."""


def _flatten(content: Any) -> Any:
    """A message's text, given whole or as parts of text."""
    if not isinstance(content, list):
        return content
    texts = []
    for part in content:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise ValueError("only parts of type text are understood, no images, sounds or files")
        texts.append(part["text"])
    return "\n".join(texts)


def _listed(stop: Any) -> Any:
    """One stop or several."""
    return (stop,) if isinstance(stop, str) else tuple(stop) if isinstance(stop, list) else stop


def _between(name: str) -> Any:
    """The limits that hold for the page too."""
    low, high = SAMPLING_LIMITS[name]
    return Field(default=None, ge=low, le=high, allow_inf_nan=False)


class _Strict(BaseModel):
    """Numbers aren't read from strings, and what isn't known is refused with its name."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    @model_validator(mode="after")
    def _refuse_the_unknown(self) -> Self:
        for name, value in (self.model_extra or {}).items():
            if value is not None and value not in NEUTRAL.get(name, ()):
                neutral = " or ".join(map(repr, NEUTRAL.get(name, ())))
                remedy = f"Leave it out, or send {neutral}." if neutral else "Leave it out."
                raise ValueError(f"{name} isn't supported. {remedy}")
        return self


class Message(_Strict):
    """One turn as the client has it."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_flatten)]


class StreamOptions(_Strict):
    """What a stream tells beside the words."""

    include_usage: bool = False
    include_obfuscation: bool = False


class Extras(_Strict):
    """Elara's own field.

    Args:
        audience: whose prompt and limits hold for `elara-base`.
        accept_identifiers: likely identifiers of people were looked at and may stay.
    """

    audience: str | None = None
    accept_identifiers: bool = False


class ChatBody(_Strict):
    """The body of POST /v1/chat/completions."""

    model: str
    messages: list[Message] = Field(min_length=1, max_length=MOST_MESSAGES)
    temperature: float | None = _between("temperature")
    top_p: float | None = _between("top_p")
    max_tokens: int | None = _between("max_new_tokens")
    max_completion_tokens: int | None = _between("max_new_tokens")
    seed: int | None = _between("seed")
    stop: (
        Annotated[
            tuple[Annotated[str, Field(min_length=1, max_length=LONGEST_STOP)], ...],
            BeforeValidator(_listed),
            Field(max_length=MOST_STOPS),
        ]
        | None
    ) = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    store: bool | None = None
    elara: Extras = Extras()

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with figures."""
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def overrides(self) -> dict[str, Any]:
        """Sampling as `ChatService.check` takes it.

        Raises:
            ApiError: two different bounds are given for the answer's length.
        """
        bounds = {self.max_tokens, self.max_completion_tokens} - {None}
        if len(bounds) > 1:
            raise ApiError(
                400,
                f"max_tokens is {self.max_tokens} and max_completion_tokens is {self.max_completion_tokens}; "
                "both bound the answer's length. Send one of them.",
                param="max_tokens",
            )
        return {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_new_tokens": next(iter(bounds), None),
            "seed": self.seed,
        }


def parse_body(raw: bytes) -> ChatBody:
    """Read a request's body.

    Raises:
        ApiError: it is no JSON, or a field breaks its rule.
    """
    try:
        return ChatBody.model_validate_json(raw)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise _explain(problem) from None


def split_messages(messages: list[Message], longest: int) -> Dialogue:
    """Take a client's messages apart, as `take_apart` does.

    Args:
        longest: characters that a turn may have.

    Raises:
        ApiError: the order is none that a conversation can have, or a turn is empty or too long.
    """
    try:
        return take_apart([Turn(_role_of(each), each.content) for each in messages], longest)
    except InvalidInput as error:
        raise ApiError(400, error.message, param="messages") from None


def _role_of(message: Message) -> Role:
    return Role.SYSTEM if message.role == "developer" else Role(message.role)


def _explain(problem: Mapping[str, Any]) -> ApiError:
    """The first of pydantic's complaints, as OpenAI would put it."""
    if problem["type"] == "json_invalid":
        return ApiError(400, f"The body must be JSON, and isn't: {problem['ctx']['error']}.")
    inner = problem.get("ctx", {}).get("error")
    # A union names its members in the place, tuples and functions the way there; people know fields only.
    place = [part for part in problem["loc"] if isinstance(part, int) or part.isidentifier()]
    param = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    reason = str(inner or problem["msg"])
    unsupported = isinstance(inner, ValueError) and "isn't supported" in reason
    if unsupported:
        name = reason.split(" ", 1)[0]
        param = f"{param}.{name}" if param else name
    return ApiError(
        400,
        reason if unsupported else f"{param or 'The body'}: {reason[:1].lower()}{reason[1:]}.",
        param=param or None,
        code="unsupported_parameter" if unsupported else None,
    )
