"""The command line's verbs for the people who review. Whoever can use it is the administrator."""

from dataclasses import asdict
from typing import Annotated

import typer

from elara_ui.cli.parts import HomeOption, JsonOption, make_group, open_services
from elara_ui.cli.text import write_document
from elara_ui.services.reviewers import ReviewerProfile

NameArgument = Annotated[str, typer.Argument(help="The reviewer's name, as they declared it.")]

reviewers_cli = make_group(help="The people who review.")


@reviewers_cli.callback()
def reviewers() -> None:
    """See, verify and withdraw the people who review."""


@reviewers_cli.command("list")
def list_reviewers(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List everyone who reviews, with what they declare."""
    with open_services(home) as services:
        everyone = services.reviewers.everyone()
    if as_json:
        write_document({"reviewers": [asdict(profile) for profile in everyone]})
        return
    for profile in everyone:
        print(_describe(profile))
    if not everyone:
        print("Nobody has reviewed yet.")


@reviewers_cli.command("verify")
def verify_reviewer(
    name: NameArgument,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the mark away.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Mark that you have checked what a reviewer declares."""
    with open_services(home) as services:
        profile = services.reviewers.verify(name, not revoke)
    write_document(asdict(profile)) if as_json else print(_describe(profile))


@reviewers_cli.command("withdraw")
def withdraw_reviewer(name: NameArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Keep a reviewer's judgements out of every new training set; they stay stored."""
    with open_services(home) as services:
        profile = services.reviewers.withdraw(name)
    write_document(asdict(profile)) if as_json else print(_describe(profile))


def _describe(profile: ReviewerProfile) -> str:
    """One reviewer in one line."""
    declared = [profile.profession, profile.specialty, profile.country, profile.registration]
    marks = ["verified"] if profile.verified else []
    marks += [f"withdrawn {profile.withdrawn_at:%Y-%m-%d}"] if profile.withdrawn_at else []
    parts = [
        profile.name,
        ", ".join(filter(None, declared)),
        ", ".join(marks),
        f"{profile.judgements} judged",
    ]
    return " · ".join(filter(None, parts))
