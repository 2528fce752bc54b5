// Reading GGUF. Counts and lengths are compared with what is left of the file before anything is made for them.
#include <algorithm>
#include <limits>
#include <unordered_set>

#include "mlx_core/interrupt.h"
#include "mlx_core/io/arrays/formats.h"
#include "mlx_core/io/arrays/gguf.h"
#include "mlx_core/io/utf8.h"

namespace mlx::core::io {

namespace {

using gguf::ElementType;
using gguf::Unpacked;
using gguf::Value;

struct Number {
  Value type;
  Dtype dtype;
};
constexpr Number numbers[] = {{Value::uint8, uint8}, {Value::int8, int8}, {Value::uint16, uint16},
    {Value::int16, int16}, {Value::uint32, uint32}, {Value::int32, int32}, {Value::float32, float32},
    {Value::boolean, bool_}, {Value::uint64, uint64}, {Value::int64, int64}, {Value::float64, float64}};

struct TensorInfo {
  std::string name;
  const ElementType* type = nullptr;
  Shape shape;
  uint64_t offset = 0;
  int64_t bytes = 0;
};

class File {
 public:
  explicit File(const SourceRef& source) : source_(source), in_(*source) {}

  ArrayList read(bool map, MetadataList* metadata) {
    char start[4];
    if (source_->size() < 4 || (in_.raw(start, 4, "the beginning"), std::string_view(start, 4) != gguf::magic)) {
      fail("load", source_->name(), " is no .gguf file: it does not begin as one.");
    }
    version_ = in_.number<uint32_t>("the version");
    if (version_ > 0xffff && (version_ & 0xffff) == 0) {
      fail("load", source_->name(), " is a big-endian .gguf file; only little-endian ones can be read.");
    }
    if (version_ != 2 && version_ != 3) {
      fail("load", source_->name(), " has version ", version_, " of the format; versions 2 and 3 can be read.");
    }
    uint64_t tensors = count("the number of arrays", 24), entries = count("the number of metadata entries", 13);
    MetadataList values = read_metadata(entries);
    read_tensors(tensors);
    int64_t begin = aligned(in_.at());
    check(begin);
    if (metadata) {
      *metadata = std::move(values);
    }
    return arrays(begin, map);
  }

 private:
  // A number of things that take at least so many bytes each.
  uint64_t count(const char* what, uint64_t bytes_each) {
    uint64_t n = in_.number<uint64_t>(what);
    if (n > static_cast<uint64_t>(in_.left()) / bytes_each) {
      source_->refuse(what, " is ", n, ", which the ", in_.left(), " bytes that follow cannot hold");
    }
    return n;
  }

  std::string text(const char* what) {
    uint64_t bytes = in_.number<uint64_t>(what);
    std::string out = in_.text(bytes, what);
    if (!is_utf8(out)) {
      source_->refuse(what, " before byte ", in_.at(), " is no UTF-8");
    }
    return out;
  }

  int64_t aligned(int64_t at) const { return checked_add(at, alignment_ - 1) / alignment_ * alignment_; }

  MetadataList read_metadata(uint64_t entries) {
    MetadataList values;
    std::unordered_set<std::string> seen;
    InterruptPoll poll(4096);
    for (uint64_t i = 0; i < entries; ++i) {
      poll();
      std::string key = text("the key of a metadata entry");
      if (!seen.insert(key).second) {
        source_->refuse("two metadata entries are called '", key, "'");
      }
      GGUFMetaData value = read_value(in_.number<uint32_t>("the type of a metadata entry"), key);
      if (key == gguf::alignment_key) {
        const array* number = std::get_if<array>(&value);
        if (!number || number->ndim() != 0 || !number->dtype().is_integer()) {
          source_->refuse("its alignment is no whole number");
        }
        alignment_ = load_int(number->raw_data(), number->dtype());
        if (alignment_ < 1 || alignment_ > (1 << 30) || (alignment_ & (alignment_ - 1)) != 0) {
          source_->refuse("its alignment is ", alignment_, ", and should be a power of 2");
        }
      }
      values.emplace_back(std::move(key), std::move(value));
    }
    return values;
  }

  GGUFMetaData read_value(uint32_t type, const std::string& key) {
    if (type == static_cast<uint32_t>(Value::string)) {
      return text("a metadata text");
    }
    if (type != static_cast<uint32_t>(Value::list)) {
      return read_numbers(type, Shape{}, key);
    }
    uint32_t of = in_.number<uint32_t>("the type of a metadata list");
    if (of == static_cast<uint32_t>(Value::list)) {
      fail("load", source_->name(), ": the metadata '", key, "' is a list of lists, which is not supported.");
    }
    if (of != static_cast<uint32_t>(Value::string)) {
      uint64_t n = count("the length of a metadata list", static_cast<uint64_t>(dtype_of(of, key).size()));
      return read_numbers(of, Shape{static_cast<int64_t>(n)}, key);
    }
    uint64_t n = count("the length of a metadata list", 8);
    std::vector<std::string> texts;
    InterruptPoll poll(4096);
    for (uint64_t i = 0; i < n; ++i) {
      poll();
      texts.push_back(text("a text of a metadata list"));
    }
    return texts;
  }

  Dtype dtype_of(uint32_t type, const std::string& key) const {
    for (Number number : numbers) {
      if (static_cast<uint32_t>(number.type) == type) {
        return number.dtype;
      }
    }
    source_->refuse("the metadata '", key, "' is of the unknown type ", type, ", before byte ", in_.at());
  }

  array read_numbers(uint32_t type, Shape shape, const std::string& key) {
    Dtype dtype = dtype_of(type, key);
    int64_t bytes = bytes_in(*source_, shape, dtype, key);
    in_.require(static_cast<uint64_t>(bytes), "a metadata value");
    array out = array::uninitialized(std::move(shape), dtype);
    in_.raw(out.mutable_data(), bytes, "a metadata value");
    make_sound(static_cast<char*>(out.mutable_data()), bytes, dtype, false);
    return out;
  }

  void read_tensors(uint64_t n) {
    std::unordered_set<std::string> seen;
    InterruptPoll poll(4096);
    for (uint64_t i = 0; i < n; ++i) {
      poll();
      TensorInfo tensor;
      tensor.name = text("the name of an array");
      if (!seen.insert(tensor.name).second) {
        source_->refuse("two arrays are called '", tensor.name, "'");
      }
      uint32_t axes = in_.number<uint32_t>("the number of axes");
      if (axes > 8) {
        source_->refuse("array '", tensor.name, "' has ", axes, " axes; the most is 8");
      }
      for (uint32_t axis = 0; axis < axes; ++axis) {
        uint64_t length = in_.number<uint64_t>("the length of an axis");
        if (length > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
          source_->refuse("array '", tensor.name, "' has an axis of length ", length);
        }
        tensor.shape.push_back(static_cast<int64_t>(length));
      }
      std::reverse(tensor.shape.begin(), tensor.shape.end()); // the first one is the closest
      uint32_t type = in_.number<uint32_t>("the type of an array");
      tensor.type = type_of(type, tensor.name);
      tensor.offset = in_.number<uint64_t>("where an array begins");
      tensor.bytes = bytes_of(tensor);
      tensors_.push_back(std::move(tensor));
    }
  }

  const ElementType* type_of(uint32_t number, const std::string& name) const {
    for (const ElementType& type : gguf::element_types()) {
      if (type.number == number) {
        if (type.is_plain || gguf::has_values(type)) {
          return &type;
        }
        fail("load", source_->name(), ": array '", name, "' is quantized as ", type.name,
            ", which cannot be read. Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K can.");
      }
    }
    source_->refuse("array '", name, "' is of the unknown type ", number);
  }

  int64_t bytes_of(const TensorInfo& tensor) const {
    // A number for each element, more than its bytes, has to be possible, too: so no product below overflows.
    bytes_in(*source_, tensor.shape, float64, "array '" + tensor.name + "'");
    int64_t elements = size_of(tensor.shape);
    int64_t row = tensor.shape.empty() ? 1 : int64_t{tensor.shape.back()};
    if (row % tensor.type->elements != 0) {
      source_->refuse("array '", tensor.name, "' of shape ", tensor.shape, " cannot be in blocks of ",
          tensor.type->elements, ", as ", tensor.type->name, " is");
    }
    return checked_multiply(elements / tensor.type->elements, tensor.type->bytes);
  }

  // Every array lies inside, and none on another.
  void check(int64_t begin) const {
    int64_t bytes = std::max<int64_t>(source_->size() - begin, 0);
    std::vector<const TensorInfo*> sorted;
    for (const TensorInfo& tensor : tensors_) {
      if (tensor.bytes > bytes || tensor.offset > static_cast<uint64_t>(bytes - tensor.bytes)) {
        source_->refuse("array '", tensor.name, "' of shape ", tensor.shape, " (", tensor.type->name, ") takes ",
            tensor.bytes, " bytes from byte ", tensor.offset, " of the data on, but that has ", bytes);
      }
      if (tensor.bytes > 0) {
        sorted.push_back(&tensor);
      }
    }
    std::sort(
        sorted.begin(), sorted.end(), [](const TensorInfo* a, const TensorInfo* b) { return a->offset < b->offset; });
    for (size_t i = 1; i < sorted.size(); ++i) {
      if (sorted[i - 1]->offset + static_cast<uint64_t>(sorted[i - 1]->bytes) > sorted[i]->offset) {
        source_->refuse("arrays '", sorted[i - 1]->name, "' and '", sorted[i]->name, "' overlap");
      }
    }
  }

  // A quantized array that can be multiplied as it is comes as three: name.weight, name.scales, name.biases.
  ArrayList arrays(int64_t begin, bool map) const {
    ArrayList out;
    for (const TensorInfo& tensor : tensors_) {
      int64_t at = begin + static_cast<int64_t>(tensor.offset);
      int bits = 0;
      if (tensor.type->is_plain) {
        Layout layout;
        layout.begin = tensor.bytes > 0 ? at : 0;
        layout.map = map;
        out.emplace_back(
            tensor.name, lazy_elements(source_, layout, tensor.shape, tensor.type->dtype, "'" + tensor.name + "'"));
      } else if (tensor.shape.empty() || !gguf::is_affine(*tensor.type, &bits)) {
        out.emplace_back(tensor.name, lazy_blocks(source_, at, *tensor.type, tensor.shape, Unpacked::values));
      } else {
        constexpr std::string_view weight = ".weight";
        std::string stem = tensor.name;
        if (stem.ends_with(weight)) {
          stem.resize(stem.size() - weight.size());
        }
        Shape packed = tensor.shape, groups = tensor.shape;
        packed.back() = int64_t{packed.back()} * bits / 32;
        groups.back() = int64_t{groups.back()} / 32;
        out.emplace_back(tensor.name, lazy_blocks(source_, at, *tensor.type, packed, Unpacked::weights));
        out.emplace_back(stem + ".scales", lazy_blocks(source_, at, *tensor.type, groups, Unpacked::scales));
        out.emplace_back(stem + ".biases", lazy_blocks(source_, at, *tensor.type, groups, Unpacked::biases));
      }
    }
    std::unordered_set<std::string_view> seen;
    for (const auto& [name, a] : out) {
      if (!seen.insert(name).second) {
        source_->refuse("an array is called '", name, "', as are the scales or biases of another one");
      }
    }
    return out;
  }

  SourceRef source_;
  Cursor in_;
  uint32_t version_ = 0;
  int64_t alignment_ = gguf::default_alignment;
  std::vector<TensorInfo> tensors_;
};

} // namespace

ArrayList read_gguf(const SourceRef& source, bool map, MetadataList* metadata) {
  return File(source).read(map, metadata);
}

} // namespace mlx::core::io
