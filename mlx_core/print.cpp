// The text of an array, as MLX prints it.
#include "mlx_core/print.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>

#include "mlx_core/error.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms.h"

namespace mlx::core {

namespace {

thread_local PrintOptions options;

// Longer axes show three elements at each end.
constexpr int64_t edge = 3;

class Text {
 public:
  explicit Text(const array& a) : a_(a), data_(static_cast<const char*>(a.raw_data())) {}

  std::string value() {
    constexpr int most_axes = 1000; // which are as many calls in each other
    if (a_.ndim() > most_axes) {
      fail("repr", "the array has ", a_.ndim(), " axes; the most that are printed is ", most_axes,
          ". Flatten it first.");
    }
    subarray(0, 0);
    return std::move(out_);
  }

 private:
  void subarray(int axis, int64_t index) {
    if (axis == a_.ndim()) {
      element(data_ + index * a_.itemsize());
      return;
    }
    if (out_.size() > longest) {
      fail("repr", "the text of an array of shape ", a_.shape(), " would be longer than ", longest, " characters.");
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
      out_ += std::to_string(static_cast<uint64_t>(load_int(from, dtype)));
    } else if (dtype.is_signed()) {
      out_ += std::to_string(load_int(from, dtype));
    } else if (dtype.is_floating()) {
      number(load_complex(from, dtype).real());
    } else {
      complex128_t z = load_complex(from, dtype);
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
    int n = options.precision < 0 ? std::snprintf(text, sizeof text, "%g", value)
                                  : std::snprintf(text, sizeof text, "%.*f", options.precision, value);
    out_.append(text, std::min(static_cast<size_t>(n), sizeof text - 1));
  }

  static constexpr size_t longest = size_t{1} << 28; // six elements an axis are soon too many

  const array& a_;
  const char* data_;
  std::string out_;
};

} // namespace

void set_printoptions(PrintOptions wanted) {
  if (wanted.precision > 100) {
    fail("printoptions", "precision is ", wanted.precision, "; the most is 100.");
  }
  options = wanted;
}

PrintOptions get_printoptions() { return options; }

std::string to_string(const array& a) {
  std::optional<BatchedView> batched = a.node()->level != 0 ? batched_view(a) : std::nullopt;
  const array& shown = batched ? batched->value : a;
  try {
    shown.eval();
  } catch (const NoValue&) {
    return "array(<no value: of a function that is recorded>, shape=" + to_string(a.shape()) +
           ", dtype=" + std::string(name_of(a.dtype())) + ")";
  }
  std::string text = "array(" + Text(shown).value() + ", dtype=" + std::string(name_of(a.dtype()));
  if (batched) {
    // Inside vmap: the leading axes are the lanes.
    Shape lanes(batched->lanes.begin(), batched->lanes.end());
    text += ", lanes=" + to_string(lanes);
  }
  return text + ")";
}

std::ostream& operator<<(std::ostream& os, const array& a) { return os << to_string(a); }
std::ostream& operator<<(std::ostream& os, Device device) { return os << to_string(device); }
std::ostream& operator<<(std::ostream& os, Stream stream) { return os << to_string(stream); }

} // namespace mlx::core
