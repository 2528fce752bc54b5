// Arrays in files: save, savez, savez_compressed, save_safetensors, save_gguf and load.
#include <nanobind/stl/string.h>

#include <variant>

#include "mlx_core/interrupt.h"
#include "python/src/array/convert.h"
#include "python/src/files/file_objects.h"
#include "python/src/runtime/argument_errors.h"
#include "python/src/runtime/bind.h"
#include "python/src/runtime/exceptions.h"
#include "python/src/runtime/gil.h"

namespace mlx::python {

using core::fail;
namespace io = core::io;
using namespace nb::literals;

namespace {

std::string text_of(const char* op, const char* what, nb::handle o) {
  if (!PyUnicode_Check(o.ptr())) {
    fail<core::TypeError>(op, what, " is ", described(o), "; it should be a str.");
  }
  Py_ssize_t bytes = 0;
  const char* text = PyUnicode_AsUTF8AndSize(o.ptr(), &bytes);
  if (!text) {
    PyErr_Clear();
    fail(op, what, " is ", described(o), ", which cannot be written as UTF-8.");
  }
  return std::string(text, static_cast<size_t>(bytes));
}

// What a dictionary holds now: looking at a value may run code that changes it.
nb::dict copied(nb::handle dict) {
  nb::object copy = nb::steal(PyDict_Copy(dict.ptr()));
  if (!copy.is_valid()) {
    throw nb::python_error();
  }
  return nb::borrow<nb::dict>(copy);
}

// Arrays by name.
io::ArrayList arrays_in(const char* op, const char* what, nb::handle dict) {
  if (!PyDict_Check(dict.ptr())) {
    fail<core::TypeError>(op, what, " is ", described(dict), "; it should be a dict of arrays by name.");
  }
  io::ArrayList arrays;
  nb::dict now = copied(dict);
  for (auto [key, value] : now) {
    std::string name = text_of(op, "the name of an array", key);
    if (!is_array(value)) {
      fail<core::TypeError>(op, what, "['", name, "'] is ", described(value), "; it should be an array.");
    }
    arrays.emplace_back(std::move(name), read(value));
  }
  return arrays;
}

// Evaluates and writes, without the interpreter lock.
void write(const char* op, nb::handle file, const char* extension, const io::ArrayList& arrays,
    const std::function<void(io::Writer&)>& write) {
  if (is_path(file)) {
    std::string path = io::with_extension(path_of(file), extension);
    WithoutGil unlocked;
    io::write_file(op, path, arrays, write);
  } else {
    std::unique_ptr<io::Writer> out = writer_of(op, nb::borrow(file));
    WithoutGil unlocked;
    io::evaluate_all(arrays);
    write(*out);
  }
}

void save(nb::handle file, const array& a) {
  io::ArrayList arrays{{"", a}};
  write("save", file, ".npy", arrays, [&](io::Writer& out) { io::write_npy(out, arrays[0].second); });
}

void savez(const char* op, nb::handle file, nb::args args, nb::kwargs kwargs, bool compressed) {
  io::ArrayList arrays = arrays_in(op, "keywords", kwargs);
  for (size_t i = 0; i < args.size(); ++i) {
    if (!is_array(args[i])) {
      fail<core::TypeError>(op, "args[", i, "] is ", described(args[i]),
          "; it should be an array. Pass the arrays of a dict by name, as **arrays.");
    }
    std::string name = "arr_" + std::to_string(i);
    if (kwargs.contains(name.c_str())) {
      fail(op, "an array without a name is called '", name, "', and so is one by keyword.");
    }
    arrays.emplace_back(name, read(args[i]));
  }
  write(op, file, ".npz", arrays, [&](io::Writer& out) { io::write_npz(out, arrays, compressed, op); });
}

// nanobind takes 1024 keywords at most, and models have more parameters. So these two are called in their own way.
template <bool compressed>
PyObject* call_savez(PyObject*, PyObject* const* args, size_t flags, PyObject* names) noexcept {
  constexpr const char* op = compressed ? "savez_compressed" : "savez";
  try {
    nb::object file;
    nb::list rest;
    nb::dict named;
    auto set_file = [&](nb::handle value) {
      if (file.is_valid()) {
        fail<core::TypeError>(op, "the argument file was given twice, by position and by name.");
      }
      file = nb::borrow(value);
    };
    auto positional = static_cast<Py_ssize_t>(flags & (SIZE_MAX >> 2)); // the highest bits are flags
    for (Py_ssize_t i = 0; i < positional; ++i) {
      i == 0 ? set_file(args[i]) : rest.append(nb::handle(args[i]));
    }
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); ++i) {
      nb::handle name = PyTuple_GET_ITEM(names, i), value = args[positional + i];
      if (PyUnicode_CompareWithASCIIString(name.ptr(), "file") == 0) {
        set_file(value);
      } else {
        named[name] = value;
      }
    }
    if (!file.is_valid()) {
      fail<core::TypeError>(op, "the argument file is missing; it should be a path, or have write().");
    }
    savez(op, file, nb::borrow<nb::args>(nb::tuple(rest)), nb::borrow<nb::kwargs>(named), compressed);
    return nb::none().release().ptr();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

template <bool compressed>
void call_directly(nb::module_& m, const char* name) {
  nb::object function = m.attr(name);
  char* object = reinterpret_cast<char*>(function.ptr());
  *reinterpret_cast<vectorcallfunc*>(object + Py_TYPE(function.ptr())->tp_vectorcall_offset) = call_savez<compressed>;
}

void save_safetensors(nb::handle file, nb::handle arrays, nb::handle metadata) {
  constexpr const char* op = "save_safetensors";
  io::ArrayList list = arrays_in(op, "arrays", arrays);
  io::TextList texts;
  if (!metadata.is_none()) {
    if (!PyDict_Check(metadata.ptr())) {
      fail<core::TypeError>(op, "metadata is ", described(metadata), "; it should be a dict of str by str.");
    }
    nb::dict now = copied(metadata);
    for (auto [key, value] : now) {
      std::string name = text_of(op, "a key of metadata", key);
      texts.emplace_back(name, text_of(op, ("metadata['" + name + "']").c_str(), value));
    }
  }
  write(op, file, ".safetensors", list, [&](io::Writer& out) { io::write_safetensors(out, list, texts); });
}

core::GGUFMetaData metadata_of(const std::string& key, nb::handle value) {
  constexpr const char* op = "save_gguf";
  std::string what = "metadata['" + key + "']";
  if (is_array(value)) {
    return read(value);
  }
  if (PyUnicode_Check(value.ptr())) {
    return text_of(op, what.c_str(), value);
  }
  bool is_list = PyList_Check(value.ptr()) || PyTuple_Check(value.ptr());
  if (is_list) {
    nb::object items = nb::steal(PySequence_Tuple(value.ptr()));
    if (!items.is_valid()) {
      throw nb::python_error();
    }
    Py_ssize_t count = PyTuple_GET_SIZE(items.ptr());
    if (count == 0 || PyUnicode_Check(PyTuple_GET_ITEM(items.ptr(), 0))) {
      std::vector<std::string> texts;
      for (Py_ssize_t i = 0; i < count; ++i) {
        texts.push_back(text_of(op, ("an entry of " + what).c_str(), PyTuple_GET_ITEM(items.ptr(), i)));
      }
      return texts;
    }
  }
  if (is_list || PyBool_Check(value.ptr()) || PyLong_Check(value.ptr()) || PyFloat_Check(value.ptr())) {
    return array_from_python(value);
  }
  fail<core::TypeError>(op, what, " is ", described(value),
      "; it should be a str, a list of str, or an array or numbers with at most one axis.");
}

void save_gguf(nb::handle file, nb::handle arrays, nb::handle metadata) {
  constexpr const char* op = "save_gguf";
  io::ArrayList list = arrays_in(op, "arrays", arrays), all = list;
  io::MetadataList values;
  if (!metadata.is_none()) {
    if (!PyDict_Check(metadata.ptr())) {
      fail<core::TypeError>(op, "metadata is ", described(metadata), "; it should be a dict.");
    }
    nb::dict now = copied(metadata);
    for (auto [key, value] : now) {
      std::string name = text_of(op, "a key of metadata", key);
      values.emplace_back(name, metadata_of(name, value));
      if (const array* a = std::get_if<array>(&values.back().second)) {
        all.emplace_back(name, *a);
      }
    }
  }
  write(op, file, ".gguf", all, [&](io::Writer& out) { io::write_gguf(out, list, values); });
}

// --- load ---

nb::object handle_of(array a) { return nb::steal(wrap(std::move(a))); }

nb::object utf8(const std::string& text) {
  PyObject* made = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "strict");
  if (!made) {
    throw nb::python_error();
  }
  return nb::steal(made);
}

template <typename List, typename Convert>
nb::dict dict_of(const List& list, Convert&& convert) {
  nb::dict d;
  for (const auto& [name, value] : list) {
    d[utf8(name)] = convert(value);
  }
  return d;
}

nb::object metadata_object(const core::GGUFMetaData& value) {
  return std::visit(
      []<typename T>(const T& v) -> nb::object {
        if constexpr (std::is_same_v<T, array>) {
          return handle_of(v);
        } else if constexpr (std::is_same_v<T, std::string>) {
          return utf8(v);
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          nb::list texts;
          for (const std::string& text : v) {
            texts.append(utf8(text));
          }
          return texts;
        } else {
          return nb::none();
        }
      },
      value);
}

bool is_format(std::string_view name) {
  return name == "npy" || name == "npz" || name == "safetensors" || name == "gguf";
}
constexpr const char* formats = "'npy', 'npz', 'safetensors' or 'gguf'";

// Opening a pipe waits for who writes it.
io::SourceRef opened(nb::handle file) {
  std::string path = path_of(file);
  WithoutGil unlocked;
  return io::open_file(path);
}

// By the name, else by what is in it, for which a file is opened; empty where that does not say.
std::string format_of(nb::handle file, InputObject* object, io::SourceRef& source) {
  std::string extension = extension_of(file);
  if (!extension.empty() && is_format(extension.substr(1))) {
    return extension.substr(1);
  }
  if (object) {
    io::SourceRef beginning = object->beginning();
    return beginning ? io::format_of(*beginning) : "";
  }
  try {
    source = opened(file);
    return io::format_of(*source);
  } catch (const core::Interrupted&) {
    throw;
  } catch (const std::runtime_error&) { // without a name that says it, that is what is wrong
    return "";
  }
}

nb::object load(nb::handle file, std::optional<std::string> format, bool return_metadata, StreamOrDevice s,
    std::optional<bool> mmap) {
  core::StreamScope on(s);
  if (format && !is_format(*format)) {
    fail("load", "format is '", *format, "'; it should be ", formats, ".");
  }
  std::unique_ptr<InputObject> object = is_path(file) ? nullptr : std::make_unique<InputObject>(nb::borrow(file));
  io::SourceRef file_source;
  std::string kind = format ? *format : format_of(file, object.get(), file_source);
  if (kind.empty()) {
    fail("load", "cannot tell the format of the file", is_path(file) ? " '" + path_of(file) + "'" : "",
        " by its extension or its beginning; pass format=", formats, ".");
  }
  if (return_metadata && (kind == "npy" || kind == "npz")) {
    fail("load", "the format ", kind, " has no metadata; pass return_metadata=False.");
  }
  auto source = [&] { return object ? object->rest() : file_source ? file_source : opened(file); };
  if (kind == "npy") {
    bool map = mmap.value_or(false);
    return handle_of(object ? object->npy(map) : io::read_npy(source(), map));
  }
  bool map = mmap.value_or(true);
  nb::object metadata;
  io::ArrayList arrays;
  if (kind == "npz") {
    arrays = io::read_npz(source(), map);
  } else if (kind == "safetensors") {
    io::TextList texts;
    arrays = io::read_safetensors(source(), map, &texts);
    metadata = dict_of(texts, utf8);
  } else {
    io::MetadataList values;
    arrays = io::read_gguf(source(), map, &values);
    metadata = dict_of(values, metadata_object);
  }
  nb::dict out = dict_of(arrays, handle_of);
  return return_metadata ? nb::object(nb::make_tuple(out, metadata)) : nb::object(out);
}

} // namespace

void bind_files(nb::module_& m) {
  m.def("save", &save, "file"_a, "arr"_a, nb::sig("def save(file: _File | str | pathlib.Path, arr: array) -> None"),
      R"(Saves an array in a ``.npy`` file, as NumPy does.

The array is evaluated. A file is written as a whole or not at all: until the
new one is complete and on the disk, the old one is what it was.

Args:
    file (str, path or file): The name, which gets the extension ``.npy``
        where it lacks it; or an object with ``write``, which is written from
        where it stands.
    arr (array): The array, of any dtype. bfloat16 is written as ``'<V2'``.

Raises:
    RuntimeError: If the file cannot be written.

Example:
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.npy")
    >>> mx.save(path, mx.array([1, 2]))
    >>> mx.load(path)
    array([1, 2], dtype=int32)
)");
  m.def(
      "savez", [](nb::handle file, nb::args args, nb::kwargs kwargs) { savez("savez", file, args, kwargs, false); },
      "file"_a, "args"_a, "kwargs"_a,
      nb::sig("def savez(file: _File | str | pathlib.Path, *args: array, **kwargs: array) -> None"),
      R"(Saves several arrays in a ``.npz`` file, as NumPy does: a ZIP archive of
``.npy`` files.

Args:
    file (str, path or file): As for :func:`save`; the extension is ``.npz``.
    *args (array): Arrays that are called ``arr_0``, ``arr_1``, ...
    **kwargs (array): Arrays by name.

Raises:
    ValueError: If two arrays have one name.
    RuntimeError: If the file cannot be written.

Example:
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.npz")
    >>> mx.savez(path, mx.array(1), b=mx.array(2.5))
    >>> mx.load(path)
    {'b': array(2.5, dtype=float32), 'arr_0': array(1, dtype=int32)}
)");
  m.def(
      "savez_compressed",
      [](nb::handle file, nb::args args, nb::kwargs kwargs) { savez("savez_compressed", file, args, kwargs, true); },
      "file"_a, "args"_a, "kwargs"_a,
      nb::sig("def savez_compressed(file: _File | str | pathlib.Path, *args: array, **kwargs: array) -> None"),
      R"(As :func:`savez`, with every array deflated.

Args:
    file (str, path or file): As for :func:`save`; the extension is ``.npz``.
    *args (array): Arrays that are called ``arr_0``, ``arr_1``, ...
    **kwargs (array): Arrays by name.

Example:
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.npz")
    >>> mx.savez_compressed(path, x=mx.zeros((1000,)))
    >>> os.path.getsize(path) < 400
    True
)");
  call_directly<false>(m, "savez");
  call_directly<true>(m, "savez_compressed");
  m.def("save_safetensors", &save_safetensors, "file"_a, "arrays"_a, nb::arg("metadata") = nb::none(),
      nb::sig("def save_safetensors(file: _File | str | pathlib.Path, arrays: dict[str, array], metadata: dict[str, "
              "str] | None = None) -> None"),
      R"(Saves arrays in a ``.safetensors`` file.

Args:
    file (str, path or file): As for :func:`save`; the extension is
        ``.safetensors``.
    arrays (dict): Arrays by name, of any dtype but complex128. Arrays of
        eight-bit floats (:func:`to_fp8`) are saved as uint8.
    metadata (dict, optional): Texts by name.

Raises:
    ValueError: If the format does not have an array's dtype.
    RuntimeError: If the file cannot be written.

Example:
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.safetensors")
    >>> mx.save_safetensors(path, {"w": mx.array([1.0, 2.0])}, {"made by": "me"})
    >>> mx.load(path, return_metadata=True)
    ({'w': array([1, 2], dtype=float32)}, {'made by': 'me'})
)");
  m.def("save_gguf", &save_gguf, "file"_a, "arrays"_a, nb::arg("metadata") = nb::none(),
      nb::sig("def save_gguf(file: _File | str | pathlib.Path, arrays: dict[str, array], metadata: dict[str, array | "
              "str | list[str]]) -> None"),
      R"(Saves arrays in a ``.gguf`` file.

Args:
    file (str, path or file): As for :func:`save`; the extension is ``.gguf``.
    arrays (dict): Arrays by name, of dtype int8 to int64, float16, bfloat16,
        float32 or float64.
    metadata (dict, optional): By name, arrays with one axis or none, texts,
        or lists of texts. Numbers and lists of numbers become arrays.

Raises:
    ValueError: If the format does not have a dtype or a metadata value.
    RuntimeError: If the file cannot be written.

Example:
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.gguf")
    >>> mx.save_gguf(path, {"w": mx.array([1.0, 2.0])}, {"layers": mx.array(1), "words": ["a", "b"]})
    >>> mx.load(path, return_metadata=True)
    ({'w': array([1, 2], dtype=float32)}, {'layers': array(1, dtype=int32), 'words': ['a', 'b']})
)");
  m.def(
      "load",
      [](nb::handle file, std::optional<std::string> format, bool return_metadata, StreamOrDevice s,
          std::optional<bool> mmap) { return load(file, std::move(format), return_metadata, s, mmap); },
      nb::arg(), nb::arg("format") = nb::none(), nb::arg("return_metadata") = false, nb::kw_only(),
      nb::arg("stream") = nb::none(), nb::arg("mmap") = nb::none(),
      nb::sig("def load(file: _File | str | pathlib.Path, /, format: str | None = None, return_metadata: bool = False, "
              "*, stream: StreamOrDevice = None, mmap: bool | None = None) -> array | dict[str, array] | "
              "tuple[dict[str, array], dict[str, typing.Any]]"),
      R"(Loads what :func:`save`, :func:`savez`, :func:`save_safetensors`,
:func:`save_gguf` and other programs write.

The file's header is read and checked at once; the elements of an array are
read when it is evaluated. In a function that is compiled, exported or
transformed a loaded array is a constant: it is read once.

Args:
    file (str, path or file): The name of the file, or an object with
        ``read``, which is read from where it stands: a ``.npy`` array to its
        end, the other formats to the end of the object.
    format (str, optional): ``'npy'``, ``'npz'``, ``'safetensors'`` or
        ``'gguf'``. Default: what the name's extension says, or else the
        beginning of the file.
    return_metadata (bool, optional): Whether to return the metadata of a
        ``.safetensors`` or ``.gguf`` file, too. Default: ``False``.
    mmap (bool, optional): Whether large arrays are the file itself, mapped
        into memory, rather than a copy. Such a file must not be changed in
        place as long as they are in use. Default: for ``.safetensors`` and
        ``.gguf``.

Returns:
    array or dict: A ``.npy`` file has one array, the others have arrays by
    name; with ``return_metadata`` a pair of dictionaries. Eight-bit floats of
    ``.safetensors`` come as uint8 (see :func:`from_fp8`). A quantized array
    ``x.weight`` of ``.gguf`` comes as ``x.weight``, ``x.scales`` and
    ``x.biases`` (Q4_0, Q4_1, Q8_0), or as float16.

Raises:
    ValueError: If the file is damaged, or holds what no array can.
    RuntimeError: If the file cannot be read. From an evaluation: also if it
        was changed meanwhile.

Example:
    >>> import io
    >>> file = io.BytesIO()
    >>> mx.savez(file, x=mx.array([1, 2]))
    >>> position = file.seek(0)
    >>> mx.load(file)["x"]
    array([1, 2], dtype=int32)
)");
}

} // namespace mlx::python
