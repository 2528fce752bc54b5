// Fourier transforms along one axis, and along several as one after the other.
#include <algorithm>
#include <cmath>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/fft/fft.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/shape/size_number.h"

namespace mlx::core::fft {

namespace {

array transformed(const array& a, int axis, Kind kind, bool inverse, Dim n, int divisions);

// The sums over j of x[j] exp(-+ 2 pi i j k / n) along an axis, divided by the root of n so many times. Complex in
// both directions; from n real elements to n / 2 + 1 forwards, and back from these inversely.
class Fft final : public Linear {
 public:
  Fft(int axis, Kind kind, bool inverse, Dim n, int divisions)
      : axis_(axis), kind_(kind), inverse_(inverse), n_(n), divisions_(divisions) {}
  const char* name() const override { return "Fft"; }
  Dependence dependence() const override { return Dependence::contracts_axes; }
  void visit(ParamVisitor& v) const override {
    v("axis", axis_);
    v("kind", kind_ == Kind::complex ? "complex" : kind_ == Kind::from_real ? "from_real" : "to_real");
    v("inverse", inverse_);
    v("n", n_);
    v("divisions", divisions_);
  }
  int reusable_operand() const override { return kind_ == Kind::complex ? 0 : -1; }
  Specs infer(Operands operands) const override {
    const array& x = operands[0];
    Shape shape = x.shape();
    auto at = static_cast<size_t>(axis_);
    if (kind_ == Kind::from_real) {
      shape[at] = n_ / 2 + 1;
      return {Spec{std::move(shape), complex_of(x.dtype())}};
    }
    shape[at] = n_;
    return {Spec{std::move(shape), kind_ == Kind::to_real ? real_of(x.dtype()) : x.dtype()}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    const array& x = operands[0];
    array& y = outputs[0];
    auto at = static_cast<size_t>(axis_);
    int64_t n = kind_ == Kind::to_real ? y.shape()[at] : x.shape()[at];
    double scale =
        divisions_ == 0 ? 1 : 1 / (divisions_ == 1 ? std::sqrt(static_cast<double>(n)) : static_cast<double>(n));
    bool taken = kind_ == Kind::complex && y.take_over(x);
    if (!taken) {
      y.allocate();
    }
    kernels.run(kernel::Fft{taken ? y.view() : x.view(), axis_, inverse_, scale, y.view()});
  }
  // The conjugate transpose, as cotangents go by conjugates. An output of a real transform stands for two where its
  // conjugate is left out.
  array transpose(const array& cotangent, const array&) const override {
    if (kind_ == Kind::complex) {
      return transformed(cotangent, axis_, kind_, !inverse_, n_, divisions_);
    }
    bool back = kind_ == Kind::from_real;
    Dtype dtype = real_of(cotangent.dtype());
    array weights = half_weights(n_, axis_, cotangent.ndim(), back ? 0.5 : 2, dtype);
    if (back) {
      return transformed(multiply(cotangent, weights), axis_, Kind::to_real, true, n_, divisions_);
    }
    return multiply(transformed(cotangent, axis_, Kind::from_real, false, n_, divisions_), weights);
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    int batch = *axes[0], axis = axis_ + (axis_ >= batch ? 1 : 0);
    return {{transformed(operands[0], axis, kind_, inverse_, n_, divisions_)}, {batch}};
  }

 private:
  int axis_;
  Kind kind_;
  bool inverse_;
  Dim n_; // real elements, or complex ones
  int divisions_;
};

array transformed(const array& a, int axis, Kind kind, bool inverse, Dim n, int divisions) {
  return applied(make_primitive<Fft>(axis, kind, inverse, n, divisions), {a});
}

int divisions_of(FFTNorm norm, bool inverse) {
  return norm == FFTNorm::Ortho ? 1 : (norm == FFTNorm::Backward) == inverse ? 2 : 0;
}

// The dtype that is transformed: of 16 and of fewer bits and of integers, in float32.
array converted(const array& a, Kind kind) {
  Dtype real = a.dtype() == float64 || a.dtype() == complex128 ? float64 : float32;
  if (kind == Kind::from_real) {
    array parts = a.dtype().is_complex() ? mlx::core::real(a) : a;
    return astype(parts, real);
  }
  return astype(a, complex_of(real));
}

// Cut, or with zeros behind.
array with_length(const char* op, const array& a, int axis, Dim n) {
  auto at = static_cast<size_t>(axis);
  Dim length = a.shape()[at];
  if (n == length) {
    return a;
  }
  if (n < length) {
    Shape start(a.shape().size(), 0), stop = a.shape();
    stop[at] = n;
    return slice(a, std::move(start), std::move(stop));
  }
  Shape padded = a.shape();
  padded[at] = n;
  check_shape(op, padded);
  return pad(a, {axis}, {0}, {n - length}, array(0, a.dtype()));
}

Dim checked_length(const Transform& t, const array& a, std::optional<Dim> n, int axis) {
  Dim length = a.shape()[static_cast<size_t>(axis)];
  if (!n) {
    Dim own = t.kind == Kind::to_real ? 2 * (length - 1) : length;
    if (own < 1) {
      fail(t.op, "axis ", axis, " of shape ", a.shape(),
          t.kind == Kind::to_real ? " stands for no real elements" : " has no elements",
          "; give the number of them, n.");
    }
    return own;
  }
  if (!n->is_symbolic() && *n < 1) {
    fail(t.op, "n is ", *n, "; a transform has at least one element.");
  }
  return *n;
}

array along(const Transform& t, const array& a, Dim n, int axis, FFTNorm norm) {
  Dim inputs = t.kind == Kind::to_real ? n / 2 + 1 : n;
  return transformed(
      with_length(t.op, converted(a, t.kind), axis, inputs), axis, t.kind, t.inverse, n, divisions_of(norm, t.inverse));
}

FFTNorm reversed(FFTNorm norm) {
  return norm == FFTNorm::Backward ? FFTNorm::Forward : norm == FFTNorm::Forward ? FFTNorm::Backward : norm;
}

} // namespace

array half_weights(Dim n, int axis, int ndim, double others, Dtype dtype) {
  Dim half = n / 2 + 1;
  array place = position_numbers({half});
  array alone = equal(place, array(0, place.dtype()));
  if ((n - n / 2 * 2) == 0) {
    alone = logical_or(alone, equal(multiply(place, array(2, place.dtype())), size_number(n, place.dtype())));
  }
  Shape shape(static_cast<size_t>(ndim), 1);
  shape[static_cast<size_t>(axis)] = half;
  return reshape(where(alone, array(1, dtype), array(others, dtype)), shape);
}

array along_axis(const Transform& t, const array& a, std::optional<Dim> n, int axis, FFTNorm norm) try {
  int at = normalize_axis(t.op, axis, a.ndim());
  return along(t, a, checked_length(t, a, n, at), at, norm);
} catch (const SizeError& error) {
  error.rethrow_in(t.op);
}

array along_axes(const Transform& t, const array& a, const std::optional<Shape>& s, const std::optional<Axes>& axes,
    FFTNorm norm) try {
  Axes over;
  if (axes) {
    normalize_axes(t.op, *axes, a.ndim()); // throws when one is repeated
    for (int axis : *axes) {
      over.push_back(normalize_axis(t.op, axis, a.ndim()));
    }
  } else {
    int count = s ? static_cast<int>(s->size()) : a.ndim();
    for (int axis = a.ndim() - count; axis < a.ndim(); ++axis) {
      over.push_back(axis);
    }
  }
  if (s && (s->size() != over.size() || static_cast<int>(over.size()) > a.ndim())) {
    fail(t.op, "s ", *s, " has ", s->size(), " lengths, but there are ", axes ? over.size() : a.shape().size(),
        " axes to transform of shape ", a.shape(), "; give one for each.");
  }
  if (over.empty()) {
    if (t.kind != Kind::complex) {
      fail(t.op, "there is no axis to transform of shape ", a.shape(), "; give at least one.");
    }
    return converted(a, t.kind);
  }
  auto length = [&](size_t i, Kind kind) {
    std::optional<Dim> n;
    if (s && !((*s)[i] == -1)) {
      n = (*s)[i];
    }
    return checked_length({t.op, kind, t.inverse}, a, n, over[i]);
  };
  size_t last = over.size() - 1;
  Dim last_length = length(last, t.kind);
  // The real axis is the last one, transformed first forwards and last inversely.
  array y = t.kind == Kind::to_real ? a : along(t, a, last_length, over[last], norm);
  for (size_t i = last; i-- > 0;) {
    y = along({t.op, Kind::complex, t.inverse}, y, length(i, Kind::complex), over[i], norm);
  }
  return t.kind == Kind::to_real ? along(t, y, last_length, over[last], norm) : y;
} catch (const SizeError& error) {
  error.rethrow_in(t.op);
}

// ---- the public functions ----

#define MLX_FFT_ALONG_AXIS(function, kind, inverse)                                 \
  array function(const array& a, Dim n, int axis, FFTNorm norm, StreamOrDevice s) { \
    StreamScope on(s);                                                              \
    return along_axis({"fft." #function, kind, inverse}, a, n, axis, norm);         \
  }                                                                                 \
  array function(const array& a, int axis, FFTNorm norm, StreamOrDevice s) {        \
    StreamScope on(s);                                                              \
    return along_axis({"fft." #function, kind, inverse}, a, {}, axis, norm);        \
  }
MLX_FFT_ALONG_AXIS(fft, Kind::complex, false)
MLX_FFT_ALONG_AXIS(ifft, Kind::complex, true)
MLX_FFT_ALONG_AXIS(rfft, Kind::from_real, false)
MLX_FFT_ALONG_AXIS(irfft, Kind::to_real, true)

static array hermitian(const array& a, std::optional<Dim> n, int axis, FFTNorm norm) {
  return along_axis({"fft.hfft", Kind::to_real, true}, conj_of(a), n, axis, reversed(norm));
}
static array inverse_hermitian(const array& a, std::optional<Dim> n, int axis, FFTNorm norm) {
  return conjugate(along_axis({"fft.ihfft", Kind::from_real, false}, a, n, axis, reversed(norm)));
}
array hfft(const array& a, Dim n, int axis, FFTNorm norm, StreamOrDevice s) {
  StreamScope on(s);
  return hermitian(a, n, axis, norm);
}
array hfft(const array& a, int axis, FFTNorm norm, StreamOrDevice s) {
  StreamScope on(s);
  return hermitian(a, {}, axis, norm);
}
array ihfft(const array& a, Dim n, int axis, FFTNorm norm, StreamOrDevice s) {
  StreamScope on(s);
  return inverse_hermitian(a, n, axis, norm);
}
array ihfft(const array& a, int axis, FFTNorm norm, StreamOrDevice s) {
  StreamScope on(s);
  return inverse_hermitian(a, {}, axis, norm);
}

#define MLX_FFT_ALONG_AXES(function, kind, inverse)                                                  \
  array function(const array& a, const Shape& n, const Axes& axes, FFTNorm norm, StreamOrDevice s) { \
    StreamScope on(s);                                                                               \
    return along_axes({"fft." #function, kind, inverse}, a, n, axes, norm);                          \
  }                                                                                                  \
  array function(const array& a, const Axes& axes, FFTNorm norm, StreamOrDevice s) {                 \
    StreamScope on(s);                                                                               \
    return along_axes({"fft." #function, kind, inverse}, a, {}, axes, norm);                         \
  }
#define MLX_FFT_ALONG_ALL_AXES(function, kind, inverse)                    \
  MLX_FFT_ALONG_AXES(function, kind, inverse)                              \
  array function(const array& a, FFTNorm norm, StreamOrDevice s) {         \
    StreamScope on(s);                                                     \
    return along_axes({"fft." #function, kind, inverse}, a, {}, {}, norm); \
  }
MLX_FFT_ALONG_ALL_AXES(fftn, Kind::complex, false)
MLX_FFT_ALONG_ALL_AXES(ifftn, Kind::complex, true)
MLX_FFT_ALONG_ALL_AXES(rfftn, Kind::from_real, false)
MLX_FFT_ALONG_ALL_AXES(irfftn, Kind::to_real, true)
MLX_FFT_ALONG_AXES(fft2, Kind::complex, false)
MLX_FFT_ALONG_AXES(ifft2, Kind::complex, true)
MLX_FFT_ALONG_AXES(rfft2, Kind::from_real, false)
MLX_FFT_ALONG_AXES(irfft2, Kind::to_real, true)

// ---- what they are ----

namespace {

#define MLX_FFT_COMMON                                                                                          \
  "norm says which direction is divided by the number of elements: \"backward\" (the inverse one), \"ortho\" "  \
  "(both, by its square root) or \"forward\". float64 and complex128 are transformed as such, other dtypes in " \
  "float32."
#define MLX_FFT_ONE                                                                                      \
  "The axis is cut, or padded with zeros, to n elements where n is given. Any length takes O(n log n). " \
  "Raises ValueError for n < 1, an axis without elements, and an unknown norm. " MLX_FFT_COMMON
#define MLX_FFT_MANY                                                                                                 \
  "s has a length for each of axes, to which it is cut or padded with zeros; -1 is the length it has. Without axes " \
  "the "                                                                                                             \
  "last ones are transformed, as many as s has, or all of them. Raises ValueError for repeated axes, for lengths "   \
  "below 1, "                                                                                                        \
  "and where s and axes differ in number. " MLX_FFT_COMMON

#define MLX_FFT_INFO(function, summary_text, details_text, example_text) \
  constexpr OpInfo function##_info{.name = "fft." #function,             \
      .summary = summary_text,                                           \
      .accepts = Dtypes::inexact,                                        \
      .example = example_text,                                           \
      .details = details_text};

MLX_FFT_INFO(fft, "The discrete Fourier transform along an axis: sums of a[j] exp(-2 pi i j k / n).", MLX_FFT_ONE,
    ">>> mx.fft.fft(mx.array([1.0, 0.0, 0.0, 1.0]))\narray([2+0j, 1+1j, 0+0j, 1-1j], dtype=complex64)")
MLX_FFT_INFO(ifft, "The inverse discrete Fourier transform along an axis: sums of a[j] exp(2 pi i j k / n) / n.",
    MLX_FFT_ONE, ">>> mx.fft.ifft(mx.array([2.0, 0.0]))\narray([1+0j, 1+0j], dtype=complex64)")
MLX_FFT_INFO(rfft, "The Fourier transform of real elements along an axis: its first n / 2 + 1 outputs.",
    "The others are conjugates of these. Of complex elements the real parts are taken. " MLX_FFT_ONE,
    ">>> mx.fft.rfft(mx.array([1.0, 0.0, 0.0, 1.0]))\narray([2+0j, 1+1j, 0+0j], dtype=complex64)")
MLX_FFT_INFO(irfft, "The inverse of rfft: n real elements from n / 2 + 1 outputs.",
    "n is 2 (length - 1) unless it is given; give an odd one. Imaginary parts at frequency 0, and at that of n / 2, "
    "are "
    "not read. " MLX_FFT_ONE,
    ">>> mx.fft.irfft(mx.array([4.0, 0.0, 0.0]))\narray([1, 1, 1, 1], dtype=float32)")
MLX_FFT_INFO(hfft,
    "The real Fourier transform of n elements of which n / 2 + 1 are given, the others being their conjugates.",
    "n is 2 (length - 1) unless it is given. " MLX_FFT_ONE,
    ">>> mx.fft.hfft(mx.array([1.0, 0.0, 0.0]))\narray([1, 1, 1, 1], dtype=float32)")
MLX_FFT_INFO(ihfft, "The inverse of hfft: n / 2 + 1 elements from n real outputs.", MLX_FFT_ONE,
    ">>> mx.fft.ihfft(mx.ones(4)).shape\n(3,)")
MLX_FFT_INFO(fft2, "The Fourier transform along two axes, the last ones unless others are given.", MLX_FFT_MANY,
    ">>> mx.fft.fft2(mx.ones((2, 2)))\narray([[4+0j, 0+0j],\n       [0+0j, 0+0j]], dtype=complex64)")
MLX_FFT_INFO(ifft2, "The inverse Fourier transform along two axes, the last ones unless others are given.",
    MLX_FFT_MANY, ">>> mx.fft.ifft2(mx.ones((2, 2)))\narray([[1+0j, 0+0j],\n       [0+0j, 0+0j]], dtype=complex64)")
MLX_FFT_INFO(rfft2, "The Fourier transform of real elements along two axes; the last has its first n / 2 + 1 outputs.",
    MLX_FFT_MANY, ">>> mx.fft.rfft2(mx.ones((2, 4))).shape\n(2, 3)")
MLX_FFT_INFO(irfft2, "The inverse of rfft2.", MLX_FFT_MANY,
    ">>> mx.fft.irfft2(mx.ones((2, 2)))\narray([[1, 0],\n       [0, 0]], dtype=float32)")
MLX_FFT_INFO(fftn, "The Fourier transform along several axes.", MLX_FFT_MANY,
    ">>> mx.fft.fftn(mx.ones((2, 2)))\narray([[4+0j, 0+0j],\n       [0+0j, 0+0j]], dtype=complex64)")
MLX_FFT_INFO(ifftn, "The inverse Fourier transform along several axes.", MLX_FFT_MANY,
    ">>> mx.fft.ifftn(mx.ones((2, 2)))\narray([[1+0j, 0+0j],\n       [0+0j, 0+0j]], dtype=complex64)")
MLX_FFT_INFO(rfftn,
    "The Fourier transform of real elements along several axes; the last has its first n / 2 + 1 outputs.",
    MLX_FFT_MANY, ">>> mx.fft.rfftn(mx.ones((2, 3, 4))).shape\n(2, 3, 3)")
MLX_FFT_INFO(irfftn, "The inverse of rfftn.", MLX_FFT_MANY,
    ">>> mx.fft.irfftn(mx.ones((2, 2)))\narray([[1, 0],\n       [0, 0]], dtype=float32)")

} // namespace

} // namespace mlx::core::fft

namespace mlx::core {

std::span<const OpInfo* const> fft_ops() {
  using namespace fft;
  static constexpr const OpInfo* ops[] = {&fft_info, &ifft_info, &rfft_info, &irfft_info, &hfft_info, &ihfft_info,
      &fft2_info, &ifft2_info, &rfft2_info, &irfft2_info, &fftn_info, &ifftn_info, &rfftn_info, &irfftn_info};
  return ops;
}

std::span<const Remake> fft_remakes() {
  static constexpr Remake rows[] = {
      {"Fft", [](const Parts& p) {
         using namespace fft;
         const std::string& kind = p.text("kind");
         int divisions = p.integer("divisions");
         bool inverse = p.flag("inverse"), real = kind == "from_real";
         Parts::require(kind == "complex" || real || kind == "to_real", "a transform is of no known kind.");
         Parts::require(divisions >= 0 && divisions <= 2, "a transform is divided more often than twice.");
         Parts::require(kind == "complex" || inverse != real, "a real transform has the other direction.");
         Parts::require(real ? p[0].dtype().is_floating() && p[0].itemsize() >= 4 : p[0].dtype().is_complex(),
             "a transform is of another dtype.");
         Transform t{"fft", kind == "complex" ? Kind::complex : real ? Kind::from_real : Kind::to_real, inverse};
         FFTNorm norm = divisions == 1                ? FFTNorm::Ortho
                        : (divisions == 2) == inverse ? FFTNorm::Backward
                                                      : FFTNorm::Forward;
         Dim n = p.size("n");
         int axis = p.integer("axis");
         Parts::require(axis >= 0 && axis < p[0].ndim(), "a transform is along an axis that is not there.");
         Dim inputs = kind == "to_real" ? n / 2 + 1 : n;
         Parts::require(inputs == p[0].shape()[static_cast<size_t>(axis)], "a transform is of another length.");
         return std::vector<array>{along_axis(t, p[0], n, axis, norm)};
       }}};
  return rows;
}

} // namespace mlx::core
