# The Metal host: its sources, metal-cpp, the shaders that are built in, and on Linux the stand-in that they run on.
# Defines the target mlx_core_metal (objects that library.cmake takes into mlx_core) when MLX_BUILD_METAL is on.
if(APPLE OR MLX_METAL_EMULATOR)
  set(MLX_BUILD_METAL_DEFAULT ON)
else()
  set(MLX_BUILD_METAL_DEFAULT OFF)
endif()
option(MLX_BUILD_METAL "Build the Metal GPU" ${MLX_BUILD_METAL_DEFAULT})
set(MLX_METAL_CPP_DIR "" CACHE PATH "The folder of metal-cpp, which holds Metal/Metal.hpp")
option(MLX_FETCH_METAL_CPP "Download metal-cpp from Apple when it is not installed (macOS)" ON)

if(MLX_BUILD_METAL AND NOT APPLE AND NOT MLX_METAL_EMULATOR)
  message(FATAL_ERROR "MLX_BUILD_METAL needs macOS, or -DMLX_METAL_EMULATOR=ON, which runs shaders on the CPU.")
endif()
if(MLX_METAL_EMULATOR AND NOT MLX_BUILD_METAL)
  message(FATAL_ERROR "MLX_METAL_EMULATOR is for MLX_BUILD_METAL, which is OFF.")
endif()

# metal-cpp uses blocks (completion handlers). GCC does not know them: with it, clang compiles such targets.
function(mlx_compile_with_blocks TARGET)
  target_compile_options(${TARGET} PRIVATE -fblocks)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    find_program(MLX_CLANGXX NAMES clang++-19 clang++-18 clang++-17 clang++-16 clang++ REQUIRED
      DOC "The clang that compiles sources with blocks when the compiler is another one")
    set_target_properties(${TARGET} PROPERTIES
      CXX_COMPILER_LAUNCHER "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/clang_for_blocks;${MLX_CLANGXX};${CMAKE_CXX_COMPILER_LAUNCHER};--")
  endif()
endfunction()

if(NOT MLX_BUILD_METAL)
  return()
endif()

# ---- metal-cpp ----
find_path(MLX_METAL_CPP_FOUND Metal/Metal.hpp NO_CACHE
  HINTS "${MLX_METAL_CPP_DIR}" "$ENV{MLX_METAL_CPP_DIR}" "${PROJECT_SOURCE_DIR}/build/metal_cpp/mlx/include/metal_cpp"
  PATHS /opt/homebrew/opt/metal-cpp/include /usr/local/opt/metal-cpp/include PATH_SUFFIXES metal-cpp)
if(NOT MLX_METAL_CPP_FOUND AND APPLE AND MLX_FETCH_METAL_CPP)
  include(FetchContent)
  FetchContent_Declare(metal_cpp URL https://developer.apple.com/metal/cpp/files/metal-cpp_26.zip)
  FetchContent_MakeAvailable(metal_cpp)
  set(MLX_METAL_CPP_FOUND "${metal_cpp_SOURCE_DIR}")
endif()
if(NOT MLX_METAL_CPP_FOUND)
  message(FATAL_ERROR "metal-cpp (Apple's C++ headers for Metal) was not found. Set MLX_METAL_CPP_DIR to the folder that "
    "holds Metal/Metal.hpp: on macOS from `brew install metal-cpp` or developer.apple.com/metal/cpp, on Linux what "
    "`bash tools/metal_cpp` prints.")
endif()
add_library(mlx_metal_cpp INTERFACE)
target_include_directories(mlx_metal_cpp SYSTEM INTERFACE "${MLX_METAL_CPP_FOUND}")

if(MLX_METAL_EMULATOR)
  add_subdirectory("${PROJECT_SOURCE_DIR}/metal/emulator/objc" "${PROJECT_BINARY_DIR}/metal/emulator/objc")
  target_link_libraries(mlx_metal_cpp INTERFACE mlx_metal_emulator_objc)
else()
  target_link_libraries(mlx_metal_cpp INTERFACE "-framework Metal" "-framework Foundation" "-framework QuartzCore")
endif()

# ---- Shaders: their texts, and on a Mac with Apple's compiler a library made of them ----
file(GLOB_RECURSE MLX_SHADERS CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/metal/*.metal" "${PROJECT_SOURCE_DIR}/metal/*.h")
list(FILTER MLX_SHADERS EXCLUDE REGEX "/metal/emulator/")
set(MLX_METALLIB "")
if(APPLE)
  option(MLX_METAL_PRECOMPILE "Compile the shaders when the library is built, if Apple's compiler is there" ON)
  if(MLX_METAL_PRECOMPILE)
    execute_process(COMMAND xcrun -sdk macosx metal --version RESULT_VARIABLE MLX_NO_METAL OUTPUT_QUIET ERROR_QUIET)
    if(MLX_NO_METAL EQUAL 0)
      set(MLX_METALLIB "${PROJECT_BINARY_DIR}/metal/mlx.metallib")
      set(MLX_METAL_TARGET "${CMAKE_OSX_DEPLOYMENT_TARGET}")
      if(NOT MLX_METAL_TARGET)
        set(MLX_METAL_TARGET 14.0)
      endif()
      set(MLX_AIR_FILES "")
      foreach(SHADER IN LISTS MLX_SHADERS)
        if(SHADER MATCHES "\\.metal$")
          file(RELATIVE_PATH NAME "${PROJECT_SOURCE_DIR}/metal" "${SHADER}")
          string(REPLACE "/" "_" NAME "${NAME}")
          set(AIR "${PROJECT_BINARY_DIR}/metal/${NAME}.air")
          add_custom_command(OUTPUT "${AIR}" DEPENDS ${MLX_SHADERS} VERBATIM
            COMMAND xcrun -sdk macosx metal -c "${SHADER}" -o "${AIR}" -std=metal3.1 -fno-fast-math
              -ffp-contract=off "-mmacosx-version-min=${MLX_METAL_TARGET}" "-I${PROJECT_SOURCE_DIR}" "-I${PROJECT_SOURCE_DIR}/metal")
          list(APPEND MLX_AIR_FILES "${AIR}")
        endif()
      endforeach()
      if(MLX_AIR_FILES)
        add_custom_command(OUTPUT "${MLX_METALLIB}" DEPENDS ${MLX_AIR_FILES} VERBATIM
          COMMAND xcrun -sdk macosx metallib ${MLX_AIR_FILES} -o "${MLX_METALLIB}")
      else()
        set(MLX_METALLIB "")
      endif()
    else()
      message(STATUS "Metal: Apple's shader compiler is not there (Xcode; since Xcode 26 also `xcodebuild "
        "-downloadComponent MetalToolchain`): shaders are compiled when they are first used")
    endif()
  endif()
endif()

set(MLX_EMBEDDED_SHADERS "${PROJECT_BINARY_DIR}/metal/embedded_shaders.cpp")
string(REPLACE ";" "|" MLX_SHADER_LIST "${MLX_SHADERS}")
add_custom_command(OUTPUT "${MLX_EMBEDDED_SHADERS}" VERBATIM
  DEPENDS ${MLX_SHADERS} ${MLX_METALLIB} "${PROJECT_SOURCE_DIR}/cmake/embed_shaders.cmake"
  COMMAND ${CMAKE_COMMAND} "-DOUT=${MLX_EMBEDDED_SHADERS}" "-DROOT=${PROJECT_SOURCE_DIR}/metal"
    "-DFILES=${MLX_SHADER_LIST}" "-DMETALLIB=${MLX_METALLIB}" -P "${PROJECT_SOURCE_DIR}/cmake/embed_shaders.cmake")

# ---- The host ----
file(GLOB MLX_METAL_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/mlx_core/gpu/metal_*.cpp")
add_library(mlx_core_metal OBJECT ${MLX_METAL_SOURCES} "${MLX_EMBEDDED_SHADERS}")
target_compile_features(mlx_core_metal PUBLIC cxx_std_20)
target_include_directories(mlx_core_metal PUBLIC "${PROJECT_SOURCE_DIR}")
target_link_libraries(mlx_core_metal PRIVATE mlx_core_flags mlx_metal_cpp)
mlx_compile_with_blocks(mlx_core_metal)
message(STATUS "Metal: metal-cpp in ${MLX_METAL_CPP_FOUND}")
