"""Which packages and data files ship; all else is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["thesisbench*"]),
        "thesisbench.conf",
        "thesisbench.experiments",
    ],
    package_data={
        "thesisbench": ["*.json"],
        "thesisbench.conf": ["**/*.yaml"],
        "thesisbench.tables.render": ["templates/*"],
        "thesisbench.experiments": [f"**/*.{k}" for k in ("yaml", "json", "md", "png", "svg")],
    },
)
