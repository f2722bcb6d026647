"""`thesisbench show CLAIM`: what it states, and what it came to on accepted records."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from thesisbench.browse.entry import one_line
from thesisbench.browse.library import Library
from thesisbench.browse.printing import put, say
from thesisbench.browse.spec_entries import claim_words
from thesisbench.tables.accepted_claims import AcceptedClaim
from thesisbench.tables.claims import Claim
from thesisbench.tables.grid import has_grid
from thesisbench.tables.render.as_json import claim_json

if TYPE_CHECKING:
    from rich.console import Console


def claim_of(library: Library, slug: str, name: str) -> Claim:
    """A claim of a chapter; it is there."""
    return next(c for c in library.catalog.folders[slug].claims if c.id == name)


def claim_data(library: Library, slug: str, name: str) -> dict[str, Any]:
    """A claim for machines."""
    claim = claim_of(library, slug, name)
    kept = library.claims(slug).get(name, ())
    states = {t: library.state(t) for t in claim.where if t in library.tables}
    return {
        "what": "claim",
        "id": f"{slug}:{name}",
        "chapter": slug,
        "claim": name,
        "text": one_line(claim.text),
        "standing": one_line(claim.standing) or None,
        "not_tested": one_line(claim.not_tested) or None,
        "alpha": claim.alpha,
        "looks": claim.looks,
        "tables": [{"id": t, "state": states.get(t)} for t in claim.where],
        "atoms": [
            {"text": a.text, "kind": a.kind, "effect": a.effect, "tolerance": a.tolerance}
            for a in claim.atoms
        ],
        "results": [{**claim_json(k.verdict), "out_of_date": list(k.out_of_date)} for k in kept],
        "commands": _commands(library, claim),
    }


def print_claim(
    library: Library, slug: str, name: str, data: Mapping[str, Any], console: Console
) -> None:
    """The same for people."""
    claim, kept = claim_of(library, slug, name), library.claims(slug).get(name, ())
    say(console, f"{data['id']}: {claim_words(claim, kept)}", "bold")
    say(console, data["text"], indent=2)
    if data["standing"]:
        say(console, f"Standing: {data['standing']}", indent=2)
    if claim.where:
        tables = ", ".join(f"{t['id']} ({t['state'] or 'unknown'})" for t in data["tables"])
        say(console, f"Rests on: {tables}", above=True)
    if claim.atoms and not any("statement changed" not in k.out_of_date for k in kept):
        _print_atoms(claim, console)
    for result in kept:
        _print_result(claim, result, console)
    if data["commands"]:
        say(console, "Commands", "bold", above=True)
    for command in data["commands"]:
        put(console, f"  {command}")


def _print_atoms(claim: Claim, console: Console) -> None:
    looks = "" if claim.looks == 1 else f", {claim.looks} looks declared"
    say(console, f"All must hold (error level {claim.alpha:g}{looks})", "bold", above=True)
    for atom in claim.atoms:
        effect = f", effect worth seeing {atom.effect:g}" if atom.effect else ""
        kind = atom.kind.replace("_", " ")
        say(console, f"{atom.text}  ({kind}{effect})", indent=2)


def _print_result(claim: Claim, kept: AcceptedClaim, console: Console) -> None:
    from rich.padding import Padding

    from thesisbench.tables.render.layout import claim_view
    from thesisbench.tables.render.terminal import atoms_grid

    say(console, f"Accepted: {kept.words}", "bold", above=True)
    if kept.verdict.why:
        say(console, f"Why: {kept.verdict.why}", indent=2)
    console.print(
        Padding(atoms_grid(claim_view(kept.verdict, claim, seeds_needed=False)), (0, 0, 0, 2))
    )


def _commands(library: Library, claim: Claim) -> list[str]:
    """How its tables are made and judged; nothing where none of them has a grid."""
    built = [
        t
        for t in claim.where
        if t in library.tables and has_grid(library.catalog, library.recipes, t)
    ]
    scales = ("small", "paper") if built and claim.atoms else ()
    words = ["thesisbench", "reproduce", *built]
    return [shlex.join([*words, "--scale", scale, *library.words]) for scale in scales]
