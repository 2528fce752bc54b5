"""``python -m mlx``: where the parts of the package are that other builds need."""

import argparse
import os


def main() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(prog="python -m mlx", description=__doc__)
    parser.add_argument(
        "--cmake-dir", action="store_true", help="print the folder of the CMake package, for -Dmlx_core_DIR=..."
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    args = parser.parse_args()
    if args.cmake_dir:
        folder = os.path.join(here, "share", "cmake", "mlx_core")
        if not os.path.isdir(folder):
            parser.error(f"{folder} does not exist: this is a build tree; install the package (pip install .)")
        print(folder)
    elif args.version:
        import mlx.core

        print(mlx.core.__version__)
    else:
        parser.print_help()


if __name__ == "__main__":
    main()
