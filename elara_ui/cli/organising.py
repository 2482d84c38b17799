"""The command line's verbs for whoever runs the reviewing: comparisons, and known answers."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elara_ui.cli.parts import AudienceOption, HomeOption, JsonOption, open_services, parse_settings
from elara_ui.cli.text import format_table, write_document, write_note
from elara_ui.errors import InvalidInput
from elara_ui.services import Services
from elara_ui.services.comparing import Comparison, ComparisonPlan, Voice, split_questions
from elara_ui.services.pairs import PairBatch
from elara_ui.services.training_data import parse_data

GIVEN, ASKED = "given", "asked"

ItemArgument = Annotated[str, typer.Argument(help="Id of the item, or of its answer.")]


def compare_answers(
    first: Annotated[
        str, typer.Argument(help="An adapter such as patient@2, or base; patient@2:0.8 at a temperature.")
    ],
    second: Annotated[str, typer.Argument(help="What it is compared with, likewise.")],
    audience: AudienceOption,
    batch: Annotated[str, typer.Option("--batch", help="Name of these comparisons.")],
    questions: Annotated[
        str,
        typer.Option(
            help="given: answers that are there; asked: questions asked here; starter, reviews, "
            "snapshot:NAME; or a text file with one a line."
        ),
    ] = GIVEN,
    number: Annotated[int, typer.Option("--number", help="Most questions.")] = 20,
    wanted: Annotated[int | None, typer.Option("--wanted", help="Judgements of each pair.")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Send pairs of answers to be compared; both are asked anew unless their answers are there."""
    voices = _parse_voice(first), _parse_voice(second)
    with open_services(home) as services:
        if questions == GIVEN:
            if any(voice.temperature is not None for voice in voices):
                raise InvalidInput(
                    "A temperature matters only where both are asked anew. Leave it out, or give --questions."
                )
            sent: PairBatch | Comparison = services.pairs.create_batch(
                voices[0].adapter, voices[1].adapter, batch, audience=audience, wanted=wanted, limit=number
            )
        else:
            asked = _gather(services, audience, questions, number)
            plan = services.comparing.check(ComparisonPlan(audience, *voices, asked, batch, wanted))
            for now in services.comparing.run(plan):
                write_note(f"{now.done} of {len(plan.questions)} questions answered by both")
                sent = now
    if as_json:
        write_document(asdict(sent))
    else:
        print(f"Sent to be compared as “{batch}”: {sent.sent}. Answered with the same words: {sent.equal}.")


def list_known(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List the answers whose right judgement is known, and how far reviewers agree with it."""
    with open_services(home) as services:
        known = services.calibration.known(limit=1000)
    if as_json:
        write_document({"known": [asdict(each) for each in known]})
        return
    rows = [
        [
            each.item_id,
            each.audience,
            " ".join(f"{axis}={value}" for axis, value in each.expected.items()),
            f"{each.agreed / each.compared:.0%} of {each.judged} agree"
            if each.compared
            else "not judged yet",
        ]
        for each in known
    ]
    print(format_table(rows) if rows else "No answer is known yet.")


def mark_known(
    item: ItemArgument,
    expected: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="AXIS=VALUE", help="What is right; repeatable. An adjudicator's if not given."
        ),
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make the right judgement of an answer known: it comes among other tasks, to see who agrees."""
    with open_services(home) as services:
        item_id = _find_item(services, item)
        if expected:
            services.calibration.mark(item_id, parse_settings(expected))
        else:
            services.calibration.from_adjudicated(item_id)
    write_document({"item_id": item_id, "known": True}) if as_json else print(f"Known: {item_id}.")


def unmark_known(item: ItemArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Make a known answer an ordinary one again."""
    with open_services(home) as services:
        known = services.calibration.known(limit=1000)
        item_id = next((each.item_id for each in known if each.response_id == item), item)
        services.calibration.unmark(item_id)
    write_document({"item_id": item_id, "known": False}) if as_json else print(f"No longer known: {item_id}.")


def _find_item(services: Services, reference: str) -> str:
    """The item meant by its id or its answer's; what is no such answer is left for the service to refuse."""
    found = services.calibration.markable(reference, limit=2)
    exact = [each.item_id for each in found if reference in (each.item_id, each.response_id)]
    return exact[0] if exact else reference


def _gather(services: Services, audience: str, questions: str, number: int) -> tuple[str, ...]:
    if questions == ASKED:
        return services.comparing.asked(audience, number)
    if questions in ("starter", "reviews") or questions.startswith("snapshot:"):
        return services.comparing.stored(audience, parse_data(questions), number)
    try:
        return split_questions(Path(questions).read_text(encoding="utf-8-sig"))[:number]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{questions} can't be read as UTF-8 text ({error}). Give a file with one question a line, or "
            "given, asked, starter, reviews or snapshot:NAME."
        ) from error


def _parse_voice(text: str) -> Voice:
    """``patient@2``, ``base``, or either with ``:0.8`` for a temperature.

    Raises:
        InvalidInput: what stands after the colon is no number.
    """
    adapter, colon, temperature = text.partition(":")
    if not colon:
        return Voice(adapter)
    try:
        return Voice(adapter, float(temperature))
    except ValueError as error:
        raise InvalidInput(
            f"After the colon stands a temperature such as 0.8, but it is {temperature[:40]!r}. Correct it."
        ) from error
