r"""Text as LaTeX in plain ASCII: nothing in it is a command, and every character compiles.

The result needs only `\usepackage[T1]{fontenc}`; it does not depend on the encoding of the file.
"""

from __future__ import annotations

import re
import unicodedata

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # after a line of a table it would begin an option
    "]": "{]}",
    "*": "{*}",
    **{c: f"\\{c}" for c in "$&#_%"},
}
_ACCENTS = {  # combining mark -> command
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u",
    "\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d",
    "\u0327": "c", "\u0328": "k", "\u0331": "b",
}  # fmt: skip
_LETTERS = {
    "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
    "ı": "i", "§": "S", "¶": "P", "†": "dag", "‡": "ddag", "…": "dots", "£": "pounds",
    "•": "textbullet", "·": "textperiodcentered", "©": "textcopyright", "®": "textregistered",
    "™": "texttrademark", "°": "textdegree", "€": "texteuro", "–": "textendash",
    "—": "textemdash", "‘": "textquoteleft", "’": "textquoteright", "“": "textquotedblleft",
    "”": "textquotedblright", "«": "guillemotleft", "»": "guillemotright",
}  # fmt: skip
_MATHS = {
    "±": r"\pm", "∓": r"\mp", "×": r"\times", "÷": r"\div", "−": "-", "≤": r"\leq", "≥": r"\geq",
    "≪": r"\ll", "≫": r"\gg", "≠": r"\neq", "≈": r"\approx", "≃": r"\simeq", "≡": r"\equiv",
    "∼": r"\sim", "∝": r"\propto", "∞": r"\infty", "√": r"\surd", "∑": r"\sum", "∏": r"\prod",
    "∫": r"\int", "∂": r"\partial", "∇": r"\nabla", "∈": r"\in", "∉": r"\notin", "∩": r"\cap",
    "∪": r"\cup", "⊂": r"\subset", "⊆": r"\subseteq", "∅": r"\emptyset", "∀": r"\forall",
    "∃": r"\exists", "∧": r"\wedge", "∨": r"\vee", "¬": r"\neg", "⊕": r"\oplus", "⊗": r"\otimes",
    "⊙": r"\odot", "∘": r"\circ", "⋅": r"\cdot", "⋯": r"\cdots", "↑": r"\uparrow",
    "↓": r"\downarrow", "→": r"\rightarrow", "←": r"\leftarrow", "↔": r"\leftrightarrow",
    "⇒": r"\Rightarrow", "⇐": r"\Leftarrow", "⇔": r"\Leftrightarrow", "ℓ": r"\ell", "′": r"\prime",
    "✓": r"\surd", "µ": r"\mu",
}  # fmt: skip
_GREEK = [
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lamda",
    "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
]  # fmt: skip
_CAPITALS = [  # those that do not look like a Latin letter
    "gamma", "delta", "theta", "lamda", "xi", "pi", "sigma", "upsilon", "phi", "psi", "omega",
]  # fmt: skip
_TWO_HYPHENS = re.compile("-(?=-)")  # LaTeX makes a dash of two hyphens


def _greek() -> dict[str, str]:
    small = {unicodedata.lookup(f"GREEK SMALL LETTER {name}"): name for name in _GREEK}
    capital = {unicodedata.lookup(f"GREEK CAPITAL LETTER {n}"): n.capitalize() for n in _CAPITALS}
    return {c: "\\" + name.replace("amda", "ambda") for c, name in (small | capital).items()}


_KNOWN = {
    **_SPECIAL,
    **{character: f"\\{name}{{}}" for character, name in _LETTERS.items()},
    **{character: f"\\ensuremath{{{name}}}" for character, name in (_MATHS | _greek()).items()},
}


def escape(text: str) -> str:
    r"""Text in which nothing is a command and a line break no paragraph.

    A character without a known form is named by its code, such as U+4E2D.

    >>> escape(r"50% of \input{x}")
    '50\\% of \\textbackslash{}input\\{x\\}'
    >>> escape("σ ≥ é 中")
    "\\ensuremath{\\sigma} \\ensuremath{\\geq} \\'{e} {[}U+4E2D{]}"
    """
    plain = _TWO_HYPHENS.sub("-\0", " ".join(text.replace("\0", "\ufffd").split()))
    return "".join(map(_character, plain))


def _character(c: str) -> str:
    if c == "\0":  # between two hyphens
        return "{}"
    if c in _KNOWN:
        return _KNOWN[c]
    if c.isascii() and c.isprintable():
        return c
    return _accented(c) or _simplified(c) or escape(f"[U+{ord(c):04X}]")


def _accented(c: str) -> str:
    """A letter with one accent; nothing for anything else."""
    letter, *marks = list(unicodedata.normalize("NFD", c))
    if len(marks) == 1 and marks[0] in _ACCENTS and letter.isascii() and letter.isalpha():
        return f"\\{_ACCENTS[marks[0]]}{{{letter}}}"
    return ""


def _simplified(c: str) -> str:
    """A raised or lowered digit or letter, or one in another shape; nothing for anything else."""
    how, _, codes = unicodedata.decomposition(c).rpartition("> ")
    plain = "".join(chr(int(code, 16)) for code in codes.split()) if how else ""
    if not plain or any(p not in _KNOWN and not (p.isascii() and p.isprintable()) for p in plain):
        return ""
    command = {"<super": "textsuperscript", "<sub": "textsubscript"}.get(how)
    return f"\\{command}{{{escape(plain)}}}" if command else escape(plain)
