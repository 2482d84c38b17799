"""How hard a text is to read. The formulas see neither jargon nor truth: they inform, never decide alone.

textstat computes them, but takes a text literally: it splits a sentence at every ``.``, ``!`` and ``?``
(so "0.5 mg" ends one), counts no sentence for two words or fewer though it counts their words (so ten steps
like "Call 999." are one sentence of twenty words), and runs bullets without a full stop together into one
long sentence. `prepare` and `join_fragments` take those three out of a model's Markdown first.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass

_FENCE = re.compile(r"^\s*(```|~~~)")
_RULE = re.compile(r"^\s*(?:[-*_=]\s*){3,}$")
_TABLE_RULE = re.compile(r"^\s*\|?[\s:|-]*-{2,}[\s:|-]*\|?\s*$")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+")
_QUOTE = re.compile(r"^\s*(?:>\s?)+")
_ITEM = re.compile(r"^\s*(?:[-*+•‣▪◦●○✓✔→–]|\d{1,3}[.)]|\(\d{1,3}\)|[a-z][.)])\s+(?:\[[ xX]\]\s+)?")
_BOLD_LINE = re.compile(r"^\s*(\*\*|__)(?=\S)[^*_]{1,200}\1:?\s*$")  # a heading that isn't marked as one

# Bounded and without nesting, so that no text, however hostile, takes long.
_IMAGE_OR_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ADDRESS = re.compile(r"\bhttps?://[^\s<>()\[\]]+[^\s<>()\[\].,;:!?]")
_EMPHASIS = re.compile(r"(\*{1,3}|~~|`+|(?<!\w)_{1,3})(?=\S)(.{1,500}?)(?<=\S)\1")

_ELLIPSIS = re.compile(r"\s*(?:…|\.{2,})(?=\s*[a-z0-9(,;:])")  # "and then … it": no sentence ends
_TITLE = re.compile(r"\b(Dr|Mr|Mrs|Ms|Prof|St|vs|approx|e\.g|i\.e|eg|ie)\.", re.IGNORECASE)
# "5 mg. twice", "etc. and", "8 a.m. with": no sentence ends there unless the next word starts one.
_ABBREVIATION = re.compile(
    r"\b((?i:mg|mcg|ml|dl|kg|g|lbs?|oz|cm|mm|ft|tsp|tbsp|hrs?|mins?|secs?|wks?|mos?|yrs?|tabs?|caps?|amps?|inj|"
    r"max|min|avg|temp|incl|excl|est|ca|resp|dept|tel|ext|vol|ref|etc|al|cf|fig|"
    r"(?:[a-z]\.)+[a-z]))\."
    r"(?=\s*[a-z0-9(,;:)])"
)
_NUMBERED = re.compile(r"\b([Nn]os?|pp?|h)\.(?=\s*\d)")  # "No. 5"; else it may be a sentence
_INITIALS = re.compile(r"\b(?:[A-Za-z]\.)+(?=[A-Za-z]\b)")
_SPECIES = re.compile(r"\b([A-Z])\.(?=\s+[a-z]{3,})")  # E. coli
_INNER_DOT = re.compile(r"(?<=\w)\.(?=[a-z0-9])")  # a capital follows a sentence's end that lacks its space
_LEADING_DOT = re.compile(r"(?<![\w.])\.(?=\d)")  # .5 mg
_INNER_MARK = re.compile(r"(?<=\w)[!?](?=\w)")  # in an address

_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*[\"'”’)]*\n?")
_FRAGMENT_WORDS = 2  # textstat counts no sentence for so few

PLAIN_GRADE = 8.0
"""Highest grade of plain language (NIH: materials for patients at grade 6 to 8)."""

_SMOG_LEAST_SENTENCES = 3  # McLaughlin's formula is undefined in meaning on less


@dataclass(frozen=True)
class Readability:
    """Figures of one text; None where a formula has nothing to work on.

    Args:
        flesch_kincaid_grade: US school grade (Kincaid et al., 1975).
        flesch_reading_ease: higher is easier, 60–70 is plain English (Flesch, 1948).
        smog_index: US school grade (McLaughlin, 1969); None under three sentences.
        dale_chall: score on the Dale–Chall list of easy words (1948); 4.9 and below is grade 4.
        difficult_words: words off that list with two syllables or more, count.
        words: count.
        sentences: count as textstat makes it, fragments of two words or fewer left out.
    """

    flesch_kincaid_grade: float | None = None
    flesch_reading_ease: float | None = None
    smog_index: float | None = None
    dale_chall: float | None = None
    difficult_words: int = 0
    words: int = 0
    sentences: int = 0

    def to_dict(self) -> dict[str, float | int | None]:
        """The figures by name, ready for JSON."""
        return asdict(self)


def measure(text: str) -> Readability:
    """Measure a text as a reader meets it, without its Markdown.

    Args:
        text: an answer, Markdown allowed.

    Returns:
        Figures rounded to one decimal; all None and 0 for a text without words.
    """
    # Imported here: it and its pronunciation dictionary take half a second and 80 MB on first use.
    import textstat

    plain = join_fragments(prepare(text))
    words = textstat.lexicon_count(plain)
    if not words:
        return Readability()
    sentences = textstat.sentence_count(plain)
    smog = round(textstat.smog_index(plain), 1) if sentences >= _SMOG_LEAST_SENTENCES else None
    return Readability(
        flesch_kincaid_grade=round(textstat.flesch_kincaid_grade(plain), 1),
        flesch_reading_ease=round(textstat.flesch_reading_ease(plain), 1),
        smog_index=smog,
        dale_chall=round(textstat.dale_chall_readability_score(plain), 1),
        difficult_words=textstat.difficult_words(plain),
        words=words,
        sentences=sentences,
    )


def judge(
    grade: float | None, aim: float | None, warn: float | None, floor: float | None = None
) -> str | None:
    """Say in a few plain words how a text stands to its audience's target.

    Args:
        grade: the text's Flesch–Kincaid grade; None when it has none.
        aim: highest Flesch–Kincaid grade wanted; None when the audience has no target.
        warn: grade above which the text is too hard; None to never say so.
        floor: grade below which the text is simpler than this audience wants; None to never say so.

    Returns:
        "simpler than needed", "on target", "a little hard" or "too hard"; None without a grade or a target.
    """
    if grade is None or aim is None:
        return None
    if floor is not None and grade < floor:
        return "simpler than needed"
    if grade <= aim:
        return "on target"
    if warn is None or grade <= warn:
        return "a little hard"
    return "too hard"


def describe_target(aim: float | None, floor: float | None = None) -> str:
    """An audience's target in words, as "grade 6 or below"; empty without one."""
    if aim is None:
        return ""
    return f"grade {aim:g} or below" if floor is None else f"grade {floor:g} to {aim:g}"


def prepare(text: str) -> str:
    """Turn Markdown into sentences that textstat counts rightly.

    Headings, list items, table rows and paragraphs each end in a full stop; markers, list numbers and
    links' addresses go; the dot in a decimal, an address or an abbreviation no longer ends a sentence.

    Args:
        text: Markdown or plain text.

    Returns:
        Plain text, one block a line.
    """
    text = _LINE_BREAK.sub("\n\n", text)
    blocks = (_end_sentence(_protect_dots(_strip_inline(block))) for block in _split_blocks(text))
    return "\n".join(block for block in blocks if block)


def join_fragments(plain: str) -> str:
    """Join sentences that are too short to count to the next, or the last ones to those before.

    The words stay as they are; only the number of sentences becomes what a reader would count, or fewer.

    Args:
        plain: as `prepare` gives it.
    """
    joined, waiting = [], ""
    for sentence in _SENTENCE.findall(plain):
        waiting = f"{waiting} {sentence.lstrip()}" if waiting else sentence
        if len(waiting.split()) > _FRAGMENT_WORDS:
            joined.append(waiting)
            waiting = ""
        else:
            waiting = waiting.strip().rstrip(".!?") + ","
    if waiting:
        before = joined.pop().rstrip().rstrip(".!?") + ", " if joined else ""
        joined.append(f"{before}{waiting.rstrip(',')}.")
    return "".join(joined)


def _split_blocks(text: str) -> Iterator[str]:
    """Yield headings, list items, table rows and paragraphs, without their markers, one line each."""
    block: list[str] = []
    for line in text.splitlines():
        content = _QUOTE.sub("", line)
        closes = not content.strip() or bool(
            _FENCE.match(content) or _RULE.match(content) or _TABLE_RULE.match(content)
        )
        heading, item, row = _HEADING.match(content), _ITEM.match(content), content.strip().startswith("|")
        stands_alone = bool(heading or row or _BOLD_LINE.match(content))
        if block and (closes or item or stands_alone):
            yield " ".join(block)
            block = []
        if closes:
            continue
        marker = heading or item
        words = content[marker.end() :] if marker else content.strip().strip("|").replace("|", ",")
        block.append(words.strip())
        if stands_alone:
            yield " ".join(block)
            block = []
    if block:
        yield " ".join(block)


def _strip_inline(text: str) -> str:
    """Take links, emphasis, code marks and tags away and keep their words."""
    text = _IMAGE_OR_LINK.sub(r"\1", text)
    text = _ADDRESS.sub("link", html.unescape(_TAG.sub(" ", text)))
    return _EMPHASIS.sub(r"\2", text).replace("—", " — ")


def _protect_dots(text: str) -> str:
    """Remove the dots that end no sentence; a middle dot keeps decimals and addresses readable."""
    text = _LEADING_DOT.sub("·", _ELLIPSIS.sub(" –", text))
    text = _TITLE.sub(lambda match: match[1].replace(".", ""), text)
    text = _ABBREVIATION.sub(lambda match: match[1].replace(".", ""), text)
    text = _NUMBERED.sub(r"\1", text)
    text = _INITIALS.sub(lambda match: match[0].replace(".", ""), text)
    text = _SPECIES.sub(r"\1", text)
    return _INNER_MARK.sub("·", _INNER_DOT.sub("·", text))


def _end_sentence(text: str) -> str:
    """Close a block with a full stop unless it has a sentence's end already."""
    text = re.sub(r"\s+", " ", text).strip().rstrip(":;,#").rstrip()
    return text if not text or re.search(r"[.!?][\"'”’)]*$", text) else text + "."
