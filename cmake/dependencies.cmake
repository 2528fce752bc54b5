# Finds what mlx_core is built on: Python, threads, Highway, BLAS with LAPACK, zlib.
# Defines the targets mlx_core_highway, mlx_core_blas and mlx_core_zlib, and what is installed along, as lists of pairs (file, name):
# MLX_BUNDLED_LIBRARIES and MLX_BUNDLED_LICENSES.
set(MLX_BUNDLED_LIBRARIES "")
set(MLX_BUNDLED_LICENSES "")

# Python: the one given, else the checkout's own environment, else whichever find_package likes.
if(NOT Python_EXECUTABLE AND NOT DEFINED ENV{VIRTUAL_ENV} AND EXISTS "${PROJECT_SOURCE_DIR}/.venv/bin/python")
  set(Python_EXECUTABLE "${PROJECT_SOURCE_DIR}/.venv/bin/python" CACHE FILEPATH "Python interpreter")
endif()
set(Python_FIND_VIRTUALENV FIRST)
if(MLX_BUILD_PYTHON)
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
elseif(MLX_BLAS STREQUAL "scipy-openblas64")
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter)
endif()

find_package(Threads REQUIRED)

# ---- Highway ----
set(MLX_HWY_HOW_TO_INSTALL "Install version 1.0 or newer (Debian and Ubuntu: apt-get install libhwy-dev, Homebrew: \
brew install highway), or point CMAKE_PREFIX_PATH at it.")
add_library(mlx_core_highway INTERFACE)
if(NOT (APPLE AND SKBUILD AND MLX_FETCH_HIGHWAY)) # Homebrew's is for the macOS of this machine; a wheel is for older ones, too
  find_package(hwy 1.0 CONFIG QUIET)
  if(NOT TARGET hwy::hwy)
    find_package(PkgConfig QUIET)
    if(PkgConfig_FOUND)
      pkg_check_modules(HWY QUIET IMPORTED_TARGET libhwy>=1.0)
    endif()
  endif()
endif()
if(TARGET hwy::hwy)
  target_link_libraries(mlx_core_highway INTERFACE hwy::hwy)
  get_target_property(MLX_HWY_TYPE hwy::hwy TYPE)
  if(MLX_HWY_TYPE STREQUAL "SHARED_LIBRARY" AND SKBUILD)
    list(APPEND MLX_BUNDLED_LIBRARIES $<TARGET_FILE:hwy::hwy> $<TARGET_SONAME_FILE_NAME:hwy::hwy>)
  endif()
  set(MLX_HWY_FOUND "installed, version ${hwy_VERSION}")
elseif(TARGET PkgConfig::HWY)
  target_link_libraries(mlx_core_highway INTERFACE PkgConfig::HWY)
  set(MLX_HWY_FOUND "installed, version ${HWY_VERSION}")
elseif(MLX_FETCH_HIGHWAY)
  set(MLX_HWY_REPOSITORY https://github.com/google/highway.git)
  set(MLX_HWY_TAG 1.2.0)
  message(STATUS "Highway is not installed; downloading release ${MLX_HWY_TAG}")
  execute_process(COMMAND git ls-remote --exit-code ${MLX_HWY_REPOSITORY} refs/tags/${MLX_HWY_TAG}
    RESULT_VARIABLE MLX_HWY_UNREACHABLE OUTPUT_QUIET ERROR_QUIET TIMEOUT 60)
  if(MLX_HWY_UNREACHABLE)
    message(FATAL_ERROR "Highway is neither installed nor can it be downloaded from ${MLX_HWY_REPOSITORY}. "
      "${MLX_HWY_HOW_TO_INSTALL}")
  endif()
  include(FetchContent)
  set(HWY_ENABLE_TESTS OFF CACHE BOOL "" FORCE)
  set(HWY_ENABLE_EXAMPLES OFF CACHE BOOL "" FORCE)
  set(HWY_ENABLE_CONTRIB OFF CACHE BOOL "" FORCE)
  set(HWY_ENABLE_INSTALL OFF CACHE BOOL "" FORCE)
  set(HWY_FORCE_STATIC_LIBS ON CACHE BOOL "" FORCE)
  FetchContent_Declare(highway GIT_REPOSITORY ${MLX_HWY_REPOSITORY} GIT_TAG ${MLX_HWY_TAG} GIT_SHALLOW ON SYSTEM)
  FetchContent_MakeAvailable(highway)
  target_link_libraries(mlx_core_highway INTERFACE hwy)
  list(APPEND MLX_BUNDLED_LICENSES "${highway_SOURCE_DIR}/LICENSE-BSD3" highway.txt)
  set(MLX_HWY_FOUND "downloaded, version ${MLX_HWY_TAG}, static")
else()
  message(FATAL_ERROR "Highway (the SIMD library) is not installed. ${MLX_HWY_HOW_TO_INSTALL} Or set "
    "MLX_FETCH_HIGHWAY=ON to download it.")
endif()
if(EXISTS "/usr/share/doc/libhwy-dev/copyright" AND NOT TARGET hwy)
  list(APPEND MLX_BUNDLED_LICENSES "/usr/share/doc/libhwy-dev/copyright" highway.txt)
endif()

# ---- BLAS and LAPACK ----
add_library(mlx_core_blas INTERFACE)
if(MLX_BLAS STREQUAL "scipy-openblas64")
  execute_process(
    COMMAND "${Python_EXECUTABLE}" "${CMAKE_CURRENT_LIST_DIR}/find_openblas.py"
    OUTPUT_VARIABLE MLX_OPENBLAS RESULT_VARIABLE MLX_OPENBLAS_RESULT ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT MLX_OPENBLAS_RESULT EQUAL 0)
    message(FATAL_ERROR
      "${Python_EXECUTABLE} has no package scipy-openblas64 (OpenBLAS with 64-bit indices). Install it with "
      "`${Python_EXECUTABLE} -m pip install scipy-openblas64`, choose another interpreter with "
      "-DPython_EXECUTABLE=..., or use an installed BLAS and LAPACK with -DMLX_BLAS=generic.")
  endif()
  list(GET MLX_OPENBLAS 0 MLX_OPENBLAS_INCLUDE)
  list(GET MLX_OPENBLAS 1 MLX_OPENBLAS_LIBRARY)
  list(GET MLX_OPENBLAS 2 MLX_OPENBLAS_VERSION)
  list(GET MLX_OPENBLAS 3 MLX_OPENBLAS_LICENSE)
  add_library(mlx_core_openblas SHARED IMPORTED)
  set_target_properties(mlx_core_openblas PROPERTIES
    IMPORTED_LOCATION "${MLX_OPENBLAS_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${MLX_OPENBLAS_INCLUDE}")
  target_link_libraries(mlx_core_blas INTERFACE mlx_core_openblas)
  target_compile_definitions(mlx_core_blas INTERFACE MLX_BLAS_SCIPY_OPENBLAS=1)
  get_filename_component(MLX_OPENBLAS_NAME "${MLX_OPENBLAS_LIBRARY}" NAME)
  list(APPEND MLX_BUNDLED_LIBRARIES "${MLX_OPENBLAS_LIBRARY}" "${MLX_OPENBLAS_NAME}")
  if(MLX_OPENBLAS_LICENSE)
    list(APPEND MLX_BUNDLED_LICENSES "${MLX_OPENBLAS_LICENSE}" openblas.txt)
  endif()
  set(MLX_BLAS_FOUND "scipy-openblas64 ${MLX_OPENBLAS_VERSION}")
elseif(MLX_BLAS STREQUAL "generic")
  # CBLAS and LAPACK with 32-bit indices, as distributions install them; BLA_VENDOR chooses among several. On a Mac that
  # would be Accelerate first, whose products depend on more than shapes and values (docs/products.md).
  if(APPLE AND NOT BLA_VENDOR)
    set(BLA_VENDOR OpenBLAS)
    list(APPEND CMAKE_PREFIX_PATH /opt/homebrew/opt/openblas /usr/local/opt/openblas)
  endif()
  find_package(BLAS REQUIRED)
  find_package(LAPACK REQUIRED)
  find_path(MLX_CBLAS_INCLUDE cblas.h PATH_SUFFIXES openblas openblas-pthread cblas x86_64-linux-gnu/openblas-pthread
    REQUIRED)
  target_include_directories(mlx_core_blas INTERFACE "${MLX_CBLAS_INCLUDE}")
  target_link_libraries(mlx_core_blas INTERFACE LAPACK::LAPACK BLAS::BLAS)
  target_compile_definitions(mlx_core_blas INTERFACE MLX_BLAS_GENERIC_CBLAS=1)
  set(MLX_BLAS_FOUND "generic: ${BLAS_LIBRARIES}")
else()
  message(FATAL_ERROR "MLX_BLAS is '${MLX_BLAS}', but must be scipy-openblas64 or generic.")
endif()

# ---- zlib ----
# The static library where there is one: its code then lies inside of mlx_core, hidden, and a wheel needs no other.
add_library(mlx_core_zlib INTERFACE)
find_path(MLX_ZLIB_INCLUDE zlib.h)
find_library(MLX_ZLIB_STATIC NAMES libz.a)
if(MLX_ZLIB_INCLUDE AND MLX_ZLIB_STATIC AND NOT APPLE)
  target_include_directories(mlx_core_zlib SYSTEM INTERFACE "${MLX_ZLIB_INCLUDE}")
  target_link_libraries(mlx_core_zlib INTERFACE "${MLX_ZLIB_STATIC}" -Wl,--exclude-libs,libz.a)
  set(MLX_ZLIB_FOUND "${MLX_ZLIB_STATIC}")
  if(EXISTS "/usr/share/doc/zlib1g-dev/copyright")
    list(APPEND MLX_BUNDLED_LICENSES "/usr/share/doc/zlib1g-dev/copyright" zlib.txt)
  endif()
else()
  find_package(ZLIB QUIET)
  if(NOT ZLIB_FOUND)
    message(FATAL_ERROR "zlib is not installed (Debian and Ubuntu: apt-get install zlib1g-dev).")
  endif()
  target_link_libraries(mlx_core_zlib INTERFACE ZLIB::ZLIB)
  set(MLX_ZLIB_FOUND "${ZLIB_VERSION_STRING}")
endif()

message(STATUS "mlx_core ${PROJECT_VERSION}: Highway ${MLX_HWY_FOUND}; BLAS ${MLX_BLAS_FOUND}; zlib ${MLX_ZLIB_FOUND}")
