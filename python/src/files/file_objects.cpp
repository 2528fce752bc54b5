// Readers and writers that call methods of Python objects.
#include "python/src/files/file_objects.h"

#include <algorithm>
#include <cstring>

#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/error.h"
#include "python/src/runtime/argument_errors.h"

namespace mlx::python {

using core::fail;
namespace io = core::io;

bool is_path(nb::handle file) {
  return PyUnicode_Check(file.ptr()) || PyBytes_Check(file.ptr()) || nb::hasattr(file, "__fspath__");
}

std::string path_of(nb::handle file) {
  nb::object encoded = nb::module_::import_("os").attr("fsencode")(file);
  return std::string(PyBytes_AS_STRING(encoded.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(encoded.ptr())));
}

std::string extension_of(nb::handle file) {
  nb::object name = is_path(file) ? nb::borrow(file) : nb::getattr(file, "name", nb::none());
  if (!is_path(name)) { // an int, of a file that was opened by its descriptor
    return "";
  }
  std::string path = path_of(name);
  size_t dot = path.rfind('.'), slash = path.rfind('/');
  return dot == path.npos || (slash != path.npos && dot < slash) ? "" : path.substr(dot);
}

namespace {

std::string label_of(nb::handle file) {
  nb::object name = nb::getattr(file, "name", nb::none());
  if (PyUnicode_Check(name.ptr())) {
    return "'" + std::string(nb::str(name.attr("encode")("utf-8", "replace").attr("decode")("utf-8")).c_str()) + "'";
  }
  return std::string("the ") + Py_TYPE(file.ptr())->tp_name + " object";
}

class ObjectWriter final : public io::Writer {
 public:
  ObjectWriter(const char* op, nb::object file) : op_(op), label_(label_of(file)), write_(file.attr("write")) {}
  ~ObjectWriter() override {
    nb::gil_scoped_acquire locked;
    write_.reset();
  }
  void write(const char* from, size_t bytes) override {
    constexpr size_t at_once = size_t{8} << 20;
    nb::gil_scoped_acquire locked;
    while (bytes > 0) {
      size_t now = std::min(bytes, at_once);
      nb::object done = write_(nb::bytes(from, now)); // a copy: the object may keep it
      if (PyLong_Check(done.ptr())) {                 // an unbuffered one may take a part
        Py_ssize_t count = PyLong_AsSsize_t(done.ptr());
        if (count <= 0 || static_cast<size_t>(count) > now) {
          PyErr_Clear();
          fail<std::runtime_error>(op_, label_, ": write() took none of ", now, " bytes.");
        }
        now = static_cast<size_t>(count);
      }
      from += now;
      bytes -= now;
    }
  }
  std::string label() const override { return label_; }

 private:
  const char* op_;
  std::string label_;
  nb::object write_;
};

class ObjectReader final : public io::Reader {
 public:
  explicit ObjectReader(nb::object file) : label_(label_of(file)), read_(file.attr("read")) {}
  size_t read(char* to, size_t bytes) override {
    nb::object got = read_(bytes);
    if (got.is_none()) {
      fail<std::runtime_error>("load", label_, " has nothing to read now: it does not block.");
    }
    if (PyUnicode_Check(got.ptr())) {
      fail<core::TypeError>("load", label_, " is read as text; open it in binary mode.");
    }
    Py_buffer view;
    if (PyObject_GetBuffer(got.ptr(), &view, PyBUF_SIMPLE) != 0) {
      PyErr_Clear();
      fail<core::TypeError>("load", label_, ": read() returned ", described(got), "; it should be bytes.");
    }
    size_t size = static_cast<size_t>(view.len);
    if (size <= bytes && size > 0) {
      core::cpu::copy_contiguous(to, view.buf, size);
    }
    PyBuffer_Release(&view);
    if (size > bytes) {
      fail<std::runtime_error>("load", label_, ": read(", bytes, ") returned ", size, " bytes.");
    }
    return size;
  }
  std::string label() const override { return label_; }

 private:
  std::string label_;
  nb::object read_;
};

bool answers_yes(nb::handle file, const char* question) {
  nb::object method = nb::getattr(file, question, nb::none());
  return PyCallable_Check(method.ptr()) && PyObject_IsTrue(method().ptr()) == 1;
}

} // namespace

std::unique_ptr<io::Writer> writer_of(const char* op, nb::object file) {
  if (!nb::hasattr(file, "write")) {
    fail<core::TypeError>(op, "file is ", described(file), "; it should be a path, or have write().");
  }
  return std::make_unique<ObjectWriter>(op, std::move(file));
}

InputObject::InputObject(nb::object file) : file_(std::move(file)) {
  if (!nb::hasattr(file_, "read")) {
    fail<core::TypeError>("load", "file is ", described(file_), "; it should be a path, or have read().");
  }
  reader_ = std::make_unique<ObjectReader>(file_);
  // Only of these classes is the descriptor known to have the bytes that read() gives.
  nb::object io_module = nb::module_::import_("io");
  nb::handle type = file_.type();
  bool buffered = type.is(io_module.attr("BufferedReader")) || type.is(io_module.attr("BufferedRandom"));
  if (buffered && nb::object(file_.attr("raw")).type().is(io_module.attr("FileIO")) && answers_yes(file_, "seekable")) {
    if (type.is(io_module.attr("BufferedRandom"))) {
      file_.attr("flush")();
    }
    descriptor_ = nb::cast<int>(file_.attr("fileno")());
    position_ = nb::cast<int64_t>(file_.attr("tell")());
  }
}

io::SourceRef InputObject::open_descriptor() { return io::open_descriptor(descriptor_, position_, reader_->label()); }

io::SourceRef InputObject::beginning() {
  if (descriptor_ >= 0) {
    return open_descriptor();
  }
  if (!answers_yes(file_, "seekable")) {
    return nullptr;
  }
  nb::object position = file_.attr("tell")();
  io::SourceRef all = [&] {
    class FirstBytes final : public io::Reader {
     public:
      explicit FirstBytes(io::Reader& in) : in_(in) {}
      size_t read(char* to, size_t bytes) override {
        size_t got = left_ > 0 ? in_.read(to, std::min(bytes, left_)) : 0;
        left_ -= got;
        return got;
      }
      std::string label() const override { return in_.label(); }

     private:
      io::Reader& in_;
      size_t left_ = 16;
    } first(*reader_);
    return io::read_whole(first);
  }();
  file_.attr("seek")(position);
  return all;
}

io::SourceRef InputObject::rest() {
  if (descriptor_ < 0) {
    return io::read_whole(*reader_);
  }
  io::SourceRef source = open_descriptor();
  file_.attr("seek")(0, 2);
  return source;
}

core::array InputObject::npy(bool map) {
  if (descriptor_ < 0) {
    return io::read_npy(*reader_);
  }
  io::SourceRef source = open_descriptor();
  core::array a = io::read_npy(source, map);
  file_.attr("seek")(position_ + io::read_npy_header(*source).end + static_cast<int64_t>(a.nbytes()));
  return a;
}

} // namespace mlx::python
