# What every target is compiled and linked with: language level, build type, compiler cache, linker, sanitizers.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release or RelWithDebInfo" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Values are the same on every machine only if the compiler never contracts a*b+c, so this holds for all code.
# Vector types are passed in registers between functions of one instruction set only, hence no ABI warnings.
add_library(mlx_core_flags INTERFACE)
target_compile_options(mlx_core_flags INTERFACE -ffp-contract=off -Wall -Wextra)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(mlx_core_flags INTERFACE -Wno-psabi)
elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # On purpose: & and | of bools where a branch would cost more, braces around a list of one axis, hints that loops be vectorized.
  target_compile_options(mlx_core_flags INTERFACE -Wno-bitwise-instead-of-logical -Wno-braced-scalar-init -Wno-pass-failed)
endif()

if(MLX_SANITIZE)
  set(MLX_SANITIZE_OPTIONS -fsanitize=${MLX_SANITIZE} -fno-omit-frame-pointer -D_GLIBCXX_ASSERTIONS)
  add_link_options(-fsanitize=${MLX_SANITIZE})
  if(MLX_SANITIZE_KERNELS)
    add_compile_options(${MLX_SANITIZE_OPTIONS})
  else() # library.cmake adds them: kernels stay as in a release
    list(APPEND MLX_SANITIZE_OPTIONS -O1 -g1 -UNDEBUG)
  endif()
endif()

if(MLX_USE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(CCACHE_PROGRAM ccache)
  if(CCACHE_PROGRAM)
    # Paths relative to the checkout, so that another checkout of the same sources finds what this one compiled.
    set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
  endif()
  mark_as_advanced(CCACHE_PROGRAM)
endif()

if(MLX_USE_MOLD AND NOT APPLE)
  find_program(MOLD_PROGRAM mold)
  if(MOLD_PROGRAM)
    add_link_options(-fuse-ld=mold)
  endif()
  mark_as_advanced(MOLD_PROGRAM)
endif()

# What most files include is parsed once: headers of others alone, so that no edit here makes it stale, and another checkout
# finds it in the compiler cache. Not with sanitizers, with which a target's files are compiled in several ways.
set(MLX_PRECOMPILED <algorithm> <array> <atomic> <bit> <cmath> <complex> <condition_variable> <cstdint> <cstring> <functional>
  <limits> <map> <memory> <mutex> <optional> <span> <sstream> <string> <string_view> <unordered_map> <unordered_set> <utility>
  <vector>)
function(mlx_precompile TARGET)
  if(NOT MLX_SANITIZE)
    target_precompile_headers(${TARGET} PRIVATE ${MLX_PRECOMPILED} ${ARGN})
  endif()
endfunction()

# Of a whole build, most files take longer to parse, and to instantiate what they share, than to compile: up to eight of a
# folder are compiled as one, where names in anonymous namespaces are then those of all. They are named from the checkout's
# root, for the compiler cache of another one. Not what every small call goes through: what several of the joined files
# call is no longer inlined in each, which took 2 to 7 % more instructions.
function(mlx_join TARGET)
  if(MLX_UNITY_BUILD)
    set_target_properties(${TARGET} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP UNITY_BUILD_RELOCATABLE ON)
    foreach(SOURCE IN LISTS ARGN)
      cmake_path(RELATIVE_PATH SOURCE BASE_DIRECTORY "${PROJECT_SOURCE_DIR}" OUTPUT_VARIABLE NAME)
      cmake_path(REMOVE_FILENAME NAME OUTPUT_VARIABLE FOLDER)
      string(MAKE_C_IDENTIFIER "${FOLDER}" FOLDER)
      math(EXPR COUNT_${FOLDER} "0${COUNT_${FOLDER}} + 1")
      math(EXPR GROUP "${COUNT_${FOLDER}} / 8")
      set_property(SOURCE "${SOURCE}" PROPERTY UNITY_GROUP "${FOLDER}${GROUP}")
    endforeach()
  endif()
endfunction()
