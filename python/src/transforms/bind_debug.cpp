// debug_nans and profile: watching evaluations from Python.
#include "mlx_core/debug.h"

#include "mlx_core/error.h"
#include "mlx_core/origin.h"
#include "python/src/array/convert.h"
#include "python/src/runtime/gil.h"
#include "python/src/runtime/made.h"
#include "python/src/runtime/origins.h"
#include "python/src/transforms/bind_transforms.h"

namespace mlx::python {

namespace {

// Entering and leaving wait for the evaluation in progress, which may need the interpreter lock to finish.
class DebugNans {
 public:
  explicit DebugNans(bool enabled) : enabled_(enabled) {}
  DebugNans(const DebugNans&) = delete;
  void enter() {
    if (enabled_) {
      recording_.emplace_back(new RecordOrigins);
      WithoutGil released;
      checks_.emplace_back(new core::FiniteCheck);
    }
  }
  void exit() {
    if (!checks_.empty()) {
      {
        WithoutGil released;
        checks_.pop_back();
      }
      recording_.pop_back();
    }
  }

 private:
  bool enabled_;
  std::vector<std::unique_ptr<RecordOrigins>> recording_;
  std::vector<std::unique_ptr<core::FiniteCheck>> checks_;
};

class Profile {
 public:
  void enter() {
    if (recording_) {
      core::fail<std::runtime_error>("profile", "this profile is running already; make another with mx.profile().");
    }
    recording_ = std::make_unique<RecordOrigins>();
    WithoutGil released;
    profile_.start();
  }
  void exit() {
    {
      WithoutGil released;
      profile_.stop();
    }
    recording_.reset();
  }
  const core::Profile& finished() const {
    if (recording_) {
      core::fail<std::runtime_error>("profile", "the profile is still running; read it after its with block.");
    }
    return profile_;
  }

 private:
  core::Profile profile_;
  std::unique_ptr<RecordOrigins> recording_;
};

nb::list events(const Profile& profile) {
  nb::list out;
  for (const core::Profile::Event& event : profile.finished().events()) {
    const core::Origin& origin = core::origin_at(event.origin);
    nb::dict d;
    d["name"] = event.name();
    d["ops"] = event.ops;
    d["group"] = event.group < 0 ? nb::none() : nb::cast(event.group);
    d["start"] = event.start;
    d["seconds"] = event.seconds;
    d["own_seconds"] = event.own_seconds;
    d["bytes"] = event.bytes;
    d["result"] = event.result;
    d["file"] = origin.line ? nb::cast(origin.file) : nb::none();
    d["line"] = origin.line ? nb::cast(origin.line) : nb::none();
    d["function"] = origin.line ? nb::cast(origin.function) : nb::none();
    d["pass"] = origin.pass.empty() ? "forward" : origin.pass;
    out.append(d);
  }
  return out;
}

void bind_debug_nans(nb::module_& m) {
  nb::class_<DebugNans>(m, "_DebugNans")
      .def("__enter__",
          [](nb::object self) {
            made<DebugNans>(self).enter();
            return self;
          })
      .def(
          "__exit__", [](DebugNans& self, nb::args) { self.exit(); },
          nb::sig("def __exit__(self, *error: object) -> None"));
  m.def(
      "debug_nans", [](bool enabled) { return new DebugNans(enabled); }, nb::arg("enabled") = true,
      nb::sig("def debug_nans(enabled: bool = True) -> contextlib.AbstractContextManager[typing.Any]"),
      R"(Finds out where the first NaN or infinity comes from.

Inside the block every evaluation computes one operation at a time, and
raises where a NaN or an infinity comes out of operands that have none. The
error names the operation and its parameters, the line of Python that called
for it, the place in the result, the lane where :func:`vmap` mapped it, and
the pass: ``forward``, ``vjp``, ``jvp``, ``vmap``, or several
(``vmap(vjp)``). An operation of a backward pass has the line that it is the
derivative of. An infinity that the program itself puts in, as in a mask, is
no error, nor is what follows from it.

In derivatives 0 times anything is 0. Where that hides an infinite or NaN
slope, and the 0 is a slope, too, and not what a mask (``where``, a place that
is not read) took out, it is an error likewise: ``cos(sqrt(x))`` at 0.

Operations that were called before the block are checked when they are
evaluated in it, but their lines are unknown; what is evaluated after the
block is not checked. The check holds for all threads.

Args:
    enabled (bool, optional): ``False`` makes the block do nothing. Default:
        ``True``.

Returns:
    context manager: To be used as ``with mx.debug_nans():``.

Raises:
    FloatingPointError: From an evaluation in the block.

Example:
    >>> with mx.debug_nans():
    ...     y = mx.log(mx.array([1.0, 0.0])) * 2
    ...     try:
    ...         mx.eval(y)
    ...     except FloatingPointError as error:
    ...         print(str(error).split(" of a result")[0])
    [debug_nans] Log gave -inf at index (1,)
)");
}

void bind_profile(nb::module_& m) {
  nb::class_<Profile>(m, "_Profile", "What was computed in a ``with mx.profile() as p:`` block.")
      .def("__enter__",
          [](nb::object self) {
            made<Profile>(self).enter();
            return self;
          })
      .def(
          "__exit__", [](Profile& self, nb::args) { self.exit(); },
          nb::sig("def __exit__(self, *error: object) -> None"))
      .def("__str__", [](const Profile& self) { return self.finished().table(); })
      .def_prop_ro("events", events, nb::sig("def events(self) -> list[dict[str, typing.Any]]"),
          "A dictionary for each pass over memory, in the order in which they were done: ``name``, ``ops`` (the "
          "names of the operations that were fused), ``group`` (the number of the fused group, or None), ``start`` "
          "and ``seconds``, ``own_seconds`` (without operations inside, as in the body of a checkpoint), ``bytes`` "
          "(read and written), ``result``, ``file``, ``line``, ``function``, ``pass``.")
      .def(
          "chrome_trace",
          [](const Profile& self, nb::handle path) {
            nb::object opened = nb::module_::import_("builtins").attr("open")(path, "w", nb::arg("encoding") = "utf-8");
            opened.attr("write")(self.finished().chrome_trace());
            opened.attr("close")();
          },
          nb::arg("path"), nb::sig("def chrome_trace(self, path: str | os.PathLike[str]) -> None"),
          "Writes the events for ``chrome://tracing`` or https://ui.perfetto.dev.");
  m.def(
      "profile", [] { return new Profile; }, nb::sig("def profile() -> contextlib.AbstractContextManager[typing.Any]"),
      R"(Records the time, the bytes and the fused groups of what is evaluated.

Elementwise operations that run in one pass over memory are one entry, with
the names of all of them: their times cannot be told apart. Bytes are those
read and written by the pass; values that stay inside a fused group move none.

Returns:
    context manager: Gives an object ``p``. After the block, ``str(p)`` is a
    table, the longest total time first; ``p.events`` has every entry, and
    ``p.chrome_trace(path)`` writes them for ``chrome://tracing``. Evaluations
    of all threads are recorded.

Example:
    >>> with mx.profile() as p:
    ...     mx.eval(mx.sum(mx.sin(mx.ones((4,))) * 2))
    >>> p.events[-1]["ops"]
    ['Sin', 'Multiply', 'Sum']
)");
}

} // namespace

void bind_debug(nb::module_& m) {
  bind_debug_nans(m);
  bind_profile(m);
}

} // namespace mlx::python
