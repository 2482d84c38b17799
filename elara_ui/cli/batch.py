"""The command line's verb for many questions: a file of them in, a file of answers out."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elara_ui.cli.parts import (
    AcceptOption,
    HomeOption,
    JsonOption,
    RedactOption,
    choose_handling,
    open_services,
    with_options,
)
from elara_ui.cli.text import format_span, write_document, write_note
from elara_ui.errors import IdentifiersFound
from elara_ui.services.batch_plan import BatchPlan, BatchState

FIRST_NOTE_SECONDS, LAST_NOTE_SECONDS = 2.0, 60.0
"""Between two notes of how far it is; the pause doubles, so that a night's work fills no log."""


def batch(
    file: Annotated[
        Path,
        typer.Argument(
            help='The questions. JSONL: {"id", "question" or "messages", "audience"} in a line, CSV or TSV '
            "with a column question, else a question a line."
        ),
    ],
    audience: Annotated[
        list[str] | None,
        typer.Option("--audience", help="For whom; repeatable. A row's own audience goes before."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="The answers, as JSONL; FILE with the ending .answers.jsonl if not given."
        ),
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="An adapter version, or base for none; the live one if not given.")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(help="Questions asked at once; as many as the engine can use if not given.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Most new tokens of an answer.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 always takes the likeliest word.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Leaves out the unlikeliest words; 1 none.")] = None,
    repetition_penalty: Annotated[float | None, typer.Option(help="1 is none.")] = None,
    seed: Annotated[int | None, typer.Option(help="Makes the answers repeatable.")] = None,
    max_words: Annotated[
        int | None, typer.Option(help="Most words of an answer, where the audience's own limit isn't lower.")
    ] = None,
    redact: RedactOption = False,
    accept_identifiers: AcceptOption = False,
    store: Annotated[
        bool, typer.Option("--store", help="Keep questions and answers in the database too.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Throw away what is written, and begin anew.")
    ] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Answer a file of questions. Stopped or killed, the same command goes on where it was.

    The exit status is 1 when some have no answer; the same command then asks those again.
    """
    plan = BatchPlan(
        questions=file,
        output=out or file.with_suffix(".answers.jsonl"),
        audiences=tuple(dict.fromkeys(audience or ())),
        adapter=adapter,
        overrides={
            "max_new_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "repetition_penalty": repetition_penalty,
            "seed": seed,
        },
        max_words=max_words,
        handling=choose_handling(redact, accept_identifiers),
        store=store,
        parallel=parallel,
        restart=restart,
    )
    progress = _Progress()
    with open_services(home) as services:
        try:
            state = services.batch.run(plan, progress.tell)
        except IdentifiersFound as met:
            raise with_options(met) from None
        except KeyboardInterrupt:
            progress.stopped()
            raise
    if as_json:
        write_document({"output": plan.output, **asdict(state), "rate": round(state.rate, 3)})
    else:
        print(f"{_describe(state)}: {plan.output}")
    if state.failed:
        raise typer.Exit(1)


class _Progress:
    """Says now and then on stderr how far it is."""

    def __init__(self) -> None:
        self._state: BatchState | None = None
        self._pause = FIRST_NOTE_SECONDS
        self._next = 0.0

    def tell(self, state: BatchState) -> None:
        """Take in how it stands; say it if it is time."""
        first, self._state = self._state is None, state
        now = time.monotonic()
        if first and state.before:
            write_note(f"Going on: {_describe(state)}.")
        if first:
            self._next = now + self._pause
        elif now >= self._next or state.answered == state.total:
            write_note(_describe(state) + _describe_pace(state))
            self._pause = min(2 * self._pause, LAST_NOTE_SECONDS)
            self._next = now + self._pause

    def stopped(self) -> None:
        """Somebody pressed Ctrl-C."""
        if self._state is not None:
            write_note(f"Stopped at {_describe(self._state)}. The same command goes on from here.")


def _describe(state: BatchState) -> str:
    failed = f", {state.failed:,} failed" if state.failed else ""
    flags = f", {state.emergencies:,} with red flags" if state.emergencies else ""
    return f"{state.answered:,} of {state.total:,} answered{failed}{flags}"


def _describe_pace(state: BatchState) -> str:
    """How fast it goes and how long it will take; what had failed is asked again and counts as work."""
    if not state.rate:
        return ""
    left = (state.total - state.done) / state.rate
    return f" · {state.rate:.2f} a second" + (f" · about {format_span(left)} left" if left else "")
