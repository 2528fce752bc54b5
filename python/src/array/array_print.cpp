// The text of an array, and the print options.
#include "python/src/array/array_print.h"

#include "mlx_core/print.h"
#include "python/src/array/convert.h"
#include "python/src/runtime/gil.h"

namespace mlx::python {

namespace {

using core::PrintOptions;

// `with mx.printoptions(precision=3):`
class PrintOptionsContext {
 public:
  explicit PrintOptionsContext(PrintOptions options) : inside_(options) {}
  void enter() {
    outside_ = core::get_printoptions();
    core::set_printoptions(inside_);
  }
  void exit() { core::set_printoptions(outside_); }

 private:
  PrintOptions inside_, outside_;
};

PrintOptions checked(int digits) {
  PrintOptions outside = core::get_printoptions();
  core::set_printoptions({digits}); // throws
  core::set_printoptions(outside);
  return {digits};
}

} // namespace

std::string to_text(array a) {
  WithoutGil unlocked; // it may be computed first
  return core::to_string(a);
}

void bind_print_options(nb::module_& m) {
  nb::class_<PrintOptions>(m, "PrintOptions", "How arrays are printed.")
      .def(
          "__init__", [](PrintOptions* self, int digits) { new (self) PrintOptions(checked(digits)); },
          nb::arg("precision") = -1)
      .def_prop_rw(
          "precision", [](const PrintOptions& self) { return self.precision; },
          [](PrintOptions& self, int digits) { self = checked(digits); },
          "Digits after the point; -1 is six significant digits.")
      .def("__repr__",
          [](const PrintOptions& self) { return "PrintOptions(precision=" + std::to_string(self.precision) + ")"; });
  m.def("get_printoptions", &core::get_printoptions, "How this thread prints arrays now.");
  m.def(
      "set_printoptions", [](int digits) { core::set_printoptions({digits}); }, nb::arg("precision") = -1,
      R"(Prints arrays with this many digits after the point from now on, in this thread.

``precision=-1``, the default, prints six significant digits.)");
  nb::class_<PrintOptionsContext>(m, "_PrintOptionsContext")
      .def(
          "__init__",
          [](PrintOptionsContext* self, const PrintOptions& options) { new (self) PrintOptionsContext(options); },
          nb::arg("options"))
      .def("__enter__",
          [](nb::object self) {
            nb::cast<PrintOptionsContext&>(self).enter();
            return self;
          })
      .def(
          "__exit__", [](PrintOptionsContext& self, const nb::args&) { self.exit(); },
          nb::sig("def __exit__(self, exc_type: type | None = None, exc_value: object | None = None, "
                  "traceback: object | None = None) -> None"));
  m.def(
      "printoptions", [](int digits) { return PrintOptionsContext(checked(digits)); }, nb::arg("precision") = -1,
      nb::sig("def printoptions(precision: int = -1) -> contextlib.AbstractContextManager[object]"),
      R"(A context in which arrays print with this many digits after the point::

    with mx.printoptions(precision=3):
        print(x)
)");
}

} // namespace mlx::python
