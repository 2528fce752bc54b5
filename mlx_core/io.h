// Arrays in files: npy, npz, safetensors and GGUF. Loaded arrays are lazy: what a header says is checked at once, and
// elements are read when they are needed. Files are written as a whole or not at all. See docs/files.md.
//
// std::runtime_error: the file cannot be read or written. std::invalid_argument: what is in it makes no sense.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "mlx_core/array.h"

namespace mlx::core {

namespace io {

// Bytes that come one after the other.
class Reader {
 public:
  virtual ~Reader() = default;
  // Reads up to `bytes`; 0 where there are no more.
  virtual size_t read(char* to, size_t bytes) = 0;
  virtual std::string label() const = 0; // for errors
};

// Bytes that go one after the other.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual void write(const char* from, size_t bytes) = 0;
  virtual std::string label() const = 0;
};

} // namespace io

using GGUFMetaData = std::variant<std::monostate, array, std::string, std::vector<std::string>>;
using GGUFLoad = std::pair<std::unordered_map<std::string, array>, std::unordered_map<std::string, GGUFMetaData>>;
using SafetensorsLoad = std::pair<std::unordered_map<std::string, array>, std::unordered_map<std::string, std::string>>;

// .npy, one array. The name gets the extension where it lacks it. A stream is read to the end of the array.
void save(std::string file, array a);
void save(std::shared_ptr<io::Writer> out, array a);
array load(std::string file, StreamOrDevice s = {});
array load(std::shared_ptr<io::Reader> in, StreamOrDevice s = {});

// .npz, several arrays by name.
void save_npz(std::string file, std::unordered_map<std::string, array> arrays, bool compressed = false);
void save_npz(std::shared_ptr<io::Writer> out, std::unordered_map<std::string, array> arrays, bool compressed = false);
std::unordered_map<std::string, array> load_npz(const std::string& file, StreamOrDevice s = {});

// .safetensors. Large arrays are mapped into memory, without a copy.
void save_safetensors(std::string file, std::unordered_map<std::string, array> arrays,
    std::unordered_map<std::string, std::string> metadata = {});
void save_safetensors(std::shared_ptr<io::Writer> out, std::unordered_map<std::string, array> arrays,
    std::unordered_map<std::string, std::string> metadata = {});
SafetensorsLoad load_safetensors(const std::string& file, StreamOrDevice s = {});
SafetensorsLoad load_safetensors(std::shared_ptr<io::Reader> in, StreamOrDevice s = {});

// .gguf. A quantized array that MLX can multiply comes as three: weights, scales and biases.
void save_gguf(std::string file, std::unordered_map<std::string, array> arrays,
    std::unordered_map<std::string, GGUFMetaData> metadata = {});
void save_gguf(std::shared_ptr<io::Writer> out, std::unordered_map<std::string, array> arrays,
    std::unordered_map<std::string, GGUFMetaData> metadata = {});
GGUFLoad load_gguf(const std::string& file, StreamOrDevice s = {});

} // namespace mlx::core
