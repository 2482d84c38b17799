"""Putting adapters and datasets on the Hugging Face hub. The token is only passed on, never kept or shown."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.errors import AdapterError
from adapters.manifest import Manifest

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def check_repository(repository: str) -> str:
    """The id of a repository, ``owner/name``.

    Raises:
        AdapterError: it is none.
    """
    if not REPOSITORY.fullmatch(repository):
        raise AdapterError(
            f"A repository of the hub is written owner/name, but it is {repository[:100]!r}. Give yours, "
            "such as my-clinic/patient-lora."
        )
    return repository


def check_shareable(manifest: Manifest) -> None:
    """Refuse what nobody else could use, and what names folders of this machine.

    Raises:
        AdapterError: the base model is a local folder.
    """
    base = manifest.provenance.base_model
    if Path(base).is_absolute():
        raise AdapterError(
            f"On the hub an adapter must name a base model that others can get, but {manifest.name} was "
            f"trained on the folder {base} of this machine. Export it as merged, and upload that folder."
        )


def push(
    folder: Path,
    repository: str,
    token: str,
    *,
    public: bool = False,
    endpoint: str | None = None,
    dataset: bool = False,
) -> str:
    """Upload a folder to a repository, made when missing, in one commit.

    Args:
        folder: what to upload.
        repository: ``owner/name``.
        token: with the right to write.
        public: whether everybody may see it; a repository that is there keeps what it is.
        endpoint: of the hub; None takes ``HF_ENDPOINT`` or huggingface.co.
        dataset: whether it is a dataset and no adapter.

    Returns:
        The address of the commit.

    Raises:
        AdapterError: the hub refuses or can't be reached, or the repository is public and shouldn't be.
    """
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint, token=token)
    what = "dataset" if dataset else "adapter"
    kind = "dataset" if dataset else None
    with _explained(what):
        api.create_repo(repository, private=not public, exist_ok=True, repo_type=kind)
        private = api.repo_info(repository, repo_type=kind).private
    if not public and not private:
        raise AdapterError(
            f"The repository {repository} is public, and everybody would see the {what}. Make it private "
            "on the hub, give another one, or ask for public."
        )
    article = "a" if dataset else "an"
    with _explained(what):
        commit = api.upload_folder(
            folder_path=folder,
            repo_id=repository,
            commit_message=f"Upload {article} {what} made with Elara",
            repo_type=kind,
        )
    return str(commit.commit_url)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """What the hub or the way to it refuses, in our words; its library's HTTP client is its own affair."""
    try:
        yield
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise AdapterError(
            f"The hub did not take the {what}: {reason} Check the connection, the repository's name, and "
            "that HF_TOKEN may write to it."
        ) from error
