"""Training sets as what can be put on the Hugging Face hub."""

from elara_ui.services import Services
from elara_ui.services.snapshots import DatasetForm


class SnapshotShelf:
    """Frozen sets.

    Args:
        services: check and push them.
    """

    placeholder = "my-clinic/patient-answers"
    asks_consent = True

    def __init__(self, services: Services) -> None:
        self._snapshots = services.snapshots

    @property
    def has_token(self) -> bool:
        """Whether anything can be pushed at all."""
        return self._snapshots.has_token

    def check(self, name: str, repository: str, consent: bool) -> None:
        """Refuse what can't be pushed."""
        self._snapshots.check_push(name, repository, accept_identifiers=consent)

    def describe(self, name: str) -> tuple[str, str]:
        """What people call it, and what of it would leave."""
        found = self._snapshots.show(name)
        return (
            found.label,
            f"its {found.rows:,} rows with their questions and answers, its card, and its manifest with "
            "raters under pseudonyms",
        )

    def push(self, name: str, repository: str, *, public: bool, consent: bool) -> str:
        """Upload it; its address."""
        return self._snapshots.export(
            name, DatasetForm.HUB, repository, accept_identifiers=consent, public=public
        ).place
