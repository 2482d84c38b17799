"""Putting an adapter on the Hugging Face hub. The token is only passed on, never stored or shown."""

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
    folder: Path, repository: str, token: str, *, public: bool = False, endpoint: str | None = None
) -> str:
    """Upload a folder to a repository, made when missing, in one commit.

    Args:
        folder: what to upload.
        repository: ``owner/name``.
        token: with the right to write.
        public: whether everybody may see it; a repository that is there keeps what it is.
        endpoint: of the hub; None takes ``HF_ENDPOINT`` or huggingface.co.

    Returns:
        The address of the commit.

    Raises:
        AdapterError: the hub refuses or can't be reached, or the repository is public and shouldn't be.
    """
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint, token=token)
    with _explained():
        api.create_repo(repository, private=not public, exist_ok=True)
        private = api.repo_info(repository).private
    if not public and not private:
        raise AdapterError(
            f"The repository {repository} is public, and everybody would see the adapter. Make it private "
            "on the hub, give another one, or ask for public."
        )
    with _explained():
        commit = api.upload_folder(
            folder_path=folder, repo_id=repository, commit_message="Upload an adapter made with Elara"
        )
    return str(commit.commit_url)


@contextmanager
def _explained() -> Iterator[None]:
    """What the hub or the way to it refuses, in our words; its library's HTTP client is its own affair."""
    try:
        yield
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise AdapterError(
            f"The hub did not take the adapter: {reason} Check the connection, the repository's name, and "
            "that HF_TOKEN may write to it."
        ) from error
