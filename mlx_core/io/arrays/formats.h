// The formats of array files, for those who have a source or a writer: names in the order of the file.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "mlx_core/io.h"
#include "mlx_core/io/arrays/source.h"

namespace mlx::core::io {

using ArrayList = std::vector<std::pair<std::string, array>>;
using TextList = std::vector<std::pair<std::string, std::string>>;
using MetadataList = std::vector<std::pair<std::string, GGUFMetaData>>;

// Of an array in a file: what NumPy's have.
constexpr size_t most_axes = 64;

// --- npy.cpp ---
struct NpyHeader {
  Shape shape;
  Dtype dtype = bool_;
  bool column_major = false, swapped = false;
  int64_t end = 0; // where the elements begin
};
NpyHeader read_npy_header(const Source& source);
std::string npy_header(const Shape& shape, Dtype dtype);
array read_npy(SourceRef source, bool map);
// One array of a stream, which is read to its end and no further.
array read_npy(Reader& in);
void write_npy(Writer& out, const array& a);

// --- npz.cpp ---
ArrayList read_npz(const SourceRef& source, bool map);
void write_npz(Writer& out, const ArrayList& arrays, bool compressed, const char* op);

// --- safetensors.cpp ---
ArrayList read_safetensors(const SourceRef& source, bool map, TextList* metadata);
void write_safetensors(Writer& out, const ArrayList& arrays, const TextList& metadata);

// --- gguf_read.cpp, gguf_write.cpp ---
ArrayList read_gguf(const SourceRef& source, bool map, MetadataList* metadata);
void write_gguf(Writer& out, const ArrayList& arrays, const MetadataList& metadata);

// --- files.cpp ---
// The path with the extension (".npy"), which is added where it is missing.
std::string with_extension(std::string path, std::string_view extension);
// Evaluates the arrays, which may come from the very file that is written, then writes the file as a whole.
void write_file(const char* op, const std::string& path, const ArrayList& arrays,
    const std::function<void(Writer&)>& write, bool compressed = false);
void evaluate_all(const ArrayList& arrays);
// Fails where an array has more axes than a reader takes. The name is empty where there is one array.
void check_axes(const char* op, const std::string& name, const array& a);
// "npy", "npz", "safetensors", "gguf" by the first bytes; empty where they are of none.
std::string format_of(const Source& source);

} // namespace mlx::core::io
