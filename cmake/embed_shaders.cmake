# Writes a C++ source (OUT) with the texts of FILES, separated by |, named relative to ROOT, and the bytes of METALLIB.
# Runs when the library is built: cmake -DOUT=... -DROOT=... -DFILES=... -DMETALLIB=... -P embed_shaders.cmake
set(code "// Written by cmake/embed_shaders.cmake: the shaders that are built in.\n#include \"mlx_core/gpu/metal_shader_text.h\"\n\n")
if(METALLIB)
  string(APPEND code "extern \"C\" const unsigned char mlx_embedded_metallib[], mlx_embedded_metallib_end[];\n\n")
endif()
string(APPEND code "namespace mlx::core::gpu {\n\nstd::span<const ShaderFile> shader_files() {\n")
string(REPLACE "|" ";" FILES "${FILES}")
if(FILES)
  string(APPEND code "  static const ShaderFile files[] = {\n")
  foreach(file IN LISTS FILES)
    file(RELATIVE_PATH name "${ROOT}" "${file}")
    file(SIZE "${file}" size)
    file(READ "${file}" hex HEX)
    # As bytes: a raw literal could end inside of a shader, and its length is limited.
    string(REGEX REPLACE "(..)" "\\\\x\\1" text "${hex}")
    string(REGEX REPLACE "(................................................................................)" "\\1\"\n     \"" text "${text}")
    string(APPEND code "    {\"${name}\", {\"${text}\", ${size}}},\n")
  endforeach()
  string(APPEND code "  };\n  return files;\n}\n\n")
else()
  string(APPEND code "  return {};\n}\n\n")
endif()
string(APPEND code "std::span<const unsigned char> shader_metallib() {\n")
if(METALLIB)
  string(APPEND code "  return {mlx_embedded_metallib, mlx_embedded_metallib_end};\n}\n\n")
else()
  string(APPEND code "  return {};\n}\n\n")
endif()
string(APPEND code "} // namespace mlx::core::gpu\n")

# The bytes of the library come in through the assembler: as a list of numbers they would take a compiler minutes. The hash is for
# whoever keeps what was compiled by the text of the source.
if(METALLIB)
  file(SHA256 "${METALLIB}" hash)
  string(APPEND code "
// ${hash}
#ifdef __APPLE__
#define MLX_READ_ONLY \".section __TEXT,__const\\n\"
#define MLX_SYMBOL(name) \"_\" name
#define MLX_HIDDEN \".private_extern \"
#else
#define MLX_READ_ONLY \".section .rodata\\n\"
#define MLX_SYMBOL(name) name
#define MLX_HIDDEN \".hidden \"
#endif
#define MLX_LABEL(name) \\
  \".globl \" MLX_SYMBOL(name) \"\\n\" MLX_HIDDEN MLX_SYMBOL(name) \"\\n\" MLX_SYMBOL(name) \":\\n\"
__asm__(MLX_READ_ONLY \".p2align 4\\n\" MLX_LABEL(\"mlx_embedded_metallib\") \".incbin \\\"${METALLIB}\\\"\\n\"
        MLX_LABEL(\"mlx_embedded_metallib_end\") \".byte 0\\n.text\\n\");
")
endif()
file(WRITE "${OUT}" "${code}")
