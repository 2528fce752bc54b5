"""Arrays with composable function transformations: ``import mlx.core as mx``."""

# mlx-core provides the import package `mlx`, and so do other distributions. Two of them in one folder overwrite each
# other's files, in an order that nobody sees; this finds it out and says so.


def _find_clash() -> str | None:
    """Text about another distribution that put files where this one has the same files, or None."""
    import os
    from collections.abc import Iterator

    here = os.path.dirname(os.path.abspath(__file__))
    site = os.path.dirname(here)

    def records() -> Iterator[tuple[str, str, set[str]]]:
        for name in sorted(os.listdir(site)):
            if name.startswith("mlx") and name.endswith(".dist-info"):
                try:
                    with open(os.path.join(site, name, "RECORD"), encoding="utf-8") as record:
                        paths = {line.split(",", 1)[0] for line in record}
                except OSError:
                    continue
                title, _, version = name.removesuffix(".dist-info").partition("-")
                yield title.replace("_", "-"), version, {p for p in paths if p.startswith("mlx/")}

    found = list(records())
    ours: set[str] = next((paths for title, _, paths in found if title == "mlx-core"), set())
    clashes = [(title, version) for title, version, paths in found if title != "mlx-core" and paths & ours]
    if not clashes:
        return None
    others = " and ".join(f"{title} {version}" for title, version in clashes)
    backends = ("mlx-cpu", "mlx-cuda", "mlx-metal")  # what the distribution mlx brings along
    names = " ".join(title for title, version, _ in found if (title, version) in clashes or title.startswith(backends))
    return (
        f"{here} holds files of two distributions that both provide the package 'mlx': mlx-core and {others}. "
        "They overwrite each other's files and cannot share an environment. Keep one of them, for mlx-core with "
        f"`pip uninstall {names} mlx-core` and then `pip install mlx-core`, or put the other into an environment of "
        "its own."
    )


def _check_for_clash() -> None:
    try:
        text = _find_clash()
    except OSError:  # an unreadable folder is no reason to fail
        return
    if text:
        raise ImportError(text)


def _load_core() -> None:
    """Imports mlx.core, without threads of OpenBLAS.

    OpenBLAS starts a thread for each core as it is loaded. They would wait for work in loops, a tenth of a second long,
    beside the first calculations, and get none: those of this library are shared out by its own threads.
    """
    import importlib
    import os

    name = "OPENBLAS_NUM_THREADS"  # read as OpenBLAS is loaded, here and in other packages that bring their own
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        importlib.import_module("mlx.core")
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


_check_for_clash()
_load_core()
del _check_for_clash, _load_core
