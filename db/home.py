"""Where everything that running creates is kept. Paths only; knows nothing of what is in them."""

from dataclasses import dataclass
from pathlib import Path

from db.errors import StorageError


@dataclass(frozen=True)
class Home:
    """ELARA_HOME. Deleting it starts afresh; copying it is a backup.

    Args:
        root: absolute path of the folder.
    """

    root: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "elara.sqlite3"

    @property
    def models(self) -> Path:
        """Base models."""
        return self.root / "models"

    @property
    def adapters(self) -> Path:
        """Trained adapters, ``adapters/<audience>/<version>/``."""
        return self.root / "adapters"

    @property
    def runs(self) -> Path:
        """One folder a training run: recipe, snapshot, environment, metrics, samples, log, checkpoints."""
        return self.root / "runs"

    @property
    def snapshots(self) -> Path:
        """Immutable training sets, named by hash."""
        return self.root / "snapshots"

    @property
    def evaluation(self) -> Path:
        """Evaluation sets, JSONL: no prompt in them may come into a training set."""
        return self.root / "evaluation"

    @property
    def recipes(self) -> Path:
        """Recipes that people have saved."""
        return self.root / "recipes"

    @property
    def exports(self) -> Path:
        """Files that exports leave; the page hands them over itself and serves none by its path."""
        return self.root / "exports"

    @property
    def uploads(self) -> Path:
        """Files that users upload, while they are being read."""
        return self.root / "uploads"

    @property
    def backups(self) -> Path:
        """Copies of the database taken before migrations."""
        return self.root / "backups"

    @property
    def lock(self) -> Path:
        """Held by the one app that serves this home."""
        return self.root / "app.lock"

    def create(self) -> None:
        """Make the folders that are missing, readable by their owner only.

        Raises:
            StorageError: the place can't be written.
        """
        folders = (
            self.models,
            self.adapters,
            self.runs,
            self.snapshots,
            self.evaluation,
            self.recipes,
            self.exports,
            self.uploads,
        )
        try:
            for folder in (self.root, *folders, self.backups):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"ELARA_HOME {self.root} can't be used: {error.strerror}. Choose a folder that can be "
                "written, with --home or ELARA_HOME."
            ) from error
