"""The use-cases, built once and passed in. Nothing here knows gradio or torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapters import catalog
from adapters.engines.choice import Choice
from adapters.memory_fit import Window
from adapters.recipe import Recipe, load_recipes
from db.session import Database, migrate
from elara_ui.services.adapter_intake import AdapterIntake
from elara_ui.services.adapter_probe import AdapterProbes
from elara_ui.services.adapters import AdapterService
from elara_ui.services.adjudication import AdjudicationService
from elara_ui.services.answer_cache import AnswerCache
from elara_ui.services.asking import AskingService
from elara_ui.services.batch import BatchService
from elara_ui.services.blind_batches import BlindBatchService
from elara_ui.services.calibration import CalibrationService
from elara_ui.services.chat import ChatService
from elara_ui.services.comparing import ComparingService
from elara_ui.services.conversations import ConversationService
from elara_ui.services.curation import CurationService
from elara_ui.services.distillation import DistillationService
from elara_ui.services.evaluation_rubric import RubricService
from elara_ui.services.evaluations import EvaluationService
from elara_ui.services.exporting import ExportService
from elara_ui.services.gate_keeper import GateKeeper
from elara_ui.services.importing import ImportingService
from elara_ui.services.insights import InsightsService
from elara_ui.services.lineage import LineageService
from elara_ui.services.models import ModelService
from elara_ui.services.one_at_a_time import OneAtATime
from elara_ui.services.pairs import PairsService
from elara_ui.services.private_chat import PrivateChatService
from elara_ui.services.reading import ReadingService
from elara_ui.services.recipes import RecipeService
from elara_ui.services.release import ReleaseService
from elara_ui.services.retention import RetentionService
from elara_ui.services.review_sampling import ReviewSampling
from elara_ui.services.reviewers import ReviewersService
from elara_ui.services.reviewing import ReviewingService
from elara_ui.services.runs import RunService
from elara_ui.services.safety import SafetyService
from elara_ui.services.serving import EngineFactory, ServingService, ServingStatus
from elara_ui.services.snapshots import SnapshotService
from elara_ui.services.starters import adopt_starters
from elara_ui.services.suites import SuiteService
from elara_ui.services.teaching import TeachingService
from elara_ui.services.training import TrainingService
from elara_ui.services.transfer import TransferService
from elara_ui.services.triage import TriageService
from elara_ui.services.trials import TrialService
from elara_ui.services.upkeep import Upkeep
from elara_ui.settings import Settings

__all__ = ["Services", "build_services"]


@dataclass(frozen=True)
class Services:
    """Everything the page and the command line can do."""

    settings: Settings
    recipes: Mapping[str, Recipe]
    database: Database
    serving: ServingService
    models: ModelService
    conversations: ConversationService
    triage: TriageService
    chat: ChatService
    private_chat: PrivateChatService
    batch: BatchService
    answering: OneAtATime
    reviewing: ReviewingService
    pairs: PairsService
    comparing: ComparingService
    calibration: CalibrationService
    reviewers: ReviewersService
    importing: ImportingService
    recipe_book: RecipeService
    training: TrainingService
    runs: RunService
    adapters: AdapterService
    gate: GateKeeper
    release: ReleaseService
    trials: TrialService
    blind: BlindBatchService
    intake: AdapterIntake
    probes: AdapterProbes
    exports: ExportService
    transfer: TransferService
    distillation: DistillationService
    teaching: TeachingService
    insights: InsightsService
    reading: ReadingService
    adjudication: AdjudicationService
    curation: CurationService
    snapshots: SnapshotService
    lineage: LineageService
    safety: SafetyService
    suites: SuiteService
    evaluations: EvaluationService
    rubric: RubricService
    retention: RetentionService
    upkeep: Upkeep

    def close(self) -> None:
        """Stop what works in the background, free the engine and the database. Runs go on."""
        self.upkeep.close()
        self.teaching.close()
        self.evaluations.close()
        self.comparing.close()
        self.probes.close()
        self.models.close()
        self.serving.close()
        self.database.close()


def build_services(
    settings: Settings,
    report: Callable[[ServingStatus], None] = lambda status: None,
    engine_factory: EngineFactory | None = None,
) -> Services:
    """Create ELARA_HOME, bring the database up to date and put the services together.

    The model is not loaded yet: the first question, or `Services.serving.start`, does that.

    Args:
        settings: from `Settings.read`.
        report: told how the model is coming up.
        engine_factory: see `ServingService`.

    Raises:
        StorageError: ELARA_HOME can't be written, or its database can't be used.
        RecipeError: a recipe file is wrong.
    """
    home = settings.folders
    home.create()
    migrate(home)
    database = Database.open(home.database)
    recipes = load_recipes()
    serving = ServingService(settings, database, report, engine_factory)
    if settings.starters and not serving.is_remote and serving.base_model == catalog.EMBEDDED:
        adopt_starters(database, home, recipes)
    models = ModelService(
        database,
        home,
        Window(settings.context_tokens, settings.slots),
        lambda: serving.choice,
        lambda: _coming(serving),
        settings.is_local,
    )
    triage = TriageService(settings.country)
    cache = AnswerCache(settings.cache_mb * 1_000_000, settings.cache_minutes * 60)
    asking = AskingService(database, serving, triage, cache, fixed_replies=settings.fixed_replies)
    conversations = ConversationService(database, triage)
    training = TrainingService(
        database, home, recipes, settings.max_runs, settings.is_local, models.trainable
    )
    pairs = PairsService(database)
    limit = settings.max_question_characters

    def served() -> str:
        return serving.base_model

    comparing = ComparingService(
        database,
        home,
        ChatService(
            database, asking, serving, conversations, recipes, limit, triage
        ),  # sends nothing to review
        pairs,
        served,
    )
    runs = RunService(database, home, settings.max_runs, recipes)
    retention = RetentionService(database, home, settings.retention_days)
    distillation = DistillationService(database, home, serving, recipes)
    chat = ChatService(
        database,
        asking,
        serving,
        conversations,
        recipes,
        limit,
        triage,
        ReviewSampling(settings.review_share, red_flags=settings.review_red_flags),
    )
    private_chat = PrivateChatService(chat, asking, serving, triage)
    adapters = AdapterService(database, home, lambda: serving.base_model)
    # What is measured is the model, whatever would be answered in its place.
    unguarded = AskingService(database, serving, triage, cache, fixed_replies=False)
    measured_chat = PrivateChatService(chat, unguarded, serving, triage)
    safety = SafetyService(database, home, serving, measured_chat, recipes)
    suites = SuiteService(database, tuple(recipes))
    evaluations = EvaluationService(database, home, serving, measured_chat, recipes, suites, safety)
    reading = ReadingService(database, recipes)
    blind = BlindBatchService(database, home, comparing, served)
    keeper = GateKeeper(database, recipes, evaluations, reading, blind)
    strict = settings.strict_release
    trials = TrialService(database, home, served, recipes, keeper, strict=strict)
    return Services(
        settings=settings,
        recipes=recipes,
        database=database,
        serving=serving,
        models=models,
        conversations=conversations,
        triage=triage,
        chat=chat,
        private_chat=private_chat,
        batch=BatchService(chat, private_chat, serving, adapters, recipes, settings),
        answering=OneAtATime(),
        reviewing=ReviewingService(database, home),
        pairs=pairs,
        comparing=comparing,
        calibration=CalibrationService(database),
        reviewers=ReviewersService(database, tuple(recipes)),
        importing=ImportingService(database, tuple(recipes)),
        recipe_book=RecipeService(home, recipes),
        training=training,
        runs=runs,
        adapters=adapters,
        gate=keeper,
        release=ReleaseService(database, home, served, recipes, keeper, trials, runs, strict=strict),
        trials=trials,
        blind=blind,
        intake=AdapterIntake(
            database,
            home,
            tuple(recipes),
            models.known,
            models.find,
            settings.max_adapter_mb * 1_000_000,
            settings.is_local,
        ),
        probes=AdapterProbes(database, home, serving, recipes),
        exports=ExportService(database, home, settings.is_local),
        transfer=TransferService(database, home, recipes, settings.max_runs),
        distillation=distillation,
        teaching=TeachingService(distillation, training),
        insights=InsightsService(database),
        reading=reading,
        adjudication=AdjudicationService(database),
        curation=CurationService(database, home),
        snapshots=SnapshotService(database, home, settings.is_local),
        lineage=LineageService(database, settings.folders),
        safety=safety,
        suites=suites,
        evaluations=evaluations,
        rubric=RubricService(database),
        retention=retention,
        upkeep=Upkeep(runs, retention, serving.follow, evaluations=evaluations),
    )


def _coming(serving: ServingService) -> Choice | None:
    """What a switch under way brings up."""
    switching = serving.status.switching
    return switching.choice if switching is not None and not switching.failed else None
