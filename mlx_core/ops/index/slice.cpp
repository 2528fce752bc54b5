// Slices: reading and writing a regular part of an array.
//
// The primitives hold what the bounds come to, so that nothing is clamped twice: along each axis, element i of the part
// is element start + i * stride of the whole.
#include "mlx_core/backend/kernels.h"
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/index/added_parts.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/moves.h"

namespace mlx::core {

namespace {

void check_stride(const char* op, Dim stride) {
  if (stride == 0) {
    fail(op, "a stride is 0; strides count how many elements to move on, so 1 takes each of them.");
  }
}

// As below, by arithmetic that stays open. Of no elements the first one may be anywhere.
Dim resolve_open(const char* op, Dim n, Dim start, Dim stop, Dim stride, Dim& size) {
  check_stride(op, stride);
  bool forwards = stride > 0;
  Dim least = forwards ? 0 : -1, most = forwards ? n : n - 1;
  auto within = [&](Dim bound) { return smaller_of(larger_of(bound < 0 ? bound + n : bound, least), most); };
  Dim first = within(start), last = within(stop);
  Dim between = larger_of(forwards ? last - first : first - last, 0), apart = forwards ? stride : 0 - stride;
  size = (between + (apart - 1)) / apart;
  return first;
}

// The bounds of one axis of length n, as Python reads them, but that a stop below -n means "to the very beginning" of a
// slice that walks backwards. Returns the first element; size is set to the number of elements, and a stride that goes
// beyond the axis to 1.
Dim resolve(const char* op, Dim n, Dim start, Dim stop, Dim& stride, Dim& size) {
  if (n.is_symbolic() || start.is_symbolic() || stop.is_symbolic() || stride.is_symbolic()) {
    return resolve_open(op, n, start, stop, stride, size);
  }
  int64_t length = n, first = start, last = stop, step = stride;
  check_stride(op, step);
  first += first < 0 ? length : 0;
  last += last < 0 ? length : 0;
  if (step > 0) {
    first = std::min(std::max<int64_t>(first, 0), length);
    last = std::min(std::max<int64_t>(last, 0), length);
    size = last > first ? (last - first - 1) / step + 1 : 0;
  } else {
    first = std::min(std::max<int64_t>(first, -1), length - 1);
    last = std::min(std::max<int64_t>(last, -1), length - 1);
    size = first > last ? (first - last - 1) / -step + 1 : 0;
  }
  if (step > length || -step > length) {
    stride = 1; // at most one element: no step is made, and a long one could not be multiplied with strides
  }
  return size == 0 ? 0 : first;
}

struct Part {
  Shape start, shape, strides;
};

Part resolve(const char* op, const Shape& whole, const Shape& start, const Shape& stop, Shape strides) {
  if (start.size() != whole.size() || stop.size() != whole.size() || strides.size() != whole.size()) {
    fail(op, "start ", start, ", stop ", stop, " and strides ", strides, " must have one entry for each axis of shape ",
        whole, ".");
  }
  Part part{Shape(whole.size()), Shape(whole.size()), std::move(strides)};
  for (size_t i = 0; i < whole.size(); ++i) {
    part.start[i] = resolve(op, whole[i], start[i], stop[i], part.strides[i], part.shape[i]);
  }
  return part;
}

Shape unit_strides(const array& a) { return Shape(a.shape().size(), 1); }

array read_part(const array& x, Shape start, Shape shape, Shape strides);
array write_part(const array& x, const array& update, Shape start, Shape strides);

} // namespace

class Slice final : public ViewOp {
 public:
  static constexpr OpInfo info{.name = "slice",
      .primitive = "Slice",
      .summary = "The part of an array that starts at computed indices.",
      .example =
          ">>> mx.slice(mx.arange(6).reshape(2, 3), mx.array([1]), (1,), (2, 2))\narray([[1, 2],\n       [4, 5]], "
          "dtype=int32)",
      .details =
          "Along each of axes the part starts at an index, elsewhere at 0; slice_size is its length along every axis. "
          "Known bounds, as in x[1:5:2], give a view, and are brought into the array as Python does."};

  Slice(Shape start, Shape shape, Shape strides)
      : start_(std::move(start)), shape_(std::move(shape)), strides_(std::move(strides)) {}
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override {
    v("start", start_);
    v("shape", shape_);
    v("strides", strides_);
  }
  WrittenPart part() const { return {start_, strides_}; }
  Specs infer(Operands operands) const override { return {Spec{shape_, operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels&) const override {
    const Strides& strides = operands[0].strides();
    int64_t offset = size_of(shape_) == 0 ? 0 : part().offset_in(strides);
    outputs[0].share(operands[0], part().strides_in(strides), offset);
  }
  array transpose(const array& cotangent, const array& x) const override {
    return write_part(zeros(x.shape(), cotangent.dtype()), cotangent, start_, strides_);
  }
  Tangent vjp_onto(const array& sum, Operands, const array& cotangent) const override {
    // Cotangents of large parts in long lines, as of stencils, are added up in one pass, with zeros around each: in
    // place each of them would be a pass.
    const Shape& whole = sum.shape();
    if (!whole.empty() && part().is_most_of(whole, shape_) && whole.back() >= shortest_padded_line) {
      return std::nullopt;
    }
    array part = read_part(sum, start_, shape_, strides_);
    return write_part(sum, add(part, cotangent), start_, strides_);
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    // The batch axis stays where it is: the part takes all of it.
    auto at = static_cast<size_t>(*axes[0]);
    Shape start = start_, shape = shape_, strides = strides_;
    start.insert(start.begin() + at, 0);
    shape.insert(shape.begin() + at, operands[0].shape()[at]);
    strides.insert(strides.begin() + at, 1);
    return {{read_part(operands[0], std::move(start), std::move(shape), std::move(strides))}, {*axes[0]}};
  }

 private:
  Shape start_, shape_, strides_;
};

class SliceUpdate final : public Primitive {
 public:
  static constexpr OpInfo info{.name = "slice_update",
      .primitive = "SliceUpdate",
      .summary = "The array with the part that starts at computed indices replaced.",
      .example =
          ">>> mx.slice_update(mx.zeros((3,)), mx.array([5.0, 6.0]), mx.array([1]), (0,))\narray([0, 5, 6], "
          "dtype=float32)",
      .details =
          "Along each of axes the part starts at an index, elsewhere at 0; it has the update's shape. ``mode`` says "
          "what "
          "becomes of a part that is not inside: an IndexError with \"raise\" (default); \"clip\" moves it inside, "
          "with "
          "\"wrap\" its places count modulo the length, with \"fill\" nothing is written outside. Writing to known "
          "bounds, as in x[1:5:2] = v, broadcasts v and converts it to the array's dtype."};

  SliceUpdate(Shape start, Shape strides) : start_(std::move(start)), strides_(std::move(strides)) {}
  const char* name() const override { return info.primitive; }
  Dependence dependence() const override { return Dependence::moves_data; }
  void visit(ParamVisitor& v) const override {
    v("start", start_);
    v("strides", strides_);
  }
  int reusable_operand() const override { return 0; }
  WrittenPart part() const { return {start_, strides_}; }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    const array &x = operands[0], &update = operands[1];
    array& y = outputs[0];
    if (const Buffer* memory = y.node()->buffer.get()) { // the update was computed in its place
      return memory == x.node()->buffer.get() ? void() : fill_around(x, update, y, kernels);
    }
    if (!y.take_over(x)) {
      y.allocate();
      only_around(x, update, kernels) ? fill_around(x, update, y, kernels)
                                      : kernels.run(kernel::Copy{x.view(), y.view()});
    }
    if (size_of(update.shape()) == 0) {
      return;
    }
    const Strides& strides = y.strides();
    View place = y.view().laid_out(sizes_of(update.shape()), part().strides_in(strides), part().offset_in(strides));
    kernels.run(kernel::Copy{update.view(), std::move(place)});
  }
  // The same write, of the tangents.
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    if (!tangents[0] && !tangents[1]) {
      return {std::nullopt};
    }
    array x = tangents[0] ? *tangents[0] : zeros_like(primals[0]);
    array update = tangents[1] ? *tangents[1] : zeros_like(primals[1]);
    return {applied(self(*this), {x, update})};
  }
  // What was overwritten has no influence; the update has that of its place.
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(2);
    if (cotangents[0] && wanted[0]) {
      out[0] = applied(self(*this), {*cotangents[0], zeros(primals[1].shape(), cotangents[0]->dtype())});
    }
    if (cotangents[0] && wanted[1]) {
      out[1] = read_part(*cotangents[0], start_, primals[1].shape(), strides_);
    }
    return out;
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    Dim lanes = lanes_of(operands, axes);
    array x = batch_first(operands[0], axes[0], lanes);
    array update = batch_first(operands[1], axes[1], lanes);
    return {{write_part(x, update, prepended(0, start_), prepended(1, strides_))}, {0}};
  }

 private:
  // Whether to leave out the update's place: the host does, where the update is most of the result.
  bool only_around(const array& x, const array& update, const Kernels& kernels) const {
    constexpr int64_t worth_it = 1 << 14;
    return kernels.device() == Device::cpu && size_of(x.shape()) >= worth_it &&
           part().is_most_of(x.shape(), update.shape());
  }
  // Along each axis what is before and behind the update, as wide as that along the axes before.
  void fill_around(const array& x, const array& update, const array& y, Kernels& kernels) const {
    Sizes first(start_.size(), 0), sizes = sizes_of(y.shape());
    auto fill = [&](size_t d, int64_t from, int64_t count) {
      if (count > 0) {
        Sizes box = sizes;
        box[d] = count;
        auto box_of = [&](const array& whole) {
          int64_t offset = from * whole.strides()[d];
          for (size_t i = 0; i < d; ++i) {
            offset += first[i] * whole.strides()[i];
          }
          return whole.view().laid_out(box, whole.strides(), offset);
        };
        kernels.run(kernel::Copy{box_of(x), box_of(y)});
      }
    };
    for (size_t d = 0; d < sizes.size(); ++d) {
      int64_t whole = sizes[d], start = start_[d], count = update.shape()[d];
      fill(d, 0, start);
      fill(d, start + count, whole - start - count);
      first[d] = start;
      sizes[d] = count;
    }
  }

  Shape start_, strides_;
};

namespace {

array read_part(const array& x, Shape start, Shape shape, Shape strides) {
  Spec spec{shape, x.dtype()};
  return array::make(
      make_primitive<Slice>(std::move(start), std::move(shape), std::move(strides)), std::move(spec), {x});
}
array write_part(const array& x, const array& update, Shape start, Shape strides) {
  return applied(make_primitive<SliceUpdate>(std::move(start), std::move(strides)), {x, update});
}

} // namespace

bool WrittenPart::has_no_gaps() const {
  return std::all_of(strides.begin(), strides.end(), [](const Dim& stride) { return stride == 1; });
}
bool WrittenPart::is_most_of(const Shape& whole, const Shape& part) const {
  return has_no_gaps() && is_known(whole) && is_known(part) && is_known(start) && 2 * size_of(part) >= size_of(whole);
}
int64_t WrittenPart::offset_in(const Strides& whole) const {
  int64_t offset = 0;
  for (size_t i = 0; i < start.size(); ++i) {
    offset += static_cast<int64_t>(start[i]) * whole[i];
  }
  return offset;
}
Strides WrittenPart::strides_in(const Strides& whole) const {
  Strides out = whole;
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] *= static_cast<int64_t>(strides[i]);
  }
  return out;
}

std::optional<WrittenPart> written_part(const Primitive& primitive) {
  bool may_be = primitive.eval_kind() == EvalKind::general; // asked first: of each node that is differentiated
  const auto* update = may_be ? dynamic_cast<const SliceUpdate*>(&primitive) : nullptr;
  return update ? std::optional(update->part()) : std::nullopt;
}

std::optional<WrittenPart> read_part(const Primitive& primitive) {
  bool may_be = primitive.eval_kind() == EvalKind::view;
  const auto* slice = may_be ? dynamic_cast<const Slice*>(&primitive) : nullptr;
  return slice ? std::optional(slice->part()) : std::nullopt;
}

array slice(const array& a, Shape start, Shape stop, Shape strides, StreamOrDevice s) {
  StreamScope on(s);
  Part part = resolve("slice", a.shape(), start, stop, std::move(strides));
  bool all = surely_equal(part.shape, a.shape());
  for (size_t i = 0; all && i < part.strides.size(); ++i) {
    all = surely_equal(part.strides[i], 1) || surely_equal(part.shape[i], 0);
  }
  return all ? a : read_part(a, std::move(part.start), std::move(part.shape), std::move(part.strides));
}
array slice(const array& a, Shape start, Shape stop, StreamOrDevice s) {
  return slice(a, std::move(start), std::move(stop), unit_strides(a), s);
}

array slice_update(
    const array& src, const array& update, Shape start, Shape stop, Shape strides, StreamOrDevice s) try {
  StreamScope on(s);
  Part part = resolve("slice_update", src.shape(), start, stop, std::move(strides));
  array value = astype(update, src.dtype());
  bool fits = value.ndim() <= src.ndim();
  for (size_t i = value.shape().size(), k = part.shape.size(); fits && i-- > 0;) {
    fits = value.shape()[i] == part.shape[--k] || value.shape()[i] == 1;
  }
  if (!fits) {
    fail("slice_update", "an update of shape ", update.shape(), " cannot be broadcast to the part's shape ", part.shape,
        ".");
  }
  value = broadcast_to(value, part.shape);
  return write_part(src, value, std::move(part.start), std::move(part.strides));
} catch (const SizeError& error) {
  error.rethrow_in("slice_update");
}
array slice_update(const array& src, const array& update, Shape start, Shape stop, StreamOrDevice s) {
  return slice_update(src, update, std::move(start), std::move(stop), unit_strides(src), s);
}

std::span<const OpInfo* const> slice_ops() {
  static constexpr const OpInfo* ops[] = {&Slice::info, &SliceUpdate::info};
  return ops;
}

namespace {

// The bounds that select elements start + i * stride, i < count, along each axis.
Shape stops(const Shape& start, const Shape& count, const Shape& strides, const Shape& whole) {
  Parts::require(start.size() == whole.size() && count.size() == whole.size() && strides.size() == whole.size(),
      "a slice has bounds for another number of axes.");
  Shape out(whole.size(), 0);
  for (size_t i = 0; i < whole.size(); ++i) {
    int64_t first = start[i], n = count[i], step = strides[i], length = whole[i], last = 0, stop = 0;
    Parts::require(n >= 0 && (n == 0 || (first >= 0 && first < length)), "a slice begins outside of its array.");
    Parts::require(!__builtin_mul_overflow(n - 1, step, &last) && !__builtin_add_overflow(first, last, &last) &&
                       !__builtin_add_overflow(last, step > 0 ? 1 : -1, &stop),
        "the bounds of a slice are too large.");
    Parts::require(n == 0 || (last >= 0 && last < length), "a slice ends outside of its array.");
    out[i] = n == 0 ? first : stop < 0 ? -length - 1 : stop;
  }
  return out;
}

} // namespace

std::span<const Remake> slice_remakes() {
  using A = std::vector<array>;
  static constexpr Remake rows[] = {
      {"Slice",
          [](const Parts& p) {
            Shape start = p.shape("start"), strides = p.shape("strides");
            return A{slice(p[0], start, stops(start, p.shape("shape"), strides, p[0].shape()), strides)};
          }},
      {"SliceUpdate",
          [](const Parts& p) {
            Shape start = p.shape("start"), strides = p.shape("strides");
            return A{slice_update(p[0], p[1], start, stops(start, p[1].shape(), strides, p[0].shape()), strides)};
          }},
      {"AddedParts", remade_sum_of_parts},
  };
  return rows;
}

} // namespace mlx::core
