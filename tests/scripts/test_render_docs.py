"""The numbers in the chapter READMEs are those of the accepted records."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "render_docs.py"


def test_chapter_readmes_are_up_to_date():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_accepted_table_stands_in_its_readme():
    for path in ROOT.glob("experiments/*/*/results/*/*.json"):
        if path.stem == "claims":
            continue
        readme = (path.parents[2] / "README.md").read_text(encoding="utf-8")
        scale = path.parent.name
        blocks = [line for line in readme.split("\n") if line.startswith("<!-- table ")]
        names = [block.split()[2:4] for block in blocks]
        keys = [[name.split(".", 1)[1].replace(".", "_").lower(), s] for name, s in names]
        assert [path.stem, scale] in keys, path
