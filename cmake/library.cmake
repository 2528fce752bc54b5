# The C++ library mlx_core and what installing it takes: headers, CMake package, bundled shared libraries.
file(GLOB_RECURSE MLX_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/mlx_core/*.cpp")
list(FILTER MLX_SOURCES EXCLUDE REGEX "/gpu/metal_[^/]*$") # metal.cmake compiles the Metal host
file(GLOB MLX_GPU_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/mlx_core/gpu/*.cpp")
set(MLX_NO_GPU_SOURCE "${PROJECT_SOURCE_DIR}/mlx_core/gpu/none.cpp")
list(REMOVE_ITEM MLX_GPU_SOURCES "${MLX_NO_GPU_SOURCE}")
if(MLX_BUILD_METAL)
  list(REMOVE_ITEM MLX_SOURCES "${MLX_NO_GPU_SOURCE}")
  list(APPEND MLX_SOURCES $<TARGET_OBJECTS:mlx_core_metal>)
else()
  list(REMOVE_ITEM MLX_SOURCES ${MLX_GPU_SOURCES})
endif()
if(NOT MLX_SOURCES)
  message(FATAL_ERROR "No sources under ${PROJECT_SOURCE_DIR}/mlx_core.")
endif()

if(MLX_BUILD_SHARED)
  add_library(mlx_core SHARED ${MLX_SOURCES})
else()
  add_library(mlx_core STATIC ${MLX_SOURCES})
endif()
add_library(mlx_core::mlx_core ALIAS mlx_core)
target_compile_features(mlx_core PUBLIC cxx_std_20)
mlx_precompile(mlx_core)
target_include_directories(mlx_core PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${MLX_INSTALL_INCLUDEDIR}>)
foreach(SOURCE IN LISTS MLX_SOURCES)
  if(EXISTS "${SOURCE}")
    file(STRINGS "${SOURCE}" IS_KERNEL REGEX "HWY_TARGET_INCLUDE" LIMIT_COUNT 1)
    if(IS_KERNEL) # takes long for other reasons than what it includes
      set_property(SOURCE "${SOURCE}" PROPERTY SKIP_PRECOMPILE_HEADERS ON)
    elseif(MLX_SANITIZE AND NOT MLX_SANITIZE_KERNELS)
      set_property(SOURCE "${SOURCE}" APPEND PROPERTY COMPILE_OPTIONS ${MLX_SANITIZE_OPTIONS})
    elseif(SOURCE MATCHES "/io/|/ops/(conv|fast|fft|linalg|random|special)/")
      list(APPEND MLX_JOINED_SOURCES "${SOURCE}")
    endif()
  endif()
endforeach()
mlx_join(mlx_core ${MLX_JOINED_SOURCES})
if(MLX_SANITIZE AND NOT MLX_SANITIZE_KERNELS)
  add_compile_options(${MLX_SANITIZE_OPTIONS}) # of the targets that follow: bindings, tests
endif()
if(MLX_GUARD_PAGES)
  set_source_files_properties("${PROJECT_SOURCE_DIR}/mlx_core/allocator.cpp" PROPERTIES COMPILE_DEFINITIONS MLX_GUARD_PAGES)
endif()
target_compile_definitions(mlx_core PRIVATE
  MLX_CORE_VERSION="${PROJECT_VERSION}" MLX_API_VERSION="${MLX_API_VERSION}")
target_link_libraries(mlx_core
  PUBLIC Threads::Threads
  PRIVATE $<BUILD_INTERFACE:mlx_core_flags> $<BUILD_INTERFACE:mlx_core_highway> $<BUILD_INTERFACE:mlx_core_blas>
    $<BUILD_INTERFACE:mlx_core_zlib>)
if(MLX_GPU_IS_DEFAULT)
  set_property(SOURCE "${PROJECT_SOURCE_DIR}/mlx_core/device.cpp" APPEND PROPERTY COMPILE_DEFINITIONS MLX_GPU_IS_DEFAULT)
endif()
if(MLX_BUILD_METAL)
  target_link_libraries(mlx_core PRIVATE $<BUILD_INTERFACE:$<LINK_ONLY:mlx_metal_cpp>>) # its headers are for the Metal host alone: all else compiles as in a build without
endif()
set_target_properties(mlx_core PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/python/mlx/lib"
  INSTALL_RPATH "$<IF:$<BOOL:${APPLE}>,@loader_path,\$ORIGIN>")
if(NOT SKBUILD) # another BLAS or Highway may be in an unusual place
  set_target_properties(mlx_core PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
endif()

# ---- Installation ----
install(TARGETS mlx_core EXPORT mlx_core_targets
  LIBRARY DESTINATION ${MLX_INSTALL_LIBDIR} ARCHIVE DESTINATION ${MLX_INSTALL_LIBDIR})
install(CODE "set(MLX_SOURCE_DIR \"${PROJECT_SOURCE_DIR}\")\nset(MLX_INSTALL_INCLUDEDIR \"${MLX_INSTALL_INCLUDEDIR}\")")
install(SCRIPT "${PROJECT_SOURCE_DIR}/cmake/install_headers.cmake")

# The libraries it was linked with travel beside it, found through $ORIGIN: a wheel is self-contained, and another
# installation does not depend on the Python environment that OpenBLAS came from.
if(MLX_BUILD_SHARED)
  while(MLX_BUNDLED_LIBRARIES)
    list(POP_FRONT MLX_BUNDLED_LIBRARIES LIBRARY_FILE LIBRARY_NAME)
    install(PROGRAMS "${LIBRARY_FILE}" DESTINATION ${MLX_INSTALL_LIBDIR} RENAME "${LIBRARY_NAME}")
  endwhile()
  while(MLX_BUNDLED_LICENSES)
    list(POP_FRONT MLX_BUNDLED_LICENSES LICENSE_FILE LICENSE_NAME)
    install(FILES "${LICENSE_FILE}" DESTINATION ${MLX_INSTALL_LICENSEDIR} RENAME ${LICENSE_NAME})
  endwhile()
endif()

# find_package(mlx_core CONFIG). A static library would oblige its user to find Highway and BLAS again, so only the
# shared one is exported.
if(MLX_BUILD_SHARED)
  include(CMakePackageConfigHelpers)
  set(MLX_PACKAGE_DIR ${MLX_INSTALL_DATADIR}/cmake/mlx_core)
  configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/mlx_core-config.cmake.in"
    "${PROJECT_BINARY_DIR}/mlx_core-config.cmake" INSTALL_DESTINATION ${MLX_PACKAGE_DIR})
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/mlx_core-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
  install(FILES "${PROJECT_BINARY_DIR}/mlx_core-config.cmake" "${PROJECT_BINARY_DIR}/mlx_core-config-version.cmake"
    DESTINATION ${MLX_PACKAGE_DIR})
  install(EXPORT mlx_core_targets NAMESPACE mlx_core:: DESTINATION ${MLX_PACKAGE_DIR})
endif()
