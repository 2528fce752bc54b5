// safetensors: the length of the header (8 bytes), the header (JSON: for each name its dtype, shape and where its bytes
// are), the bytes. They lie next to each other, in order, without holes.
#include <algorithm>
#include <unordered_set>

#include "mlx_core/io/arrays/elements.h"
#include "mlx_core/io/arrays/formats.h"
#include "mlx_core/io/arrays/json.h"
#include "mlx_core/io/utf8.h"

namespace mlx::core::io {

namespace {

constexpr int64_t longest_header = 100'000'000; // as the format says
constexpr const char* metadata_key = "__metadata__";

constexpr std::pair<std::string_view, Dtype> names[] = {{"BOOL", bool_}, {"U8", uint8}, {"I8", int8}, {"U16", uint16},
    {"I16", int16}, {"U32", uint32}, {"I32", int32}, {"U64", uint64}, {"I64", int64}, {"F16", float16},
    {"BF16", bfloat16}, {"F32", float32}, {"F64", float64}, {"C64", complex64},
    // Eight bits of a float come as they are; mx.from_fp8 knows the first.
    {"F8_E4M3", uint8}, {"F8_E5M2", uint8}, {"F8_E8M0", uint8}};

struct Tensor {
  std::string name;
  Dtype dtype = bool_;
  Shape shape;
  int64_t begin = 0, end = 0;
};

class Header {
 public:
  Header(const Source& source, std::string_view text) : source_(source), json_(source, text, 8) {}

  std::vector<Tensor> tensors;
  TextList metadata;

  void read() {
    std::unordered_set<std::string> seen;
    json_.open('{');
    while (json_.next('}')) {
      std::string name = json_.key();
      if (!seen.insert(name).second) {
        json_.refuse("two entries called '" + name + "'");
      }
      name == metadata_key ? read_metadata() : read_tensor(std::move(name));
    }
    json_.finish();
  }

 private:
  void read_metadata() {
    if (json_.take_null()) { // as MLX writes it where there is none
      return;
    }
    std::unordered_set<std::string> seen;
    json_.open('{');
    while (json_.next('}')) {
      std::string key = json_.key();
      if (!seen.insert(key).second) {
        json_.refuse("two entries of the metadata called '" + key + "'");
      }
      metadata.emplace_back(std::move(key), json_.text());
    }
  }

  void read_tensor(std::string name) {
    Tensor tensor;
    tensor.name = std::move(name);
    bool dtype = false, shape = false, offsets = false;
    json_.open('{');
    while (json_.next('}')) {
      std::string key = json_.key();
      if (key == "dtype" && !dtype) {
        dtype = true;
        tensor.dtype = dtype_called(json_.text(), tensor.name);
      } else if (key == "shape" && !shape) {
        shape = true;
        json_.open('[');
        while (json_.next(']')) {
          tensor.shape.push_back(json_.natural());
          if (tensor.shape.size() > most_axes) {
            json_.refuse("an array of more than 64 axes");
          }
        }
      } else if (key == "data_offsets" && !offsets) {
        offsets = true;
        json_.expect('[');
        tensor.begin = json_.natural();
        json_.expect(',');
        tensor.end = json_.natural();
        json_.expect(']');
      } else if (key == "dtype" || key == "shape" || key == "data_offsets") {
        json_.refuse("'" + key + "' twice for '" + tensor.name + "'");
      } else {
        json_.skip();
      }
    }
    if (!dtype || !shape || !offsets) {
      json_.refuse("no 'dtype', 'shape' or 'data_offsets' for '" + tensor.name + "'");
    }
    tensors.push_back(std::move(tensor));
  }

  Dtype dtype_called(const std::string& text, const std::string& tensor) const {
    for (auto [name, dtype] : names) {
      if (text == name) {
        return dtype;
      }
    }
    fail("load", source_.name(), ": '", tensor, "' has elements of type '", text.substr(0, 40),
        "', for which there is no dtype.");
  }

  const Source& source_;
  JsonReader json_;
};

// The format allows neither holes nor overlaps.
void check_apart(const Source& source, const std::vector<Tensor>& tensors, int64_t bytes) {
  std::vector<const Tensor*> sorted;
  for (const Tensor& tensor : tensors) {
    sorted.push_back(&tensor);
  }
  std::sort(sorted.begin(), sorted.end(),
      [](const Tensor* a, const Tensor* b) { return a->begin != b->begin ? a->begin < b->begin : a->end < b->end; });
  int64_t at = 0;
  for (const Tensor* tensor : sorted) {
    if (tensor->begin != at) {
      source.refuse("the bytes of '", tensor->name, "' begin at ", tensor->begin, " of the data, where ",
          tensor->begin < at ? "another array is" : "a hole is before them");
    }
    at = tensor->end;
  }
  if (at != bytes) {
    source.refuse("its arrays take ", at, " bytes, but ", bytes, " are behind the header");
  }
}

std::string_view name_in_file(Dtype dtype, const std::string& name) {
  for (auto [text, of] : names) {
    if (of == dtype) {
      return text;
    }
  }
  fail("save_safetensors", "'", name, "' has dtype ", dtype,
      ", which the format does not have. Save its real and imaginary parts, or use mx.savez.");
}

} // namespace

ArrayList read_safetensors(const SourceRef& source, bool map, TextList* metadata) {
  if (source->size() < 8) {
    fail("load", source->name(), " is no .safetensors file: it has ", source->size(), " bytes.");
  }
  Cursor in(*source);
  uint64_t length = in.number<uint64_t>("the length of the header");
  if (length > static_cast<uint64_t>(std::min(longest_header, source->size() - 8))) {
    source->refuse("its header should have ", length, " bytes, but there are ", source->size() - 8,
        " (and the most that the format allows is ", longest_header, ")");
  }
  std::string text = in.text(length, "the header");
  Header header(*source, text);
  header.read();
  int64_t begin = in.at(), bytes = source->size() - begin;
  ArrayList arrays;
  for (Tensor& tensor : header.tensors) {
    int64_t needed = bytes_in(*source, tensor.shape, tensor.dtype, "'" + tensor.name + "'");
    if (tensor.begin > tensor.end || tensor.end > bytes || tensor.end - tensor.begin != needed) {
      source->refuse("'", tensor.name, "' of shape ", tensor.shape, " and dtype ", tensor.dtype, " takes ", needed,
          " bytes, but lies from ", tensor.begin, " to ", tensor.end, " of ", bytes);
    }
  }
  check_apart(*source, header.tensors, bytes);
  for (Tensor& tensor : header.tensors) {
    Layout layout;
    layout.begin = begin + tensor.begin;
    layout.map = map;
    std::string what = "'" + tensor.name + "'";
    arrays.emplace_back(std::move(tensor.name), lazy_elements(source, layout, tensor.shape, tensor.dtype, what));
  }
  if (metadata) {
    *metadata = std::move(header.metadata);
  }
  return arrays;
}

void write_safetensors(Writer& out, const ArrayList& arrays, const TextList& metadata) {
  std::vector<const ArrayList::value_type*> sorted;
  std::unordered_set<std::string> seen;
  for (const auto& entry : arrays) {
    if (entry.first == metadata_key || !is_utf8(entry.first)) {
      fail("save_safetensors", "'", entry.first, "' cannot be the name of an array.");
    }
    if (!seen.insert(entry.first).second) {
      fail("save_safetensors", "two arrays are called '", entry.first, "'.");
    }
    name_in_file(entry.second.dtype(), entry.first);
    check_axes("save_safetensors", entry.first, entry.second);
    sorted.push_back(&entry);
  }
  // The widest elements first: so all are aligned, and can be mapped.
  std::stable_sort(
      sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->second.itemsize() > b->second.itemsize(); });
  std::string header = "{";
  if (!metadata.empty()) {
    header += json_text(metadata_key) + ":{";
    for (const auto& [key, value] : metadata) {
      header += (header.back() == '{' ? "" : ",") + json_text(key) + ":" + json_text(value);
    }
    header += "}";
  }
  int64_t at = 0;
  for (const auto* entry : sorted) {
    const array& a = entry->second;
    header += (header.back() == '{' ? "" : ",") + json_text(entry->first) + ":{\"dtype\":\"" +
              std::string(name_in_file(a.dtype(), entry->first)) + "\",\"shape\":[";
    for (int i = 0; i < a.ndim(); ++i) {
      header += (i ? "," : "") + std::to_string(int64_t{a.shape()[static_cast<size_t>(i)]});
    }
    int64_t end = checked_add(at, static_cast<int64_t>(a.nbytes()));
    header += "],\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(end) + "]}";
    at = end;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  if (static_cast<int64_t>(header.size()) > longest_header) {
    fail(
        "save_safetensors", "the header would have ", header.size(), " bytes; the format allows ", longest_header, ".");
  }
  uint64_t length = header.size();
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out.write(header.data(), header.size());
  for (const auto* entry : sorted) {
    for_each_piece(entry->second, [&](const char* from, size_t bytes) { out.write(from, bytes); });
  }
}

} // namespace mlx::core::io
