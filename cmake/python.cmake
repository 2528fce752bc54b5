# The Python module mlx.core. The build tree holds a whole importable package: PYTHONPATH=<build>/python.
execute_process(
  COMMAND "${Python_EXECUTABLE}" -m nanobind --cmake_dir
  OUTPUT_VARIABLE nanobind_ROOT RESULT_VARIABLE MLX_NANOBIND_RESULT ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT MLX_NANOBIND_RESULT EQUAL 0)
  message(FATAL_ERROR "${Python_EXECUTABLE} has no package nanobind. Install it with "
    "`${Python_EXECUTABLE} -m pip install nanobind`, or choose another interpreter with -DPython_EXECUTABLE=... .")
endif()
find_package(nanobind CONFIG REQUIRED)

file(GLOB MLX_PYTHON_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/python/src/*/*.cpp")
if(NOT MLX_PYTHON_SOURCES)
  message(STATUS "No sources under python/src: the Python module is left out.")
  return()
endif()

set(MLX_PACKAGE_TREE "${PROJECT_BINARY_DIR}/python/mlx")
nanobind_add_module(core NB_STATIC NB_DOMAIN mlx NOMINSIZE NB_SUPPRESS_WARNINGS ${MLX_PYTHON_SOURCES})
target_link_libraries(core PRIVATE mlx_core mlx_core_flags)
mlx_precompile(core <nanobind/nanobind.h>)
list(FILTER MLX_PYTHON_SOURCES INCLUDE REGEX "/(files|interop|ops)/")
list(FILTER MLX_PYTHON_SOURCES EXCLUDE REGEX "/bind_ops_reduce")
mlx_join(core ${MLX_PYTHON_SOURCES})
target_compile_definitions(core PRIVATE
  MLX_CORE_VERSION="${PROJECT_VERSION}" MLX_API_VERSION="${MLX_API_VERSION}")
set_target_properties(core PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY "${MLX_PACKAGE_TREE}"
  INSTALL_RPATH "$<IF:$<BOOL:${APPLE}>,@loader_path,\$ORIGIN>/lib")

# Links to the Python files, so that an edit is seen at once.
file(GLOB_RECURSE MLX_PYTHON_FILES CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/python/mlx"
  "${PROJECT_SOURCE_DIR}/python/mlx/*.py" "${PROJECT_SOURCE_DIR}/python/mlx/py.typed")
foreach(FILE IN LISTS MLX_PYTHON_FILES)
  get_filename_component(FOLDER "${MLX_PACKAGE_TREE}/${FILE}" DIRECTORY)
  file(MAKE_DIRECTORY "${FOLDER}")
  file(CREATE_LINK "${PROJECT_SOURCE_DIR}/python/mlx/${FILE}" "${MLX_PACKAGE_TREE}/${FILE}" SYMBOLIC)
endforeach()

# `cmake --install` installs the C++ library; the Python package is installed by pip, which copies the *.py itself.
if(SKBUILD)
  install(TARGETS core LIBRARY DESTINATION mlx)
endif()

# Stubs: core/__init__.pyi, and one file for each submodule of mlx.core. The marker stands for all of them.
if(MLX_BUILD_STUBS AND NOT CMAKE_CROSSCOMPILING)
  nanobind_add_stub(core_stubs RECURSIVE MODULE mlx.core PYTHON_PATH "${PROJECT_BINARY_DIR}/python"
    PATTERN_FILE "${PROJECT_SOURCE_DIR}/python/stubs.pattern"
    OUTPUT_PATH "${PROJECT_BINARY_DIR}/stubs" MARKER_FILE "${PROJECT_BINARY_DIR}/stubs/py.typed"
    DEPENDS core mlx_core)
  add_custom_command(TARGET core_stubs POST_BUILD
    COMMAND "${Python_EXECUTABLE}" "${PROJECT_SOURCE_DIR}/python/stub_bool.py"
      "${PROJECT_BINARY_DIR}/stubs/core/__init__.pyi")
  if(SKBUILD)
    install(DIRECTORY "${PROJECT_BINARY_DIR}/stubs/" DESTINATION mlx FILES_MATCHING PATTERN "*.pyi")
  endif()
endif()
