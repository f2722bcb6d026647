"""Every shipped recipe composes, says how to launch it, and is used."""

from importlib.resources import files
from pathlib import Path

import pytest

from thesisbench.tables.catalog import Catalog

EXPERIMENTS = Path(str(files("thesisbench.conf"))) / "experiment"
RECIPES = sorted(
    str(p.relative_to(EXPERIMENTS).with_suffix("")) for p in EXPERIMENTS.rglob("*.yaml")
)


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_composes_and_says_its_kind_and_revision(recipe, composer):
    config = composer.compose([f"experiment={recipe}"]).config
    assert config["kind"] in ("fit", "eval", "prepare", "analytic")
    assert config["revision"] >= 1


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_opens_with_the_command_that_uses_it(recipe):
    text = (EXPERIMENTS / f"{recipe}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# @package _global_\n")
    assert "`thesisbench " in text


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_belongs_to_a_step_of_its_chapter(recipe):
    slug, _, name = recipe.rpartition("/")
    steps = Catalog.at().folders[slug].chapter.steps.values()
    assert name in {step.recipe for step in steps}
