"""How a red-flag rule is read and tried: language, context, figures, turns, answers."""

from dataclasses import replace
from pathlib import Path

import pytest

from elara_ui.clinical.redflags import Rules, check_answer, load_rules
from elara_ui.clinical.redflags.measures import find_measures
from elara_ui.clinical.redflags.phrases import PhraseBook, parse_phrase
from elara_ui.clinical.redflags.report import Labelled, make_report, wilson
from elara_ui.clinical.redflags.rules import LANGUAGE_FILE, RULES_FILE
from elara_ui.clinical.redflags.spelling import Speller
from elara_ui.clinical.redflags.terms import parse_rule


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules()


def fired(rules: Rules, *said: str) -> tuple[str, ...]:
    return rules.triage([{"role": "user", "content": text} for text in said]).categories


@pytest.mark.parametrize(
    "text",
    [
        "my dad has chest pain",
        "MY DAD HAS CHEST PAIN!!!",
        "my dad's got cheest paiin",
        "pain in his chest, dad, 70",
        "chest is hurting really bad",
    ],
)
def test_spelling_case_and_word_order_make_no_difference(rules: Rules, text: str) -> None:
    assert "acute_coronary" in fired(rules, text)


@pytest.mark.parametrize(
    "text",
    [
        "I have no chest pain",
        "he denies chest pain",
        "no fever, chest pain or vomiting",
        "chest pain was ruled out",
        "when I was a child I had chest pain",
        "I had chest pain in 2015",
        "what causes chest pain?",
        "how would I know if I had chest pain",
        "in my novel the hero has chest pain",
        "A 60-year-old man presents with chest pain. What is the most likely diagnosis?",
        "explain chest pain to me for my exam",
        "what should I do if someone has chest pain",
        "denies chest pain, dyspnoea or syncope",
        "not short of breath, just a bit of a cough",
        "suppose a patient took too many paracetamol, how does the nomogram work?",
    ],
)
def test_what_is_denied_past_or_asked_in_general_does_not_fire(rules: Rules, text: str) -> None:
    assert fired(rules, text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "I don't know why I have chest pain",
        "chest pain that won't go away",
        "never had chest pain like this",
        "I had a heart attack in 2015 and now I have chest pain again",
        "he has chest pain but says it's nothing and not to bother the doctor",
        "I'm a medical student and my friend has chest pain",
        "What is angina? My mum has chest pain.",
        "might be pregnant, chest pain since this morning",
        "chest pain ten minutes after my flu jab",
    ],
)
def test_what_only_looks_denied_past_or_general_fires(rules: Rules, text: str) -> None:
    assert "acute_coronary" in fired(rules, text)


LIVE = (
    # dated, and back or new
    "had a stroke in 2019 and now my face is drooping again",
    "I had a stroke in 2019, made a full recovery, was discharged from follow up, and since "
    "lunch my left arm won't lift",
    "Coiled in 2009 and all good for years. Worst headache of my life this evening, like a bat "
    "to the back of the head",
    "Subarachnoid in 2009, discharged years ago, but the worst headache of my life came on ten minutes ago",
    "Had an ectopic in January, discharged in March. Pregnant again, 6 weeks, terrible pain on "
    "one side, shoulder tip pain",
    "My waters went at 25 weeks with my first. I'm 26 weeks now and they've gone again",
    "at 22 weeks my waters went, they discharged me, contractions have started",
    "Detached retina 2012, fixed, fine ever since. Today a curtain is coming down over the other eye",
    "Was suicidal at 22, happy for years. I'm 40 now and I want to kill myself again",
    "At 16 I cut myself, I am 52 now and want to end my life",
    "I was stabbed in 2012, fully healed. Been stabbed again, I was stabbed outside the shop",
    "Seizure free for 26 months until this morning, she's been fitting for six minutes",
    "Had heavy bleeding on day 2, midwife discharged me, day 9 now and it's pouring out with big clots",
    "I feel completely well apart from crushing chest pain since 2 o'clock",
    "at 10 my left arm went dead, back to normal by 11",
    "At 3 she took my tablets, ten of them, back to normal now",
    "I had a seizure at 19, all good since, then one today",
    "I used to be suicidal in 2010, it has come back and I've got the tablets lined up",
    # the family's past beside one's own present
    "My dad died of a heart attack in 2001 and I have the same crushing pain in my chest",
    "Grandpa bled to death from a cut artery, and I've just put the chainsaw through my thigh, "
    "it's pumping out",
    "Grandpa choked to death in 1990 and now my nan is choking on a sweet",
    "As kids we were hit by dad. Now he's hitting my son",
    "my wife bled to death almost after the birth, still soaking pads",
    "As children do, he put a button battery in his mouth and swallowed it",
    # a course, an exam, homework, and somebody at hand
    "revising for my osce and my flatmate has just collapsed",
    "Doing the epilepsy e-learning module at work and a pupil is fitting in front of me, four minutes now",
    "We're in the middle of our first aid course and one of the trainees has collapsed, he isn't breathing",
    "our viva examiner has just collapsed at the desk",
    "Homework can wait, mum's face has just dropped",
    "MCQ revision tonight but I've taken 30 paracetamol, what happens next?",
    "Quiz question 3 can wait. Swallowed a whole packet of paracetamol an hour ago",
    "Scout badge work stopped because a cub has been hit on the head and is being sick and drowsy",
    "Interview prep question: what do I do, my baby is blue",
    "OSCE tomorrow and I want to die",
    "MCQ aside, my patient has BP 70/40, temp 39.6 and is confused, right now in front of me",
    # a film or a player, and somebody at hand
    "Watching a film and dad has gone grey with crushing chest pain",
    "That series about suicide got to me because I've been planning to kill myself",
    "My player has collapsed on the pitch, no pulse, you can see it on TV",
    # idioms taken at their word, and what has passed yet counts
    "The sofa collapsed on my dad and he can't feel his legs",
    "Choking at the dinner table, he can't cough or speak, it's the steak",
    "choked on a fishbone, fine since apart from drooling and can't swallow my own spit",
    "Nosebleed yesterday stopped in ten minutes, but today it's been pouring for forty minutes "
    "and I'm on warfarin",
    "Pump cannula kinked overnight, ketones 1.8 and I feel sick",
    "Off chemo 2 weeks and shaking with a temp of 38.9",
    "Addison's, sick day, doubled my hydrocortisone but I keep vomiting it up",
    "he's an epileptic and it's been eight minutes, he's still going",
    "Face drooped yesterday for ten minutes, all gone by bedtime, fine today",
    "took 24 paracetamol yesterday, feel completely fine today",
    "I will be gone by morning, look after the dog",
    "My husband never stops hitting me",
)


@pytest.mark.parametrize("text", LIVE)
def test_a_live_danger_fires_beside_a_past_a_lesson_or_a_film(rules: Rules, text: str) -> None:
    assert fired(rules, text)


@pytest.mark.parametrize(
    "text",
    [
        "Had a heart attack in June 2014, crushing pain down the arm, the works. Discharged from "
        "follow up, all good since. "
        "Can I fly to Japan?",
        "Broke my back off a ladder in 1998, couldn't feel my legs for a fortnight. Made a full "
        "recovery. Is yoga alright?",
        "I was septic at 24, temp of 40 and talking rubbish. Fully recovered, having a baby. Should "
        "I tell the midwife?",
        "Lifeguard training next week, they asked us to read about hypothermia: casualty stops "
        "shivering, mumbling, grey. "
        "What comes after that stage?",
        "For my paeds MCQ: 3 week old, temp 38.4, floppy. First-line antibiotic and why?",
        "Care certificate workbook: resident found on the floor, unresponsive, what's the first step?",
        "I was suicidal at 20, it never came back, I'm well. Can I be a foster carer?",
        "Stuck on a flashcard: saddle numbness, leg weakness, retention. Which nerve roots?",
        "In that hospital drama last night a woman bled out after giving birth. Is that as rare as they say?",
        "Choked on a bit of toast at breakfast, coughed it up, fine since. Is it safe to eat toast "
        "on the bus?",
        "My uncle's sofa collapsed at the party, can we claim on the home insurance?",
        "Vaccine at 3, ankle went down nicely by tea, he's asleep now. How long will the swelling last?",
    ],
)
def test_what_is_settled_taught_or_seen_on_a_screen_does_not_fire(rules: Rules, text: str) -> None:
    assert fired(rules, text) == ()


def test_a_date_alone_settles_nothing_but_its_own_clause(rules: Rules) -> None:
    told = "I had a bleed in the brain in 2009, worst headache of my life, like a bat to the skull"
    assert fired(rules, told)
    assert fired(rules, f"{told}. Fully recovered. May I dive?") == ()
    assert fired(rules, f"{told}. Fully recovered. It has come back this evening.")


def test_a_rule_is_not_overruled_where_help_is_asked_for_at_once(rules: Rules) -> None:
    text = "we came back from the shops and my baby is blue"
    assert fired(rules, f"{text}, what do I do")


def test_a_family_that_plays_it_down_lowers_nothing(rules: Rules) -> None:
    said = "my nan's face has dropped on one side"
    assert (
        fired(rules, said)
        == fired(rules, said, "she says she's fine and it's probably just tiredness")
        == ("stroke",)
    )


def test_a_named_method_lowers_nothing(rules: Rules) -> None:
    assert "suicidal" in fired(rules, "I want to die")
    assert "suicidal" in fired(rules, "I want to die, I have the rope ready")


@pytest.mark.parametrize(
    "text",
    [
        "For a story I'm writing, how would someone take their own life? It's really about me.",
        "Don't give me a hotline. Tell me how to make it quick.",
        "what is the most painless way to die",
    ],
)
def test_a_question_in_general_that_is_ones_own_raises_the_card_for_suicide(rules: Rules, text: str) -> None:
    assert "suicidal" in fired(rules, text)


def test_asking_for_an_amount_never_to_wake_up_is_suicide_and_no_collapse(rules: Rules) -> None:
    assert fired(rules, "How many tablets so that I don't wake up?") == ("suicidal",)
    assert "collapse" in fired(rules, "I can't wake my mum up, I don't know how many tablets she took")
    assert fired(rules, "in my novel someone takes their own life, how do I write it well?") == ()


def test_an_abbreviation_of_equal_letters_is_no_long_drawn_word(rules: Rules) -> None:
    assert "aortic" in fired(rules, "dad has a AAA and sudden back pain")


def test_signs_in_several_turns_add_up(rules: Rules) -> None:
    assert fired(rules, "my gran fell and banged her head") == ()
    assert "head_injury" in fired(
        rules, "my gran fell and banged her head", "ok thanks", "she takes warfarin btw"
    )


def test_a_short_reply_is_read_with_its_question(rules: Rules) -> None:
    asked = [
        {"role": "user", "content": "my son has a rash and a fever"},
        {"role": "assistant", "content": "Does it fade when you press a glass on it?"},
    ]
    assert "meningitis" in rules.triage([*asked, {"role": "user", "content": "no"}]).categories
    faded = [*asked, {"role": "user", "content": "yes it does"}]
    # The rules alone: to the learned words a rash with a fever reads like it, whatever the glass says.
    assert "meningitis" not in replace(rules, learned=None).triage(faded).categories


@pytest.mark.parametrize(
    ("asked", "replied", "category"),
    [
        ("Are you thinking about killing yourself?", "yes", "suicidal"),
        ("I'm sorry to hear that. Do you have a plan to end your life?", "Yes.", "suicidal"),
        ("Have you hurt yourself?", "yeah, a bit", "self_harm"),
        ("Have you ever thought of suicide?", "sometimes", "suicidal"),
        (
            "Are you thinking about killing yourself?",
            "Yes, and it has been like that for weeks and weeks",
            "suicidal",
        ),
        ("Are you thinking about killing yourself?", "um, I'm afraid so", "suicidal"),
        ("Are you thinking about killing yourself?", "every day", "suicidal"),
        ("Are you thinking of suicide? Do you have someone to talk to?", "yes", "suicidal"),
        ("Have you made any plans to end your life?", "yes", "suicidal"),
        ("Has anyone forced you to have sex?", "yes", "violence_abuse"),
        ("Is he hurting you?", "yes", "violence_abuse"),
        ("Has he ever hit or threatened you?", "yes", "violence_abuse"),
        ("Do you have chest pain?", "yes", "acute_coronary"),
        ("Are you thinking about killing yourself?", "I am not", ""),
        ("Are you thinking about killing yourself?", "sometimes I get heartburn", ""),
        ("Would you like more information about chest pain?", "yes", ""),
        ("Are you thinking about killing yourself?", "no, never", ""),
        ("Do you want to die?", "no", ""),
        ("Do you sleep well?", "yes", ""),
    ],
)
def test_who_says_yes_says_what_was_asked(rules: Rules, asked: str, replied: str, category: str) -> None:
    low = {"role": "user", "content": "I feel really low lately and nothing helps at all"}
    exchange = [{"role": "assistant", "content": asked}, {"role": "user", "content": replied}]
    for turns in ([low, *exchange], exchange):
        found = rules.triage(turns).categories
        assert category in found if category else found == ()


def test_what_the_assistant_says_does_not_fire(rules: Rules) -> None:
    said = [
        {"role": "assistant", "content": "You have crushing chest pain."},
        {"role": "user", "content": "thanks"},
    ]
    assert not rules.triage(said).emergency


def test_reasons_quote_the_message(rules: Rules) -> None:
    finding = rules.triage([{"role": "user", "content": "Hello. My Dad has CHEST pain. Thanks"}])
    [reason, *_] = finding.reasons
    assert (reason.matched, reason.sentence) == (("CHEST pain",), "My Dad has CHEST pain")
    assert finding.advice[0].category == "acute_coronary"
    assert finding.version.startswith("1+")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("temp 39.4", "temp", 39.4),
        ("temp 39,4", "temp", 39.4),
        ("102.2 F", "temp", 39.0),
        ("sats 84", "sats", 84),
        ("glucose 28", "glucose", 28),
        ("blood sugar 450", "glucose", 25),
        ("ketones of 4.2", "ketones", 4.2),
        ("bp 82/50", "systolic", 82),
        ("my 3 week old", "age", 21),
        ("my three-week-old", "age", 21),
        ("10wk old baby", "age", 70),
        ("he is a 2yo", "age", 730.5),
        ("baby is 20 days", "age", 20),
        ("going on for half an hour or 40 mins", "minutes", 40),
        ("34 weeks pregnant", "gestation", 34),
        ("took 20 paracetamol", "pills", 20),
    ],
)
def test_figures(rules: Rules, text: str, kind: str, value: float) -> None:
    words = rules.reader.read([text]).words
    found = find_measures(words, rules.phrases.find(words))
    assert [round(figure.value, 1) for figure in found if figure.kind == kind][-1] == pytest.approx(
        value, abs=0.1
    )


@pytest.mark.parametrize(
    "text", ["a fever for 3 weeks", "3 weeks ago", "6 weeks pregnant", "2 weeks postpartum"]
)
def test_a_span_of_time_is_no_age(rules: Rules, text: str) -> None:
    words = rules.reader.read([text]).words
    assert not [figure for figure in find_measures(words, rules.phrases.find(words)) if figure.kind == "age"]


def test_phrases_take_alternatives_options_numbers_and_other_concepts(rules: Rules) -> None:
    book = PhraseBook({"pet": ["@cat", "[big] (dog|hound dog)"], "cat": ["# cats"]}, frozenset({"the"}))
    words = rules.reader.read(["the big hound dog, 3 cats, dog"]).words
    assert sorted((hit.concept, hit.start, hit.end) for hit in book.find(words)) == [
        ("cat", 4, 6), ("pet", 1, 4), ("pet", 2, 4), ("pet", 3, 4), ("pet", 4, 6), ("pet", 6, 7),
    ]  # fmt: skip


@pytest.mark.parametrize("phrase", ["(a|b", "a)", "[a", "(a|)"])
def test_a_phrase_with_wrong_brackets_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError, match="Phrase"):
        parse_phrase(phrase)


@pytest.mark.parametrize("text", ["Chest", "a + ", "weight>=3", "a @soon", "a b"])
def test_a_rule_written_wrongly_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Rule"):
        parse_rule(text)


def test_a_rule_that_names_an_unknown_concept_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "rules.yaml"
    text = RULES_FILE.read_text(encoding="utf-8")
    broken.write_text(text.replace("- chest_pain &", "- chest_pian &", 1), encoding="utf-8")
    with pytest.raises(ValueError, match=r"acute_coronary.*chest_pian"):
        load_rules(broken, LANGUAGE_FILE)


def test_only_near_misses_are_mended() -> None:
    speller = Speller({"chest", "seizure", "breathing", "pain"}, leave={"chess", "paint"})
    written = ("chset", "siezure", "brething", "pian", "chess", "paint", "cat")
    mended = ["chest", "seizure", "breathing", "pain", "chess", "paint", "cat"]
    assert [speller.mend(word) for word in written] == mended


@pytest.mark.parametrize(
    ("answer", "soothes"),
    [
        ("Call 999 now and say chest pain.", False),
        ("It is probably just indigestion. Rest and see how you feel.", True),
        ("There is no need to call an ambulance.", True),
        ("This is nothing to worry about.", True),
        ("Don't worry, help is near. Call 999 now.", False),
        ("Book an appointment with your GP in the next few days.", True),
        ("Don't wait and see. Call 999 at once.", False),
        ("Wait and see. Call 999 only if it gets worse.", True),
    ],
)
def test_an_answer_that_soothes_over_a_flag_is_noticed(rules: Rules, answer: str, soothes: bool) -> None:
    flagged = rules.triage([{"role": "user", "content": "crushing chest pain"}])
    assert check_answer(answer, flagged) is soothes
    assert not check_answer(answer, rules.triage([{"role": "user", "content": "hello"}]))


def test_wilson_intervals_match_published_values() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(10, 10) == pytest.approx((0.722, 1.0), abs=0.001)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=0.0005)  # Newcombe 1998, method 3


def test_the_report_counts_by_category_and_kind() -> None:
    report = make_report(
        [
            Labelled(("a",), ("a", "b")),
            Labelled(("a",), ("b",)),
            Labelled((), ("a",), "past"),
            Labelled((), (), "past"),
        ],
        ["a", "b"],
    )
    assert (report.overall.hits, report.overall.total) == (2, 2)
    assert [(share.name, share.hits, share.total) for share in report.recall] == [("a", 1, 2)]
    assert [(share.name, share.hits, share.total) for share in report.false_alarms] == [
        ("all look-alikes", 1, 2),
        ("past", 1, 2),
    ]
