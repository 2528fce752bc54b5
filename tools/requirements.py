# Prints every Python package that pyproject.toml names: to build, to test, for the examples, for development.
import pathlib

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli as tomllib

pyproject = tomllib.loads((pathlib.Path(__file__).parent.parent / "pyproject.toml").read_text())
groups = [pyproject["build-system"]["requires"], *pyproject["project"]["optional-dependencies"].values()]
print("\n".join(sorted({package for group in groups for package in group})))
