// The public functions for arrays in files, of io.h.
#include <cstring>
#include <limits>

#include "mlx_core/io/arrays/atomic_file.h"
#include "mlx_core/io/arrays/formats.h"

namespace mlx::core {

namespace io {

std::string with_extension(std::string path, std::string_view extension) {
  return path.ends_with(extension) ? path : path.append(extension);
}

void check_axes(const char* op, const std::string& name, const array& a) {
  if (a.shape().size() > most_axes) {
    fail(op, name.empty() ? "the array" : "'" + name + "'", " has ", a.ndim(), " axes; the format has ", most_axes,
        " at most. Reshape it.");
  }
}

void evaluate_all(const ArrayList& arrays) {
  std::vector<array> all;
  for (const auto& [name, a] : arrays) {
    all.push_back(a);
  }
  eval(all);
}

// The file has at least the bytes of the arrays, unless it is compressed.
void write_file(const char* op, const std::string& path, const ArrayList& arrays,
    const std::function<void(Writer&)>& write, bool compressed) {
  evaluate_all(arrays);
  uint64_t bytes = 0;
  for (const auto& [name, a] : arrays) {
    if (!compressed && __builtin_add_overflow(bytes, a.nbytes(), &bytes)) {
      bytes = std::numeric_limits<uint64_t>::max();
    }
  }
  AtomicFile file(op, path, bytes);
  write(file);
  file.commit();
}

std::string format_of(const Source& source) {
  char start[9] = {};
  source.read(0, std::min<int64_t>(source.size(), 9), start);
  if (std::memcmp(start, "\x93NUMPY", 6) == 0) {
    return "npy";
  }
  if (std::memcmp(start, "PK\x03\x04", 4) == 0 || std::memcmp(start, "PK\x05\x06", 4) == 0) {
    return "npz";
  }
  if (std::memcmp(start, "GGUF", 4) == 0) {
    return "gguf";
  }
  // A header of less than 4 GB.
  return start[8] == '{' && std::memcmp(start + 4, "\0\0\0\0", 4) == 0 ? "safetensors" : "";
}

namespace {

template <typename Value>
std::vector<std::pair<std::string, Value>> listed(std::unordered_map<std::string, Value> map) {
  std::vector<std::pair<std::string, Value>> list(
      std::make_move_iterator(map.begin()), std::make_move_iterator(map.end()));
  // By name, so that equal arguments make equal files.
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return list;
}
template <typename Value>
std::unordered_map<std::string, Value> mapped(std::vector<std::pair<std::string, Value>> list) {
  return {std::make_move_iterator(list.begin()), std::make_move_iterator(list.end())};
}

// Metadata arrays are evaluated, too.
ArrayList with_metadata(ArrayList arrays, const MetadataList& metadata) {
  for (const auto& [key, value] : metadata) {
    if (const array* a = std::get_if<array>(&value)) {
      arrays.emplace_back(key, *a);
    }
  }
  return arrays;
}

} // namespace
} // namespace io

using namespace io;

// --- npy ---

void save(std::string file, array a) {
  write_file("save", with_extension(std::move(file), ".npy"), {{"", a}}, [&](Writer& out) { write_npy(out, a); });
}
void save(std::shared_ptr<Writer> out, array a) {
  a.eval();
  write_npy(*out, a);
}
array load(std::string file, StreamOrDevice s) {
  StreamScope on(s);
  return read_npy(open_file(file), false);
}
array load(std::shared_ptr<Reader> in, StreamOrDevice s) {
  StreamScope on(s);
  return read_npy(*in);
}

// --- npz ---

void save_npz(std::string file, std::unordered_map<std::string, array> arrays, bool compressed) {
  ArrayList list = listed(std::move(arrays));
  write_file(
      "savez", with_extension(std::move(file), ".npz"), list,
      [&](Writer& out) { write_npz(out, list, compressed, "savez"); }, compressed);
}
void save_npz(std::shared_ptr<Writer> out, std::unordered_map<std::string, array> arrays, bool compressed) {
  ArrayList list = listed(std::move(arrays));
  evaluate_all(list);
  write_npz(*out, list, compressed, "savez");
}
std::unordered_map<std::string, array> load_npz(const std::string& file, StreamOrDevice s) {
  StreamScope on(s);
  return mapped(read_npz(open_file(file), false));
}

// --- safetensors ---

void save_safetensors(std::string file, std::unordered_map<std::string, array> arrays,
    std::unordered_map<std::string, std::string> metadata) {
  ArrayList list = listed(std::move(arrays));
  write_file("save_safetensors", with_extension(std::move(file), ".safetensors"), list,
      [&](Writer& out) { write_safetensors(out, list, listed(std::move(metadata))); });
}
void save_safetensors(std::shared_ptr<Writer> out, std::unordered_map<std::string, array> arrays,
    std::unordered_map<std::string, std::string> metadata) {
  ArrayList list = listed(std::move(arrays));
  evaluate_all(list);
  write_safetensors(*out, list, listed(std::move(metadata)));
}
namespace {
SafetensorsLoad safetensors_of(const SourceRef& source) {
  TextList metadata;
  ArrayList arrays = read_safetensors(source, true, &metadata);
  return {mapped(std::move(arrays)), mapped(std::move(metadata))};
}
} // namespace
SafetensorsLoad load_safetensors(const std::string& file, StreamOrDevice s) {
  StreamScope on(s);
  return safetensors_of(open_file(file));
}
SafetensorsLoad load_safetensors(std::shared_ptr<Reader> in, StreamOrDevice s) {
  StreamScope on(s);
  return safetensors_of(read_whole(*in));
}

// --- gguf ---

void save_gguf(std::string file, std::unordered_map<std::string, array> arrays,
    std::unordered_map<std::string, GGUFMetaData> metadata) {
  ArrayList list = listed(std::move(arrays));
  MetadataList values = listed(std::move(metadata));
  write_file("save_gguf", with_extension(std::move(file), ".gguf"), with_metadata(list, values),
      [&](Writer& out) { write_gguf(out, list, values); });
}
void save_gguf(std::shared_ptr<Writer> out, std::unordered_map<std::string, array> arrays,
    std::unordered_map<std::string, GGUFMetaData> metadata) {
  ArrayList list = listed(std::move(arrays));
  MetadataList values = listed(std::move(metadata));
  evaluate_all(with_metadata(list, values));
  write_gguf(*out, list, values);
}
GGUFLoad load_gguf(const std::string& file, StreamOrDevice s) {
  StreamScope on(s);
  MetadataList metadata;
  ArrayList arrays = read_gguf(open_file(file), true, &metadata);
  return {mapped(std::move(arrays)), mapped(std::move(metadata))};
}

} // namespace mlx::core
