// How instances are taken apart for pickle and copy, and made again.
#include "python/src/interop/pickling.h"

#include "mlx_core/device.h"
#include "mlx_core/error.h"
#include "mlx_core/interruption.h"
#include "python/src/array/convert.h"
#include "python/src/compile/dim_object.h"
#include "python/src/runtime/bind.h"

namespace mlx::python {

namespace {

// A method that is added to a class from outside.
template <typename Function, typename... Extra>
void add_method(nb::handle cls, const char* name, const char* signature, Function&& function, const Extra&... extra) {
  nb::setattr(cls, name,
      nb::cpp_function(std::forward<Function>(function), nb::is_method(), nb::scope(cls), nb::name(name),
          nb::sig(signature), extra...));
}
template <typename Function>
void add_reduce(nb::handle cls, Function&& function) {
  add_method(cls, "__reduce__", "def __reduce__(self) -> tuple[typing.Any, ...]", std::forward<Function>(function));
}

nb::object core_function(const char* name) { return nb::module_::import_("mlx.core").attr(name); }

// What stands at module.qualname: "layers.Dense.forward" is looked up step by step.
nb::object at_name(const nb::object& module_name, const nb::object& qualname) {
  nb::object found = nb::module_::import_("importlib").attr("import_module")(module_name);
  for (nb::handle part : nb::list(qualname.attr("split")("."))) {
    found = nb::getattr(found, part);
  }
  return found;
}

nb::object reduce_by_name(nb::handle self) {
  nb::object fun = nb::getattr(self, "__wrapped__");
  for (int i = 0; i < 1000 && nb::hasattr(fun, "__wrapped__") && !nb::hasattr(fun, "__code__"); ++i) {
    fun = nb::getattr(fun, "__wrapped__");
  }
  nb::object module_name = nb::getattr(fun, "__module__", nb::none()),
             qualname = nb::getattr(fun, "__qualname__", nb::none());
  bool found = false;
  if (PyUnicode_Check(module_name.ptr()) && PyUnicode_Check(qualname.ptr())) {
    try {
      found = at_name(module_name, qualname).is(self);
    } catch (nb::python_error& error) { // no such module or name: a local function, a lambda
      if (core::is_interruption(error)) throw;
    }
  }
  if (!found) {
    nb::object error = nb::module_::import_("pickle").attr("PicklingError");
    PyErr_Format(error.ptr(),
        "[pickle] %R is not what the name %S.%S stands for, and functions are pickled by name: give it that name in "
        "its "
        "module (as a decorator does), or pickle the function inside and transform it again",
        self.ptr(), module_name.ptr(), qualname.ptr());
    throw nb::python_error();
  }
  return nb::make_tuple(core_function("_function_named"), nb::make_tuple(module_name, qualname));
}

void copy_as_itself(nb::handle cls) {
  add_method(cls, "__copy__", "def __copy__(self) -> typing.Any", [](nb::handle self) { return nb::borrow(self); });
  add_method(
      cls, "__deepcopy__", "def __deepcopy__(self, memo: dict[int, typing.Any]) -> typing.Any",
      [](nb::handle self, nb::handle) { return nb::borrow(self); }, nb::arg("memo"));
}

// Made again by a call of the class with one of its attributes.
void pickle_by_attribute(nb::handle cls, const char* attribute) {
  add_reduce(cls, [attribute](nb::handle self) {
    return nb::make_tuple(self.type(), nb::make_tuple(nb::getattr(self, attribute)));
  });
}

} // namespace

void pickle_by_state(nb::handle cls) {
  add_reduce(cls, [](nb::handle self) {
    return nb::make_tuple(nb::module_::import_("copyreg").attr("__newobj__"), nb::make_tuple(self.type()),
        nb::getattr(self, "__getstate__")());
  });
}

void pickle_by_name(nb::handle cls) {
  add_reduce(cls, reduce_by_name);
  copy_as_itself(cls);
}

void bind_pickling(nb::module_& m) {
  m.def("_function_named", &at_name, nb::sig("def _function_named(module: str, qualname: str) -> object"),
      "The object of this name, for pickle.");
  m.def(
      "_stream",
      [](core::Device device, int index) {
        if (index < 0) {
          core::fail("stream", "index is ", index, "; streams are numbered from 0.");
        }
        return core::to_stream(core::Stream{index, device});
      },
      nb::sig("def _stream(device: Device, index: int) -> Stream"), "The stream of this number, for pickle.");
  add_reduce(m.attr("Stream"), [](nb::handle self) {
    return nb::make_tuple(
        core_function("_stream"), nb::make_tuple(nb::getattr(self, "device"), nb::getattr(self, "index")));
  });
  add_reduce(m.attr("ThreadLocalStream"), [](nb::handle self) {
    return nb::make_tuple(core_function("new_thread_local_stream"), nb::make_tuple(nb::getattr(self, "device")));
  });
  pickle_by_attribute(m.attr("finfo"), "dtype");
  pickle_by_attribute(m.attr("iinfo"), "dtype");
  // Elsewhere a size is the number that it is now, which is noted.
  add_reduce(m.attr("Dim"), [](nb::handle self) {
    nb::handle integer(reinterpret_cast<PyObject*>(&PyLong_Type));
    return nb::make_tuple(integer, nb::make_tuple(integer(self)));
  });
  copy_as_itself(m.attr("Dim"));
  // The state of the generator is a list of one key.
  add_reduce(m.attr("random").attr("_RandomState"), [](nb::handle self) {
    nb::handle list(reinterpret_cast<PyObject*>(&PyList_Type));
    return nb::make_tuple(list, nb::make_tuple(list(self)));
  });
  pickle_by_name(m.attr("_TransformedFunction"));
  pickle_by_name(m.attr("custom_function"));
  pickle_by_state(m.attr("array"));
  pickle_by_state(m.attr("SparseMatrix"));
  // Functions of ours, and those that are methods, are of types that are nanobind's: pickle asks copyreg about these.
  nb::object by_name = nb::cpp_function([](nb::handle function) { return nb::getattr(function, "__qualname__"); });
  nb::object pickle = nb::module_::import_("copyreg").attr("pickle");
  for (nb::object function : {nb::object(m.attr("eval")), nb::object(m.attr("array").attr("item"))}) {
    pickle(function.type(), by_name);
  }
}

} // namespace mlx::python
