# Prints where the package scipy-openblas64 keeps its OpenBLAS, as a CMake list: headers; library; version; licence.
import importlib.metadata
import pathlib

import scipy_openblas64 as openblas

library = pathlib.Path(openblas.get_lib_dir(), openblas.get_library(fullname=True))
distribution = importlib.metadata.distribution("scipy-openblas64")
licences = [f.locate() for f in distribution.files or [] if f.name.lower().startswith("license")]
print(openblas.get_include_dir(), library, distribution.version, licences[0] if licences else "", sep=";")
