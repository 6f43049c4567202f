"""Porter's stemmer: M. F. Porter, "An algorithm for suffix stripping", Program 14 (1980).

Words are lower case. Anything but a, e, i, o, u, and y behind a consonant, counts as a consonant.
"""

import re

_PAIRS_2 = (
    *(("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize")),
    *(("bli", "ble"), ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous")),
    *(("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al")),
    *(("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al")),
    *(("iviti", "ive"), ("biliti", "ble"), ("logi", "log")),
)
_PAIRS_3 = (
    *(("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic")),
    *(("ful", ""), ("ness", "")),
)
_ENDINGS_4 = (
    *("ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous"),
    *("ive", "ize", "al", "er", "ic", "ou"),
)
_AFTER_CUT = {"at": "ate", "bl": "ble", "iz": "ize"}
_SHORTEST = 3
_DOUBLE = re.compile(r"([^aeiou])\1\Z")


def stem(word: str) -> str:
    """Return the stem of a lower-case word; short words are their own."""
    if len(word) < _SHORTEST:
        return word
    word = _past(_plural(word))
    if word.endswith("y") and "V" in _kinds(word[:-1]):
        word = f"{word[:-1]}i"
    word = _exchange(_exchange(word, _PAIRS_2), _PAIRS_3)
    return _final(_cut(word))


def _kinds(word: str) -> str:
    """Return V for each vowel and C for each consonant."""
    kinds: list[str] = []
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and bool(kinds) and kinds[-1] == "C")
        kinds.append("V" if vowel else "C")
    return "".join(kinds)


def _measure(word: str) -> int:
    """Return how often vowels are followed by consonants: the paper's m."""
    return _kinds(word).count("VC")


def _plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) else word
    for ending in ("ed", "ing"):
        cut = word.removesuffix(ending)
        if cut != word and "V" in _kinds(cut):
            return _restored(cut)
    return word


def _restored(word: str) -> str:
    if word[-2:] in _AFTER_CUT:
        return word[:-2] + _AFTER_CUT[word[-2:]]
    if _DOUBLE.search(word) and word[-1] not in "lsz":
        return word[:-1]
    return f"{word}e" if _measure(word) == 1 and _is_short(word) else word


def _is_short(word: str) -> bool:
    """Say whether a word ends in consonant, vowel, consonant, the last none of w, x and y."""
    return _kinds(word)[-3:] == "CVC" and word[-1] not in "wxy"


def _exchange(word: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for ending, instead in pairs:
        if word.endswith(ending):
            rest = word[: -len(ending)]
            return rest + instead if _measure(rest) else word
    return word


def _cut(word: str) -> str:
    if word.endswith(("sion", "tion")):
        return word[:-3] if _measure(word[:-3]) > 1 else word
    for ending in _ENDINGS_4:
        if word.endswith(ending):
            rest = word[: -len(ending)]
            return rest if _measure(rest) > 1 else word
    return word


def _final(word: str) -> str:
    if word.endswith("e"):
        rest = word[:-1]
        m = _measure(rest)
        if m > 1 or (m == 1 and not _is_short(rest)):
            word = rest
    return word[:-1] if word.endswith("ll") and _measure(word) > 1 else word
