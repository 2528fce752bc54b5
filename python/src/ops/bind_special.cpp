// mlx.core.special: special functions of real numbers.
#include "mlx_core/special.h"

#include "python/src/ops/bind_ops.h"
#include "python/src/runtime/bind.h"

namespace mlx::python {

namespace {

namespace special = core::special;

constexpr const char* any = ": scalar | array";

// Numbers among the arguments adopt the dtype of the first array.
template <size_t n>
std::vector<array> given(const std::array<ScalarOrArray, n>& values) {
  std::optional<core::Dtype> like;
  for (ScalarOrArray value : values) {
    if (!like && is_array(value.object)) {
      like = read(value.object).dtype();
    }
  }
  std::vector<array> out;
  for (ScalarOrArray value : values) {
    out.push_back(is_array(value.object) ? read(value.object) : to_array(value, like));
  }
  return out;
}

template <typename... Arguments, typename Function>
void def_special(nb::module_& m, const char* name, const std::string& parameters, Function&& function,
    const Arguments&... arguments) {
  std::string signature = "def " + std::string(name) + "(" + parameters + ", stream: StreamOrDevice = None) -> array";
  m.def(name, std::forward<Function>(function), arguments..., "stream"_a = nb::none(), nb::sig(signature.c_str()),
      docstring_of(("special." + std::string(name)).c_str()).c_str());
}

using One = array (*)(const array&, StreamOrDevice);
void def_one(nb::module_& m, const char* name, const char* x, One function) {
  def_special(
      m, name, std::string(x) + any,
      [function](ScalarOrArray a, StreamOrDevice s) { return out(function(to_array(a), s)); }, nb::arg(x));
}

using Two = array (*)(const array&, const array&, StreamOrDevice);
void def_two(nb::module_& m, const char* name, const char* x, const char* y, Two function) {
  def_special(
      m, name, std::string(x) + any + ", " + y + any,
      [function](ScalarOrArray a, ScalarOrArray b, StreamOrDevice s) {
        std::vector<array> both = given(std::array{a, b});
        return out(function(both[0], both[1], s));
      },
      nb::arg(x), nb::arg(y));
}

} // namespace

void bind_special(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("special", "Special functions of real numbers.");
  struct Unary {
    const char *name, *argument;
    One function;
  };
  static constexpr Unary of_one[] = {
      {"gamma", "x", special::gamma},
      {"lgamma", "x", special::lgamma},
      {"digamma", "x", special::digamma},
      {"erfc", "x", special::erfc},
      {"erfcx", "x", special::erfcx},
      {"erfcinv", "x", special::erfcinv},
      {"ndtr", "x", special::ndtr},
      {"ndtri", "p", special::ndtri},
      {"log_ndtr", "x", special::log_ndtr},
      {"expit", "x", special::expit},
      {"log_expit", "x", special::log_expit},
      {"logit", "p", special::logit},
      {"entr", "x", special::entr},
      {"j0", "x", special::j0},
      {"j1", "x", special::j1},
      {"y0", "x", special::y0},
      {"y1", "x", special::y1},
      {"i0", "x", special::i0},
      {"i0e", "x", special::i0e},
      {"i1", "x", special::i1},
      {"i1e", "x", special::i1e},
      {"exp1", "x", special::exp1},
      {"expi", "x", special::expi},
  };
  for (const Unary& f : of_one) def_one(m, f.name, f.argument, f.function);
  def_two(m, "betaln", "a", "b", special::betaln);
  def_two(m, "gammainc", "a", "x", special::gammainc);
  def_two(m, "gammaincc", "a", "x", special::gammaincc);
  def_two(m, "xlogy", "x", "y", special::xlogy);
  def_two(m, "xlog1py", "x", "y", special::xlog1py);
  def_two(m, "rel_entr", "x", "y", special::rel_entr);
  def_two(m, "kl_div", "x", "y", special::kl_div);
  def_special(
      m, "betainc", "a: scalar | array, b: scalar | array, x: scalar | array",
      [](ScalarOrArray a, ScalarOrArray b, ScalarOrArray x, StreamOrDevice s) {
        std::vector<array> all = given(std::array{a, b, x});
        return out(special::betainc(all[0], all[1], all[2], s));
      },
      "a"_a, "b"_a, "x"_a);
  def_special(
      m, "polygamma", "n: int, x: scalar | array",
      [](int n, ScalarOrArray x, StreamOrDevice s) { return out(special::polygamma(n, to_array(x), s)); }, "n"_a,
      "x"_a);
  def_special(
      m, "multigammaln", "a: scalar | array, d: int",
      [](ScalarOrArray a, int d, StreamOrDevice s) { return out(special::multigammaln(to_array(a), d, s)); }, "a"_a,
      "d"_a);
  def_special(
      m, "zeta", "x: scalar | array, q: None | scalar | array = None",
      [](ScalarOrArray x, std::optional<ScalarOrArray> q, StreamOrDevice s) {
        if (!q) {
          return out(special::zeta(to_array(x), s));
        }
        std::vector<array> both = given(std::array{x, *q});
        return out(special::zeta(both[0], both[1], s));
      },
      "x"_a, "q"_a = nb::none());
  def_alias(m, "gammaln", "lgamma");
  def_alias(m, "psi", "digamma");
  for (const char* name : {"erf", "erfinv", "sinc", "softmax", "logsumexp"}) {
    m.attr(name) = parent.attr(name);
  }
}

} // namespace mlx::python
