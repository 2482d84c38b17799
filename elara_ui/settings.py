"""Settings: one frozen object read from ELARA_* variables, passed in and never global.

Every field is documented in `docs/deploy.md` and listed in the `Spacefile`; tests hold both to this file.
"""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.home import Home
from elara_ui.errors import InvalidInput

PROJECT_ROOT = Path(__file__).resolve().parent.parent
SHORTEST_KEY = 16
"""Characters of an API key, at least; `openssl rand -hex 24` gives 48."""


class Settings(BaseSettings):
    """How this installation of Elara behaves."""

    model_config = SettingsConfigDict(env_prefix="ELARA_", env_ignore_empty=True, frozen=True, extra="ignore")

    home: Path = Field(
        default=PROJECT_ROOT / ".elara",
        description="Folder for everything that running creates: database, models, adapters, runs, exports.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. The default serves this machine only.",
    )
    port: int = Field(default=7860, ge=1, le=65535, description="Port to listen on.")
    context_tokens: int = Field(
        default=4096,
        ge=512,
        le=8192,
        description="Context window of one conversation, prompt and answer together, in tokens.",
    )
    slots: int = Field(
        default=4,
        ge=1,
        le=64,
        description="How many answers of one audience llama.cpp writes at once; audiences take turns. Each "
        "of these costs one window of memory.",
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=256,
        description="CPU threads for answering; 0 takes every core, less one where the page is for this "
        "machine alone.",
    )
    engine: str = Field(
        default="auto",
        pattern="^(auto|llamacpp|transformers)$",
        description="What answers: llamacpp, transformers, or auto, which is transformers where there is an "
        "NVIDIA graphics card and llamacpp elsewhere.",
    )
    base: str = Field(
        default="smollm2-135m",
        min_length=1,
        max_length=255,
        description="Base model that answers: a catalogue id, a hub id, or the path of a GGUF file or of a "
        "model's folder. What is chosen in the page later holds until this is changed.",
    )
    dtype: str = Field(
        default="auto",
        pattern="^(auto|bf16|fp16|fp32|8bit|4bit)$",
        description="How the transformers engine keeps the base model: bf16, fp16, fp32, 8bit, 4bit, or "
        "auto, which is bf16 where the hardware computes in it.",
    )
    batch_rows: int = Field(
        default=16,
        ge=1,
        le=256,
        description="How many answers the transformers engine writes at once, whatever their adapters.",
    )
    max_waiting: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="How many questions may wait for the transformers engine; more are told that it is busy.",
    )
    max_runs: int = Field(
        default=1,
        ge=1,
        le=16,
        description="How many training runs work at once; the others wait in a queue. Each needs the "
        "memory of a whole training.",
    )
    max_question_characters: int = Field(
        default=8000, ge=100, le=100_000, description="Longest question accepted, in characters."
    )
    max_upload_mb: int = Field(
        default=200, ge=1, le=10_000, description="Largest file that the page accepts, in megabytes."
    )
    max_adapter_mb: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="Largest adapter that is taken in, all its files unpacked, in megabytes.",
    )
    review_share: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="Share of the chat's answers that go to review by themselves, drawn by chance: 0 none, "
        "1 all. Candidates' answers always go.",
    )
    retention_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="Days after the last message until a conversation is deleted; 0 keeps them for ever.",
    )
    review_red_flags: bool = Field(
        default=True,
        description="Whether every answer to a question with a red flag goes to review, before all others. "
        "One that reassures over the flag always goes.",
    )
    fixed_replies: bool = Field(
        default=True,
        description="Whether fixed words answer patients and people in an emergency who may want to harm "
        "themselves, and no model.",
    )
    strict_release: bool = Field(
        default=False,
        description="Whether a version may only go live when every check of the release gate is met. "
        "Otherwise a written reason makes up for those that nothing blocks.",
    )
    engine_url: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="Address of a server that speaks OpenAI's API and has a model for each adapter, such as "
        "http://gpu:8000/v1; it then answers instead of this machine. Questions are sent there.",
    )
    engine_key: SecretStr | None = Field(default=None, description="Key that is sent to ELARA_ENGINE_URL.")
    engine_base: str = Field(
        default="smollm2-135m",
        description="Base model that ELARA_ENGINE_URL serves: a catalogue id, hub id or folder, as in the "
        "adapters' manifests.",
    )
    engine_names: str | None = Field(
        default=None,
        description="Where ELARA_ENGINE_URL names models otherwise than Elara does: OURS=THEIRS, separated "
        "by commas, such as patient@1=lora-patient.",
    )
    cache_mb: int = Field(
        default=16,
        ge=0,
        le=10_000,
        description="Megabytes of answers kept in memory for requests that repeat word for word, greedy or "
        "with a seed; private conversations never. 0 keeps none.",
    )
    cache_minutes: int = Field(
        default=60, ge=1, le=10_080, description="Minutes until a repeated request is answered anew."
    )
    api_keys: SecretStr | None = Field(
        default=None,
        description="Keys for the HTTP API at /v1, separated by commas, each of 16 or more characters. "
        "Without any it answers everyone on this machine, and nobody where ELARA_HOST is another address.",
    )
    country: str | None = Field(
        default=None,
        description="ISO code (GB, US, AU, …) of the country whose emergency and crisis numbers are shown. "
        "Without it the cards say “your local emergency number (112 in many countries)”.",
    )
    model_file: Path | None = Field(
        default=None,
        description="A wheel or GGUF of the embedded model placed by hand, for machines without internet.",
    )
    starters: bool = Field(
        default=True,
        description="Whether a new home begins with the starter adapters that come with Elara, one live for "
        "each audience; without them the base model answers until something is promoted.",
    )
    log_level: str = Field(
        default="WARNING",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="How much is logged to standard error: DEBUG, INFO, WARNING or ERROR.",
    )

    @field_validator("country")
    @classmethod
    def _is_known(cls, value: str | None) -> str | None:
        """Hold the country to those whose numbers are known."""
        if value is None:
            return None
        from elara_ui.clinical.redflags import known_countries  # only where it is set: it takes some 40 ms

        if (code := value.strip().upper()) not in (known := known_countries()):
            raise ValueError(f"its emergency numbers aren't known; known are {', '.join(known)}")
        return code

    @field_validator("api_keys")
    @classmethod
    def _are_long(cls, value: SecretStr | None) -> SecretStr | None:
        """A key that can be guessed is none."""
        keys = () if value is None else _split_keys(value)
        if value is not None and not (
            keys and all(len(key) >= SHORTEST_KEY and key.isascii() for key in keys)
        ):
            raise ValueError(f"each key needs {SHORTEST_KEY} or more characters of plain ASCII")
        return value

    @field_validator("engine_names")
    @classmethod
    def _are_pairs(cls, value: str | None) -> str | None:
        """Hold the names to their form."""
        if value is not None and not all(ours and theirs for ours, theirs in _split_names(value).items()):
            raise ValueError("it takes OURS=THEIRS, separated by commas")
        return value

    @classmethod
    def read(cls, **overrides: Any) -> Self:
        """Read the environment, with overrides from the command line.

        Args:
            overrides: field values that win over the environment; None means not given.

        Raises:
            InvalidInput: a value breaks its rule; the message names variable, value and rule.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls(**given)
        except ValidationError as error:
            problem = error.errors()[0]
            name = ".".join(str(part) for part in problem["loc"])
            setting = f"Option --{name}" if name in given else f"Setting ELARA_{name.upper()}"
            rule = str(problem.get("ctx", {}).get("error") or problem["msg"].lower())
            secret = name in ("api_keys", "engine_key")  # keys come into no log
            value = "not valid" if secret else repr(problem["input"])
            raise InvalidInput(
                f"{setting} is {value}: {rule}. Correct it or leave it out to use the default."
            ) from None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the HTTP API."""
        return () if self.api_keys is None else _split_keys(self.api_keys)

    @property
    def remote_names(self) -> dict[str, str]:
        """Elara's name of a model → that of the server at `engine_url`."""
        return _split_names(self.engine_names or "")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can open the page."""
        return self.host in ("127.0.0.1", "::1", "localhost")

    @property
    def folders(self) -> Home:
        """ELARA_HOME as the folders in it."""
        return Home(self.home.expanduser().resolve())


def _split_keys(value: SecretStr) -> tuple[str, ...]:
    return tuple(key.strip() for key in value.get_secret_value().split(",") if key.strip())


def _split_names(value: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in value.split(",") if pair.strip())
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}
