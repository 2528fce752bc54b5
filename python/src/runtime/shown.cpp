// Short texts of values.
#include "python/src/runtime/shown.h"

#include <nanobind/stl/string.h>

#include <algorithm>

#include "python/src/trees/owned_items.h"

namespace mlx::python {

namespace {

constexpr size_t most_items = 20, longest = 400;
constexpr int deepest = 6;

std::string text_of(nb::handle o, int depth);

template <typename Item>
std::string listed(size_t count, int depth, Item&& item) {
  if (count > 0 && depth == deepest) {
    return "...";
  }
  std::string text;
  for (size_t i = 0; i < std::min(count, most_items); ++i) {
    text += (i ? ", " : "") + item(i);
  }
  return text + (count > most_items ? ", ..." : "");
}

std::string text_of(nb::handle o, int depth) {
  PyTypeObject* type = Py_TYPE(o.ptr());
  bool tuple = PyTuple_Check(o.ptr());
  if (tuple || PyList_Check(o.ptr())) {
    Items items(o.ptr());
    std::string text = listed(items.size(), depth, [&](size_t i) { return text_of(items[i], depth + 1); });
    text = tuple ? "(" + text + (items.size() == 1 ? ",)" : ")") : "[" + text + "]";
    return type == &PyTuple_Type || type == &PyList_Type ? text : type->tp_name + ("(" + text + ")");
  }
  if (PyDict_Check(o.ptr())) {
    Entries entries(o.ptr());
    std::string text = listed(entries.size(), depth, [&](size_t i) {
      const Entries::Entry& entry = entries.begin()[i];
      return text_of(entry.key, depth + 1) + ": " + text_of(entry.value, depth + 1);
    });
    return type == &PyDict_Type ? "{" + text + "}" : type->tp_name + ("({" + text + "})");
  }
  if (nb::hasattr(o.type(), "__dataclass_fields__")) { // whose repr goes through its fields
    return type->tp_name + std::string("(...)");
  }
  std::string text = nb::cast<std::string>(nb::repr(o));
  return shortened(std::move(text), longest);
}

} // namespace

std::string shortened(std::string text, size_t longest) {
  if (text.size() > longest) {
    size_t end = longest - 3;
    while (end > 0 && (text[end] & 0xC0) == 0x80) { // inside a character
      --end;
    }
    text.resize(end);
    text += "...";
  }
  return text;
}

std::string shown(nb::handle o) { return text_of(o, 0); }

} // namespace mlx::python
