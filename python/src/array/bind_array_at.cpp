// x.at[index]: the elements at an index, to combine with a value in a new array.
#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "python/src/array/bind_array.h"
#include "python/src/indexing/indexing.h"
#include "python/src/trees/descent.h"
#include "python/src/trees/traverse.h"

namespace mlx::python {

namespace {

// The array, and the index once it is given.
struct ArrayAt {
  array a;
  Link index; // which may hold another of these

  static int traverse(PyObject* self, visitproc visit, void* arg) {
    Traversal owned(visit, arg);
    owned(reinterpret_cast<PyObject*>(Py_TYPE(self)));
    if (nb::inst_ready(self)) {
      owned(*nb::inst_ptr<ArrayAt>(self)->index);
    }
    return owned.result();
  }
  static int clear(PyObject* self) {
    if (nb::inst_ready(self)) {
      nb::inst_ptr<ArrayAt>(self)->index = Link();
    }
    return 0;
  }
};

PyType_Slot at_slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(ArrayAt::traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(ArrayAt::clear)}, {0, nullptr}};

nb::handle index_of(const ArrayAt& at) {
  if (!at.index.is_valid()) {
    core::fail("at", "there is no index yet; write x.at[index].add(value).");
  }
  return *at.index;
}

template <Update how>
array updated(const ArrayAt& at, nb::handle value, const std::string& mode) {
  return update_item(at.a, index_of(at), value, how, core::out_of_bounds("at", mode));
}

array read_at(const ArrayAt& at, const std::string& mode, const std::optional<ScalarOrArray>& fill_value) {
  array a = at.a; // an index of the user's may do anything
  std::optional<array> fill = fill_value ? std::optional<array>(to_array(*fill_value, a.dtype())) : std::nullopt;
  return get_item(a, index_of(at), core::out_of_bounds("at", mode), fill);
}

array applied(const ArrayAt& at, nb::handle fun, const std::string& mode) {
  if (!PyCallable_Check(fun.ptr())) {
    core::fail<core::TypeError>("at.apply", "fun is a ", Py_TYPE(fun.ptr())->tp_name, "; it should be a callable.");
  }
  array a = at.a; // the function may do anything
  nb::object index = nb::borrow(index_of(at));
  return apply_to_item(a, index, core::out_of_bounds("at", mode), [&](const array& x) {
    nb::object made = fun(nb::steal(wrap(x)));
    std::optional<array> y = try_to_array(made.ptr(), a.dtype());
    if (!y) {
      core::fail<core::TypeError>(
          "at.apply", "the function returned a ", Py_TYPE(made.ptr())->tp_name, "; it should return an array.");
    }
    bool number = !is_array(made) && y->ndim() == 0;
    return number ? core::broadcast_to(*y, x.shape()) : *y;
  });
}

template <Update how>
void def_update(nb::class_<ArrayAt>& c, const char* name, const char* doc) {
  std::string signature = "def " + std::string(name) +
                          "(self, value: bool | int | float | complex | array | numpy.typing.ArrayLike, *, mode: str = "
                          "'raise') -> array";
  c.def(
      name, &updated<how>, nb::arg("value"), nb::kw_only(), nb::arg("mode") = "raise", nb::sig(signature.c_str()), doc);
}

} // namespace

void bind_array_at(nb::module_& m, ArrayClass& c) {
  nb::class_<ArrayAt> at(m, "ArrayAt", nb::type_slots(at_slots), nb::is_weak_referenceable(),
      "The elements of an array at an index: what ``x.at[index]`` is. Each method gives a new array. Where indices "
      "repeat, every value counts (the last one in ``set``), unlike in ``x[index] += value``. The value is converted "
      "to the array's dtype. ``mode`` says what becomes of integers in arrays and lists that are out of bounds: "
      "``\"raise\"`` IndexError, ``\"clip\"`` to the nearest place, ``\"wrap\"`` around, or with ``\"fill\"`` leave "
      "them out.");
  at.def(
      "__getitem__",
      [](const ArrayAt& self, nb::handle index) { return ArrayAt{self.a, nb::object(nb::borrow(index))}; },
      nb::arg().none(), nb::sig("def __getitem__(self, index: typing.Any, /) -> ArrayAt"),
      "The same array, at an index as ``x[index]`` takes it.");
  def_update<Update::add>(at, "add", "The array with ``value`` added at the index.");
  def_update<Update::subtract>(at, "subtract", "The array with ``value`` subtracted at the index.");
  def_update<Update::multiply>(at, "multiply", "The array multiplied by ``value`` at the index.");
  def_update<Update::divide>(
      at, "divide", "The array divided by ``value`` at the index; integers divide rounding down, as ``//`` does.");
  def_update<Update::maximum>(
      at, "maximum", "The array with the larger of it and ``value`` at the index; ties share the gradient.");
  def_update<Update::minimum>(
      at, "minimum", "The array with the smaller of it and ``value`` at the index; ties share the gradient.");
  def_update<Update::power>(at, "power", "The array raised to the power ``value`` at the index.");
  def_update<Update::set>(at, "set",
      "The array with ``value`` at the index. Where indices repeat the last value stays, and has the gradient.");
  at.def("get", &read_at, nb::kw_only(), nb::arg("mode") = "raise", nb::arg("fill_value") = nb::none(),
      nb::sig(
          "def get(self, *, mode: str = 'raise', fill_value: bool | int | float | complex | array | None = None) -> "
          "array"),
      R"(The elements, as ``x[index]``, where ``mode`` says what is read out of bounds.

Args:
    mode (str): For integers in arrays and lists that are out of bounds:
        ``"raise"`` an IndexError, ``"clip"`` to the nearest place (negative
        ones to 0), ``"wrap"`` around, or ``"fill"``.
    fill_value (scalar, optional): What ``"fill"`` reads; by default NaN, for
        integers the lowest (signed) or highest (unsigned), for bools True.

Returns:
    array: Of the shape of ``x[index]``.

Example:
    >>> mx.array([1.0, 2.0]).at[mx.array([1, 5])].get(mode="fill", fill_value=0)
    array([2, 0], dtype=float32)
)");
  at.def("apply", &applied, nb::arg("fun"), nb::kw_only(), nb::arg("mode") = "raise",
      nb::sig("def apply(self, fun: collections.abc.Callable[[array], array], *, mode: str = 'raise') -> array"),
      R"(The array with ``fun`` applied to the elements at the index.

``fun`` is elementwise and is applied once, also where indices repeat. Where
the index is one bool array ``fun`` is called with the whole array, and its
results are used at the true elements, so that the mask need not be known.

Example:
    >>> mx.array([1.0, 4.0, 9.0]).at[1:].apply(mx.sqrt)
    array([1, 2, 3], dtype=float32)
)");
  c.def_prop_ro(
      "at", [](const array& a) { return ArrayAt{a, Link()}; }, nb::for_getter(nb::sig("def at(self) -> ArrayAt")),
      R"(Elements to combine with a value: ``x.at[index].add(value)`` and ``subtract``, ``multiply``, ``divide``, ``maximum``,
``minimum``, ``power``, ``set`` and ``apply`` give a new array. Where indices repeat every value counts (in ``set`` the last
one), unlike in ``x[index] += value``.

Example:
    >>> mx.array([0, 0]).at[mx.array([0, 1, 0, 1])].add(mx.array([1, 1, 2, 2]))
    array([3, 3], dtype=int32))");
}

} // namespace mlx::python
