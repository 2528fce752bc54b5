// The text of an array, as MLX prints it, and the print options.
#include "python/src/array_print.h"

#include <cmath>
#include <cstdio>
#include <cstring>

#include "mlx_core/error.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms.h"
#include "python/src/convert.h"
#include "python/src/descent.h"

namespace mlx::python {

namespace {

// Digits after the point; negative is six significant digits, as C++ streams print.
thread_local int precision = -1;

// Longer axes show three elements at each end.
constexpr int64_t edge = 3;

class Text {
 public:
  explicit Text(const array& a) : a_(a), data_(static_cast<const char*>(a.raw_data())) {}

  std::string value() {
    subarray(0, 0);
    return std::move(out_);
  }

 private:
  void subarray(int axis, int64_t index) {
    if (axis == a_.ndim()) {
      element(data_ + index * a_.itemsize());
      return;
    }
    Descent guard(" while printing an array with many axes");
    if (out_.size() > longest) {
      core::fail(
          "repr", "the text of an array of shape ", a_.shape(), " would be longer than ", longest, " characters.");
    }
    bool last = axis == a_.ndim() - 1;
    int64_t n = a_.shape(axis), stride = a_.strides()[static_cast<size_t>(axis)];
    out_ += '[';
    for (int64_t i = 0; i < n; ++i) {
      if (i > 0) {
        out_ += last ? ", " : ",\n" + std::string(static_cast<size_t>(7 + axis), ' ');
      }
      if (i == edge && n > 2 * edge) {
        out_ += "...";
        i = n - edge - 1;
      } else {
        subarray(axis + 1, index + i * stride);
      }
    }
    out_ += ']';
  }

  void element(const char* from) {
    Dtype dtype = a_.dtype();
    if (dtype.is_bool()) {
      out_ += *from ? "True" : "False";
    } else if (dtype.is_unsigned()) {
      out_ += std::to_string(static_cast<uint64_t>(core::load_int(from, dtype)));
    } else if (dtype.is_signed()) {
      out_ += std::to_string(core::load_int(from, dtype));
    } else if (dtype.is_floating()) {
      number(core::load_complex(from, dtype).real());
    } else {
      core::complex128_t z = core::load_complex(from, dtype);
      number(z.real());
      if (z.imag() >= 0 || std::isnan(z.imag())) { // -0.0 too: "0+-0j", as MLX has it
        out_ += '+';
      }
      number(z.imag());
      out_ += 'j';
    }
  }

  void number(double value) {
    if (std::isnan(value)) { // whatever its sign bit
      out_ += "nan";
      return;
    }
    char text[512];
    int n = precision < 0 ? std::snprintf(text, sizeof text, "%g", value)
                          : std::snprintf(text, sizeof text, "%.*f", precision, value);
    out_.append(text, std::min(static_cast<size_t>(n), sizeof text - 1));
  }

  static constexpr size_t longest = size_t{1} << 28; // six elements an axis are soon too many

  const array& a_;
  const char* data_;
  std::string out_;
};

// `with mx.printoptions(precision=3):`
class PrintOptions {
 public:
  explicit PrintOptions(int digits) : inside_(digits) {}
  void enter() { outside_ = std::exchange(precision, inside_); }
  void exit() { precision = outside_; }

 private:
  int inside_;
  int outside_ = -1;
};

int checked_precision(int digits) {
  if (digits > 100) {
    core::fail("printoptions", "precision is ", digits, "; the most is 100.");
  }
  return digits;
}

} // namespace

std::string to_text(const array& a) {
  std::optional<core::BatchedView> batched = a.node()->level != 0 ? core::batched_view(a) : std::nullopt;
  array shown = batched ? batched->value : a; // another thread may rebind the handle while it is evaluated
  try {
    evaluate(shown);
  } catch (const core::NoValue&) {
    return "array(<no value: of a function that is recorded>, shape=" + core::to_string(a.shape()) +
           ", dtype=" + std::string(core::name_of(a.dtype())) + ")";
  }
  std::string text = "array(" + Text(shown).value() + ", dtype=" + std::string(core::name_of(a.dtype()));
  if (batched) {
    // Inside vmap: the leading axes are the lanes.
    Shape lanes(batched->lanes.begin(), batched->lanes.end());
    text += ", lanes=" + core::to_string(lanes);
  }
  return text + ")";
}

void bind_print_options(nb::module_& m) {
  m.def(
      "set_printoptions", [](int digits) { precision = checked_precision(digits); }, nb::arg("precision") = -1,
      R"(Prints arrays with this many digits after the point from now on, in this thread.

``precision=-1``, the default, prints six significant digits.)");
  nb::class_<PrintOptions>(m, "_PrintOptionsContext")
      .def("__enter__",
          [](nb::object self) {
            nb::cast<PrintOptions&>(self).enter();
            return self;
          })
      .def(
          "__exit__", [](PrintOptions& self, const nb::args&) { self.exit(); },
          nb::sig("def __exit__(self, exc_type: type | None = None, exc_value: object | None = None, "
                  "traceback: object | None = None) -> None"));
  m.def(
      "printoptions", [](int digits) { return PrintOptions(checked_precision(digits)); }, nb::arg("precision") = -1,
      nb::sig("def printoptions(precision: int = -1) -> contextlib.AbstractContextManager[object]"),
      R"(A context in which arrays print with this many digits after the point::

    with mx.printoptions(precision=3):
        print(x)
)");
}

} // namespace mlx::python
