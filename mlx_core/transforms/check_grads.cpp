// Derivatives against differences: jvp against five-point central differences, vjp against jvp by inner products.
#include "mlx_core/check_grads.h"

#include <algorithm>
#include <cmath>

#include "mlx_core/ops.h"
#include "mlx_core/random.h"
#include "mlx_core/transforms/recording.h"

namespace mlx::core {

namespace {

// What a dtype's rounding allows. The step balances rounding, of order 1/eps, with the formula's error, of order eps^4.
struct Precision {
  double step, tolerance;
};
Precision precision_of(Dtype dtype) {
  switch (real_of(dtype).val) {
    case Dtype::Val::float64: return {1e-4, 1e-6};
    case Dtype::Val::float32: return {1e-2, 2e-3};
    case Dtype::Val::float16: return {1e-1, 5e-2};
    default: return {0.25, 0.2};
  }
}
Precision coarser(Precision a, Precision b) { return a.tolerance > b.tolerance ? a : b; }

using Names = std::vector<std::string>;

// A function on the way to a higher derivative.
struct Subject {
  VectorFunction fun;
  Names outputs;
  std::string history; // " of the vjp": how it was made of the user's function
  int order;           // of the derivatives to check
};

std::string element_at(const Shape& shape, int64_t flat) {
  Axes index(shape.size());
  for (size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = static_cast<int>(flat % shape[axis]);
    flat /= shape[axis];
  }
  return shape.empty() ? "" : " at index " + to_string(index);
}

const char* remedy(double expected) {
  return std::isfinite(expected) ? "" : " Nothing is measured here: choose args around which the function is finite.";
}

std::string number(complex128_t z, bool complex) {
  std::ostringstream text;
  text.precision(9);
  text << (std::isnan(z.real()) ? NAN : z.real()); // no "-nan"
  if (complex) {
    text << (std::signbit(z.imag()) ? "-" : "+") << std::abs(z.imag()) << "j";
  }
  return text.str();
}

array wide(const array& a) { return astype(a, a.dtype().is_complex() ? complex128 : float64); }

std::vector<complex128_t> values_of(const array& a) {
  array whole = contiguous(astype(a, complex128));
  whole.eval();
  const auto* data = whole.data<complex128_t>();
  return {data, data + static_cast<int64_t>(whole.size())};
}

class GradientCheck {
 public:
  GradientCheck(const std::vector<array>& primals, const CheckGradsOptions& options, Names names)
      : primals_(primals), options_(options), names_(std::move(names)) {}

  void run(const Subject& subject) {
    {
      Recording recording(subject.fun, primals_, options_.reverse);
      Tangents cotangents;
      for (const array& output : recording.outputs()) {
        cotangents.push_back(output.dtype().is_inexact() ? Tangent(direction(output)) : std::nullopt);
      }
      Tangents pulled = options_.reverse ? recording.pull(cotangents) : Tangents(primals_.size());
      for (size_t i = 0; i < primals_.size(); ++i) {
        if (primals_[i].dtype().is_inexact()) {
          check_primal(subject, recording, i, cotangents, pulled[i]);
        }
      }
    }
    if (subject.order < options_.order) {
      if (options_.forward) {
        run(pushed(subject));
      }
      if (options_.reverse) {
        run(pulled(subject));
      }
    }
  }

 private:
  // Uniform in [-1, 1), of both parts; the implicit sequence of keys is left alone.
  array direction(const array& like) {
    Dtype real = real_of(like.dtype());
    auto part = [&] {
      return random::uniform(array(-1.0, real), array(1.0, real), like.shape(), real, random::key(++directions_));
    };
    return like.dtype().is_complex() ? astype(make_complex(part(), part()), like.dtype()) : part();
  }

  // (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h, for each output; zeros for those without derivatives.
  std::vector<array> differences(const Subject& subject, size_t primal, const array& tangent, double step) const {
    auto at = [&](double h) {
      std::vector<array> moved(primals_);
      moved[primal] = add(primals_[primal], multiply(tangent, array(h, tangent.dtype())));
      return subject.fun(moved);
    };
    std::vector<array> a = at(step), b = at(-step), c = at(2 * step), d = at(-2 * step), out;
    for (size_t o = 0; o < a.size(); ++o) {
      array near = subtract(wide(a[o]), wide(b[o])), far = subtract(wide(c[o]), wide(d[o]));
      out.push_back(divide(subtract(multiply(array(8.0, near.dtype()), near), far), array(12 * step, near.dtype())));
    }
    return out;
  }

  void check_primal(const Subject& subject, const Recording& recording, size_t primal, const Tangents& cotangents,
      const Tangent& pulled) {
    const std::vector<array>& outputs = recording.outputs();
    Precision precision = precision_of(primals_[primal].dtype());
    for (const array& output : outputs) {
      if (output.dtype().is_inexact()) {
        precision = coarser(precision, precision_of(output.dtype()));
      }
    }
    double step = options_.eps.value_or(precision.step);
    array tangent = direction(primals_[primal]);
    Tangents tangents(primals_.size());
    tangents[primal] = tangent;
    Tangents pushed = options_.forward ? recording.push(tangents) : Tangents(outputs.size());
    std::vector<array> expected = differences(subject, primal, tangent, step);
    for (size_t o = 0; options_.forward && o < outputs.size(); ++o) {
      if (outputs[o].dtype().is_inexact()) {
        array found = pushed[o] ? *pushed[o] : zeros_like(outputs[o]);
        compare(subject, primal, o, expected[o], found, precision, step);
      }
    }
    if (options_.reverse) {
      std::vector<array> reference;
      for (size_t o = 0; o < outputs.size(); ++o) {
        reference.push_back(!options_.forward ? expected[o] : pushed[o] ? *pushed[o] : zeros_like(outputs[o]));
      }
      compare_products(subject, primal, cotangents, reference, tangent, pulled, precision);
    }
  }

  void compare(const Subject& subject, size_t primal, size_t output, const array& expected, const array& found,
      Precision precision, double step) const {
    std::vector<complex128_t> e = values_of(expected), f = values_of(found);
    double atol = options_.atol.value_or(precision.tolerance), rtol = options_.rtol.value_or(precision.tolerance);
    size_t wrong = 0, worst = 0;
    double most = -1;
    for (size_t k = 0; k < e.size(); ++k) {
      double error = std::abs(e[k] - f[k]), allowed = atol + rtol * std::abs(e[k]);
      if (error <= allowed) {
        continue;
      }
      ++wrong;
      double excess = std::isnan(error) ? INFINITY : error - allowed;
      if (excess > most) {
        most = excess;
        worst = k;
      }
    }
    if (wrong > 0) {
      bool complex = found.dtype().is_complex();
      fail<GradientMismatch>("check_grads", "mode \"fwd\", order ", subject.order, ": the jvp", subject.history,
          " with respect to ", names_[primal], " is wrong: the tangent of ", subject.outputs[output],
          element_at(found.shape(), static_cast<int64_t>(worst)), " should be ", number(e[worst], complex),
          " (central differences with eps ", step, ") but is ", number(f[worst], complex), "; ", wrong, " of ",
          e.size(), " elements are off by more than atol ", atol, " + rtol ", rtol, " * |expected|.",
          remedy(std::abs(e[worst])));
    }
  }

  // Re <cotangent, J tangent> should be Re <J^H cotangent, tangent>.
  void compare_products(const Subject& subject, size_t primal, const Tangents& cotangents,
      const std::vector<array>& reference, const array& tangent, const Tangent& pulled, Precision precision) const {
    double expected = 0, found = 0, scale = 0;
    auto add_product = [&](const array& a, const array& b, double& sum) {
      std::vector<complex128_t> x = values_of(a), y = values_of(b);
      for (size_t k = 0; k < x.size(); ++k) {
        sum += (std::conj(x[k]) * y[k]).real();
        scale += std::abs(x[k] * y[k]);
      }
    };
    for (size_t o = 0; o < reference.size(); ++o) {
      if (cotangents[o]) {
        add_product(*cotangents[o], reference[o], expected);
      }
    }
    if (pulled) {
      add_product(*pulled, tangent, found);
    }
    double atol = options_.atol.value_or(precision.tolerance), rtol = options_.rtol.value_or(precision.tolerance);
    if (!(std::abs(expected - found) <= atol + rtol * scale)) {
      fail<GradientMismatch>("check_grads", "mode \"rev\", order ", subject.order, ": the vjp", subject.history,
          " with respect to ", names_[primal], " is wrong: its inner product with a tangent should be ",
          number(expected, false), " (by ", options_.forward ? "the jvp" : "central differences", ") but is ",
          number(found, false), ", off by more than atol ", atol, " + rtol ", rtol, " * ", scale, ".",
          remedy(expected));
    }
  }

  Subject pushed(const Subject& subject) {
    Tangents tangents;
    for (const array& primal : primals_) {
      tangents.push_back(primal.dtype().is_inexact() ? Tangent(direction(primal)) : std::nullopt);
    }
    auto tangents_of = [fun = subject.fun, tangents](
                           const std::vector<array>& in) { return jvp_of_given(fun, in, tangents).second; };
    Subject next{tangents_of, {}, " of the jvp" + subject.history, subject.order + 1};
    for (const std::string& output : subject.outputs) {
      next.outputs.push_back("the tangent of " + output);
    }
    return next;
  }

  Subject pulled(const Subject& subject) {
    uint64_t first = directions_;
    auto cotangents_of = [this, first](const std::vector<array>& outputs) {
      directions_ = first; // the same in every run
      std::vector<array> cotangents;
      for (const array& output : outputs) {
        cotangents.push_back(output.dtype().is_inexact() ? direction(output) : zeros_like(output));
      }
      return cotangents;
    };
    Subject next{
        [fun = subject.fun, cotangents_of](const std::vector<array>& in) { return vjp(fun, in, cotangents_of).second; },
        {}, " of the vjp" + subject.history, subject.order + 1};
    for (const std::string& name : names_) {
      next.outputs.push_back("the cotangent of " + name);
    }
    return next;
  }

  const std::vector<array>& primals_;
  const CheckGradsOptions& options_;
  Names names_;
  uint64_t directions_ = 0;
};

} // namespace

void check_grads(const VectorFunction& fun, const std::vector<array>& primals, const CheckGradsOptions& options) {
  if (options.order < 1) {
    fail("check_grads", "order is ", options.order, "; the lowest derivative is the first.");
  }
  if (!options.forward && !options.reverse) {
    fail("check_grads", "modes is empty: name \"fwd\", \"rev\" or both.");
  }
  if (std::none_of(primals.begin(), primals.end(), [](const array& p) { return p.dtype().is_inexact(); })) {
    fail("check_grads", "there is no floating or complex array among the arguments: nothing to differentiate.");
  }
  array key = random::state();
  VectorFunction repeatable = [&](const std::vector<array>& in) {
    random::set_state(key);
    return fun(in);
  };
  Names inputs, outputs;
  for (size_t i = 0; i < primals.size(); ++i) {
    inputs.push_back(options.primal_name ? options.primal_name(i) : "primal " + std::to_string(i));
  }
  size_t count = repeatable(primals).size();
  for (size_t o = 0; o < count; ++o) {
    outputs.push_back(options.output_name ? options.output_name(o) : "output " + std::to_string(o));
  }
  GradientCheck(primals, options, std::move(inputs)).run({repeatable, std::move(outputs), "", 1});
}

} // namespace mlx::core
