// The Load primitive, and walking over elements.
#include "mlx_core/io/arrays/elements.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/primitive.h"
#include "mlx_core/trace_level.h"

namespace mlx::core::io {

static_assert(std::endian::native == std::endian::little, "the formats are the memory's own on such machines only");

namespace {

// An array from a file. It has no operands, so no rule is ever asked of it.
class Load final : public Primitive {
 public:
  Load(std::shared_ptr<const Content> content, Spec spec) : content_(std::move(content)), spec_(std::move(spec)) {}
  const char* name() const override { return "Load"; }
  void visit(ParamVisitor& v) const override { v("file", std::string_view(content_->label())); }
  // Equal to itself alone: the same name may be another file the next time.
  uint64_t identity() const override { return number_; }
  Specs infer(Operands) const override { return {spec_}; }
  void eval_cpu(Operands, std::span<array> outputs) const override {
    content_->fill(outputs[0], !is_available(Device::gpu));
  }
  Tangents jvp(Operands, const Tangents&, Operands) const override { return {std::nullopt}; }
  Tangents vjp(Operands, const Tangents&, Operands, std::span<const bool>) const override { return {}; }
  Mapped vmap(Operands, const MapAxes&) const override { return {{lazy(content_, spec_.shape, spec_.dtype)}, {{}}}; }

 private:
  static uint64_t next_number() {
    static std::atomic<uint64_t> last{0};
    return ++last;
  }
  std::shared_ptr<const Content> content_;
  Spec spec_;
  uint64_t number_ = next_number();
};

class Elements final : public Content {
 public:
  Elements(SourceRef source, Layout layout) : source_(std::move(source)), layout_(layout) {}

  void fill(array& out, bool may_map) const override {
    constexpr int64_t worth_mapping = int64_t{64} << 10;
    int64_t bytes = static_cast<int64_t>(out.nbytes());
    Strides strides = layout_.column_major ? column_major(out.shape()) : row_major_strides(out.shape());
    bool as_it_is = may_map && layout_.map && !layout_.swapped && !out.dtype().is_bool() && bytes >= worth_mapping;
    if (as_it_is) {
      std::optional<Source::Memory> memory = source_->memory(layout_.begin, bytes);
      int unit = real_of(out.dtype()).size();
      if (memory && (reinterpret_cast<uintptr_t>(memory->buffer->data) + static_cast<uint64_t>(memory->offset)) %
                            static_cast<uint64_t>(unit) ==
                        0) {
        return out.set_storage(std::move(memory->buffer), memory->offset, std::move(strides));
      }
    }
    BufferRef buffer = allocate(static_cast<size_t>(bytes));
    char* to = static_cast<char*>(buffer->data);
    source_->read(layout_.begin, bytes, to);
    make_sound(to, bytes, out.dtype(), layout_.swapped);
    out.set_storage(std::move(buffer), 0, std::move(strides));
  }
  std::string label() const override { return source_->name(); }

 private:
  static Strides column_major(const Shape& shape) {
    Strides strides;
    int64_t step = 1;
    for (Dim length : shape) {
      strides.push_back(step);
      step *= std::max<int64_t>(length, 1);
    }
    return strides;
  }
  SourceRef source_;
  Layout layout_;
};

template <typename Unit>
void swap_units(char* elements, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += static_cast<int64_t>(sizeof(Unit))) {
    char unit[sizeof(Unit)];
    std::memcpy(unit, elements + at, sizeof unit);
    std::reverse(unit, unit + sizeof unit);
    std::memcpy(elements + at, unit, sizeof unit);
  }
}

} // namespace

array lazy(std::shared_ptr<const Content> content, Shape shape, Dtype dtype) {
  LevelFloor outside(0); // a recorded branch or loop reads no file
  Spec spec{std::move(shape), dtype};
  PrimitiveRef load = make_primitive<Load>(std::move(content), spec);
  return array::make(std::move(load), std::move(spec), std::initializer_list<array>{});
}

int64_t bytes_in(const Source& source, const Shape& shape, Dtype dtype, const std::string& what) {
  int64_t bytes = dtype.size();
  bool empty = false;
  for (Dim length : shape) {
    if (int64_t{length} < 0) {
      source.refuse(what, " has the shape ", shape);
    }
    empty = empty || int64_t{length} == 0;
  }
  for (Dim length : shape) {
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(length, 1), &bytes)) {
      source.refuse(what, " has the shape ", shape, ", which is more than any memory holds");
    }
  }
  check_shape("load", shape);
  return empty ? 0 : bytes;
}

array lazy_elements(SourceRef source, Layout layout, Shape shape, Dtype dtype, const std::string& what) {
  int64_t bytes = bytes_in(*source, shape, dtype, what);
  if (layout.begin < 0 || layout.begin > source->size() || bytes > source->size() - layout.begin) {
    source->refuse(what, " of shape ", shape, " and dtype ", dtype, " takes ", bytes, " bytes from byte ", layout.begin,
        " on, but there are only ", source->size(), " in all");
  }
  return lazy(std::make_shared<Elements>(std::move(source), layout), std::move(shape), dtype);
}

void make_sound(char* elements, int64_t bytes, Dtype dtype, bool swapped) {
  int unit = real_of(dtype).size();
  bool is_bool = dtype.is_bool();
  if (!is_bool && (!swapped || unit == 1)) {
    return;
  }
  in_interruptible_pieces(bytes, int64_t{8} << 20, [&](int64_t first, int64_t end) {
    if (is_bool) {
      for (int64_t i = first; i < end; ++i) {
        elements[i] = elements[i] != 0;
      }
    } else if (unit == 2) {
      swap_units<uint16_t>(elements + first, end - first);
    } else if (unit == 4) {
      swap_units<uint32_t>(elements + first, end - first);
    } else {
      swap_units<uint64_t>(elements + first, end - first);
    }
  });
}

void for_each_piece(const array& a, const std::function<void(const char* from, size_t bytes)>& use) {
  constexpr int64_t piece = int64_t{8} << 20;
  const char* data = static_cast<const char*>(a.raw_data());
  int64_t count = a.size(), bytes = static_cast<int64_t>(a.nbytes());
  if (count == 0) {
    return;
  }
  if (a.is_row_contiguous()) {
    return in_interruptible_pieces(
        bytes, piece, [&](int64_t first, int64_t end) { use(data + first, static_cast<size_t>(end - first)); });
  }
  int64_t item = a.itemsize();
  Sizes sizes = sizes_of(a.shape());
  std::vector<char> packed(static_cast<size_t>(std::min(bytes, piece)));
  in_interruptible_pieces(count, piece / item, [&](int64_t first, int64_t end) {
    cpu::read_strided(
        data, sizes, a.strides(), static_cast<int>(item), first, end - first, static_cast<void*>(packed.data()));
    use(packed.data(), static_cast<size_t>((end - first) * item));
  });
}

} // namespace mlx::core::io
