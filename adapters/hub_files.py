"""Asking the Hugging Face hub about a model: what it is, and which of its files would be downloaded."""

import fnmatch
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from adapters.architectures import describe_config
from adapters.base_model import GGUF_SUFFIX, BaseModel, Weights
from adapters.errors import ModelError

TOKEN = "HF_TOKEN"  # noqa: S105 -- the name of the variable
_TIMEOUT_SECONDS = 20.0
_NOT_FOUND = 404
# Only what holds numbers, words and settings: other formats can run code when they are opened.
_FOLDER_FILES = (
    *("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json"),
    *("tokenizer*.json", "tokenizer*.model", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja", "chat_template.json"),
)
# Which llama.cpp calls a form's files are in, best first.
_KINDS: Mapping[Weights, tuple[str, ...]] = {
    Weights.Q4: ("Q4_K_M", "Q4_K_S", "Q4_1", "Q4_0", "IQ4_XS", "IQ4_NL"),
    Weights.Q8: ("Q8_0",),
    Weights.F16: ("F16", "FP16", "BF16"),
}
_PART = re.compile(r"-\d{5}-of-\d{5}$")


class UnknownRepository(ModelError):
    """The hub has no such repository, or doesn't show it."""


@dataclass(frozen=True)
class HubFile:
    """A file of a repository.

    Args:
        name: its path in it.
        size: bytes.
        sha256: of its content where the hub says, else empty.
        blob: git's SHA-1 of it, which the hub says for small files.
    """

    name: str
    size: int
    sha256: str = ""
    blob: str = ""


@dataclass(frozen=True)
class DownloadPlan:
    """What a download would bring.

    Args:
        model: whose weights.
        weights: in which form.
        repository: of the hub.
        revision: the commit, so that all files are of one state.
        files: to bring.
    """

    model: BaseModel
    weights: Weights
    repository: str
    revision: str
    files: tuple[HubFile, ...]

    @property
    def size(self) -> int:
        """Of all files, bytes."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Hub:
    """A Hugging Face hub and who asks it.

    Args:
        endpoint: its address.
        token: of the person; empty for none. Passed on, never stored or shown.
    """

    endpoint: str
    token: str = ""

    def __repr__(self) -> str:
        return f"Hub({self.endpoint!r})"

    @classmethod
    def from_environment(cls) -> "Hub":
        """The hub that ``HF_ENDPOINT`` names, huggingface.co if none, with the token in ``HF_TOKEN``."""
        address = os.environ.get("HF_ENDPOINT", "").strip() or "https://huggingface.co"
        return cls(address.rstrip("/"), os.environ.get(TOKEN, "").strip())

    def address_of(self, repository: str, revision: str, name: str) -> str:
        """Where a file is."""
        from huggingface_hub import hf_hub_url

        return hf_hub_url(repository, name, revision=revision, endpoint=self.endpoint)

    def plan(self, model: BaseModel, weights: Weights) -> DownloadPlan:
        """Find out what a download would bring, and that it may be had.

        Raises:
            ModelError: the hub can't be reached, hasn't got it, or wants terms to be accepted first.
        """
        if not model.hub_id:
            raise ModelError(f"{model.title} isn't a model of the hub: there is nothing to download.")
        if weights.is_gguf:
            return self._plan_gguf(model, weights)
        with self._explained(model.hub_id):
            info = self._info(model.hub_id)
            self._check_access(info)
        files = tuple(file for file in _files(info) if _is_wanted(file.name))
        if not any(file.name.endswith(".safetensors") for file in files):
            raise ModelError(
                f"Weights are taken as safetensors only, since other formats can run code when they are "
                f"opened; {model.hub_id} has none. Choose another form or model."
            )
        return DownloadPlan(model, weights, model.hub_id, str(info.sha), files)

    def describe(self, hub_id: str) -> BaseModel:
        """What the hub says of a model: architecture, size, licence, languages, and whether terms bar it.

        Raises:
            ModelError: the hub can't be reached or hasn't got it, or it is no language model.
        """
        with self._explained(hub_id):
            info = self._info(hub_id)
            names = [file.name for file in _files(info)]
            config = self._read_config(hub_id, info) if "config.json" in names else {}
        return _describe(hub_id, info, config, names)

    def _plan_gguf(self, model: BaseModel, weights: Weights) -> DownloadPlan:
        """Look through the repositories in their order; the first that has the form is taken."""
        offered: dict[str, None] = {}
        repositories = model.gguf or (model.hub_id,)
        for repository in repositories:
            try:
                with self._explained(repository):
                    info = self._info(repository)
            except UnknownRepository:  # moved or renamed; the next may have it
                if len(repositories) == 1:
                    raise
                continue
            if files := choose_gguf(_files(info), weights):
                with self._explained(repository):
                    self._check_access(info)
                return DownloadPlan(model, weights, repository, str(info.sha), files)
            offered |= {form.value: None for form in Weights if choose_gguf(_files(info), form)}
        way = f"There are {', '.join(offered)}: choose one of them." if offered else (
            "There are no GGUF files at all: add the repository that has them by its own id, or take the "
            "full weights for the transformers engine."
        )  # fmt: skip
        raise ModelError(
            f"A GGUF file of the form {weights.value} must be in {' or '.join(repositories)}, and there is "
            f"none. {way}"
        )

    def _api(self) -> Any:
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint, token=self.token or False)

    def _info(self, repository: str) -> Any:
        return self._api().model_info(repository, files_metadata=True, timeout=_TIMEOUT_SECONDS)

    def _check_access(self, info: Any) -> None:
        """Whether a gated repository lets this person in, before anything is brought."""
        if info.gated:
            self._api().auth_check(info.id)

    def _read_config(self, hub_id: str, info: Any) -> Mapping[str, Any]:
        """Its configuration; nothing where only those who accepted terms may read it."""
        import httpx

        address = self.address_of(hub_id, str(info.sha), "config.json")
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = httpx.get(address, headers=headers, timeout=_TIMEOUT_SECONDS, follow_redirects=True)
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return {}
        answer.raise_for_status()
        content = answer.json()
        return content if isinstance(content, dict) else {}

    @contextmanager
    def _explained(self, repository: str) -> Iterator[None]:
        """What the hub or the way to it refuses, in our words."""
        from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

        try:
            yield
        except ModelError:
            raise
        except GatedRepoError as error:
            raise self.refuse_gated(repository) from error
        except (RepositoryNotFoundError, HFValidationError) as error:
            raise _refuse_unknown(repository) from error
        except Exception as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            if status == _NOT_FOUND:
                raise _refuse_unknown(repository) from error
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")
            raise ModelError(
                f"The hub at {self.endpoint} must answer to look a model up, and it doesn't: "
                f"{f'it says {status}' if status else reason}. Check the connection and try again; on a "
                "machine without internet, bring the folder or GGUF file and add it by its path."
            ) from error

    def refuse_gated(self, repository: str) -> ModelError:
        """What to do about terms that have to be accepted."""
        page = f"{self.endpoint}/{repository}"
        if not self.token:
            return ModelError(
                f"{repository} is handed out only to people who have accepted its terms, and there is no "
                f"token to show that. Accept them at {page}, make a token at "
                f"{self.endpoint}/settings/tokens that may read, and start Elara with it in {TOKEN}."
            )
        return ModelError(
            f"{repository} is handed out only to people who have accepted its terms, and the account of the "
            f"token in {TOKEN} isn't among them. Accept the terms at {page} with that account (some makers "
            "take a while to confirm), or check that the token may read gated models."
        )


def _refuse_unknown(repository: str) -> UnknownRepository:
    return UnknownRepository(
        f"The hub has no model {repository} that this machine may see. Check the name; if it is private, "
        f"start Elara with a token in {TOKEN} that may read it."
    )


def choose_gguf(files: Sequence[HubFile], weights: Weights) -> tuple[HubFile, ...]:
    """The GGUF files of a form in a repository: one, or all parts of one; none when it hasn't any."""
    for kind in _KINDS.get(weights, ()):
        pattern = re.compile(rf"(?<![A-Z0-9]){kind}(?![A-Z0-9_])", re.IGNORECASE)
        groups: dict[str, list[HubFile]] = {}
        for file in files:
            stem = file.name[: -len(GGUF_SUFFIX)]
            name = stem.rpartition("/")[2]
            if file.name.lower().endswith(GGUF_SUFFIX) and pattern.search(name) and _is_language(name):
                groups.setdefault(_PART.sub("", stem), []).append(file)
        if groups:  # the shortest name is the plain one; others are variants of it
            return tuple(sorted(groups[min(groups, key=len)], key=lambda file: file.name))
    return ()


def _is_language(name: str) -> bool:
    """Whether it is the language model, not its eyes (mmproj) or notes for quantising it (imatrix)."""
    return not any(word in name.lower() for word in ("mmproj", "imatrix"))


def _is_wanted(name: str) -> bool:
    return "/" not in name and any(fnmatch.fnmatch(name, pattern) for pattern in _FOLDER_FILES)


def _files(info: Any) -> tuple[HubFile, ...]:
    return tuple(
        HubFile(
            each.rfilename,
            int(each.size or 0),
            str(each.lfs.sha256 or "") if each.lfs else "",
            "" if each.lfs else str(each.blob_id or ""),
        )
        for each in info.siblings or ()
    )


def _describe(hub_id: str, info: Any, config: Mapping[str, Any], names: Sequence[str]) -> BaseModel:
    card = info.card_data.to_dict() if info.card_data else {}
    tags = set(info.tags or ())
    files = [name for name in names if name.lower().endswith(GGUF_SUFFIX)]
    if not files and not any(name.endswith(".safetensors") for name in names):
        raise ModelError(
            f"A base model must have safetensors or GGUF files; {hub_id} has neither. Choose another one: "
            "other formats can run code when they are opened."
        )
    told = info.gguf or {}
    parameters = int((info.safetensors.total if info.safetensors else 0) or told.get("total") or 0)
    found = describe_config(hub_id, config, parameters=parameters)
    return replace(
        found,
        architecture=found.architecture or str(told.get("architecture") or ""),
        context_tokens=found.context_tokens or int(told.get("context_length") or 0),
        licence=_licence(card),
        use_limits=(
            "The hub hands it out only after its terms have been accepted on the model's page."
            if info.gated
            else ""
        ),
        gated=bool(info.gated),
        has_chat_template=True if told.get("chat_template") else None,
        instruct=True if "conversational" in tags else None,
        medical=bool(tags & {"medical", "biology", "clinical"}),
        languages=_languages(card),
        gguf=(hub_id,) if files else (),
    )


def _licence(card: Mapping[str, Any]) -> str:
    told = card.get("license_name") if card.get("license") == "other" else card.get("license")
    return str(told or "")


def _languages(card: Mapping[str, Any]) -> str:
    told = card.get("language") or ()
    return ", ".join(map(str, [told] if isinstance(told, str) else told))
