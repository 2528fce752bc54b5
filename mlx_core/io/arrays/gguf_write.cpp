// Writing GGUF.
#include <unordered_set>

#include "mlx_core/io/arrays/formats.h"
#include "mlx_core/io/arrays/gguf.h"
#include "mlx_core/io/utf8.h"

namespace mlx::core::io {

namespace {

using gguf::ElementType;
using gguf::Value;

class Bytes {
 public:
  std::string all;
  template <typename T>
  void number(T value) {
    all.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void type(Value value) { number(static_cast<uint32_t>(value)); }
  void text(const std::string& value, const char* what) {
    if (!is_utf8(value)) {
      fail("save_gguf", what, " is no UTF-8.");
    }
    number(static_cast<uint64_t>(value.size()));
    all += value;
  }
};

const ElementType& type_of(const array& a, const std::string& name) {
  for (const ElementType& type : gguf::element_types()) {
    if (type.is_plain && type.dtype == a.dtype()) {
      return type;
    }
  }
  fail("save_gguf", "'", name, "' has dtype ", a.dtype(),
      ", which the format does not have: it has int8 to int64, float16, bfloat16, float32 and float64. Convert it with "
      "astype, or use mx.save_safetensors.");
}

Value value_type(Dtype dtype, const std::string& key) {
  switch (dtype.val) {
    case Dtype::Val::bool_: return Value::boolean;
    case Dtype::Val::uint8: return Value::uint8;
    case Dtype::Val::uint16: return Value::uint16;
    case Dtype::Val::uint32: return Value::uint32;
    case Dtype::Val::uint64: return Value::uint64;
    case Dtype::Val::int8: return Value::int8;
    case Dtype::Val::int16: return Value::int16;
    case Dtype::Val::int32: return Value::int32;
    case Dtype::Val::int64: return Value::int64;
    case Dtype::Val::float32: return Value::float32;
    case Dtype::Val::float64: return Value::float64;
    default:
      fail("save_gguf", "metadata '", key, "' has dtype ", dtype,
          ", which metadata cannot have; convert it to float32.");
  }
}

void write_value(Bytes& out, const GGUFMetaData& value, const std::string& key) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    out.type(Value::string);
    out.text(*text, "a metadata text");
  } else if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) {
    out.type(Value::list);
    out.type(Value::string);
    out.number(static_cast<uint64_t>(texts->size()));
    for (const std::string& entry : *texts) {
      out.text(entry, "a metadata text");
    }
  } else if (const auto* a = std::get_if<array>(&value)) {
    if (a->ndim() > 1) {
      fail("save_gguf", "metadata '", key, "' has shape ", a->shape(), "; it should have one axis or none.");
    }
    Value type = value_type(a->dtype(), key);
    if (a->ndim() == 1) {
      out.type(Value::list);
    }
    out.type(type);
    if (a->ndim() == 1) {
      out.number(static_cast<uint64_t>(int64_t{a->size()}));
    }
    for_each_piece(*a, [&](const char* from, size_t bytes) { out.all.append(from, bytes); });
  } else {
    fail("save_gguf", "metadata '", key, "' has no value.");
  }
}

// Where the file itself says how arrays are aligned.
int64_t alignment_in(const MetadataList& metadata) {
  for (const auto& [key, value] : metadata) {
    if (key != gguf::alignment_key) {
      continue;
    }
    const array* a = std::get_if<array>(&value);
    int64_t alignment = a && a->ndim() == 0 && a->dtype() == uint32 ? load_int(a->raw_data(), a->dtype()) : 0;
    if (alignment < 8 || alignment > (1 << 20) || (alignment & (alignment - 1)) != 0) {
      fail("save_gguf", "metadata '", key, "' should be a power of 2 from 8 on, of dtype uint32.");
    }
    return alignment;
  }
  return gguf::default_alignment;
}

} // namespace

void write_gguf(Writer& out, const ArrayList& arrays, const MetadataList& metadata) {
  int64_t alignment = alignment_in(metadata);
  auto aligned = [&](int64_t at) { return checked_add(at, alignment - 1) / alignment * alignment; };
  Bytes header;
  header.all = gguf::magic;
  header.number(gguf::version);
  header.number(static_cast<uint64_t>(arrays.size()));
  header.number(static_cast<uint64_t>(metadata.size()));
  std::unordered_set<std::string> seen;
  for (const auto& [key, value] : metadata) {
    if (!seen.insert(key).second) {
      fail("save_gguf", "two metadata entries are called '", key, "'.");
    }
    header.text(key, "the key of a metadata entry");
    write_value(header, value, key);
  }
  seen.clear();
  int64_t at = 0;
  for (const auto& [name, a] : arrays) {
    if (!seen.insert(name).second) {
      fail("save_gguf", "two arrays are called '", name, "'.");
    }
    if (a.ndim() > 8) {
      fail("save_gguf", "'", name, "' has ", a.ndim(), " axes; the format has 8 at most.");
    }
    header.text(name, "the name of an array");
    header.number(static_cast<uint32_t>(a.ndim()));
    for (size_t axis = a.shape().size(); axis-- > 0;) {
      header.number(static_cast<uint64_t>(int64_t{a.shape()[axis]}));
    }
    header.number(type_of(a, name).number);
    header.number(static_cast<uint64_t>(at));
    at = aligned(checked_add(at, static_cast<int64_t>(a.nbytes())));
  }
  header.all.resize(static_cast<size_t>(aligned(static_cast<int64_t>(header.all.size()))), '\0');
  out.write(header.all.data(), header.all.size());
  for (const auto& [name, a] : arrays) {
    for_each_piece(a, [&](const char* from, size_t bytes) { out.write(from, bytes); });
    int64_t bytes = static_cast<int64_t>(a.nbytes());
    std::string padding(static_cast<size_t>(aligned(bytes) - bytes), '\0');
    out.write(padding.data(), padding.size());
  }
}

} // namespace mlx::core::io
