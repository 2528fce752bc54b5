// Which objects around a function are looked into, and which are taken for what they are.
#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <vector>

namespace nb = nanobind;

namespace mlx::python {

// An entry without running a __getattr__ or a property; null when there is none.
nb::object dict_entry(PyObject* dict, const char* name);
// The package of a module's name; that which a callable, or the first of several, is from.
std::string top_package(nb::handle module_name);
std::string package_of(nb::handle fun);
// Modules whose objects keep nothing that a recording could depend on, or change it all the time.
bool is_standard(nb::handle module_name);
// What was installed as a package: tools such as a test runner, whose own state is of no interest.
bool is_installed(const std::string& top);

bool is_dunder(PyObject* name);
// A class of the user's, whose instances are looked into.
bool is_open_class(PyTypeObject* type);
// Plain records and containers of the standard library, and wrappers around functions (lru_cache).
bool is_open_object(PyObject* o);
bool is_enumeration(PyTypeObject* type);
// Whether all that it holds is in its attributes and slots; else a type written in C holds something, too.
bool has_only_attributes(PyObject* o);
bool may_have_slots(PyTypeObject* type);
// functools.partial and what derives from it.
bool is_partial(PyObject* o);
PyTypeObject* partial_type();
bool is_default_dict(PyObject* o);
PyTypeObject* default_dict_type();
// The names that a function loads as globals or built-in names, of those that are in its code itself.
std::vector<nb::object> names_of_globals(nb::handle code);
// threading.local itself: a class that derives from it may run code of the user's.
bool is_thread_data(PyObject* o);
// Of a dict: what shows what is in there.
bool is_dict_view(PyObject* o);
bool is_method_descriptor(PyObject* o);
// What it shows to the collector is all that it is; other objects of this library hold arrays beside that.
bool is_custom_function(PyObject* o);

} // namespace mlx::python
