// compile: Python functions recorded once for each kind of call.
#include "mlx_core/compile.h"
#include "mlx_core/error.h"
#include "mlx_core/trace_level.h"
#include "python/src/compile/recordings.h"
#include "python/src/compile/runtime_scalar.h"
#include "python/src/transforms/bind_transforms.h"

namespace mlx::python {

namespace {

class Compiled final : public Transformation {
 public:
  Compiled(nb::handle fun, nb::handle inputs, nb::handle outputs, bool shapeless, bool explain)
      : Transformation(fun, nb::make_tuple("compile")), // what is part of another recording just runs
        inputs_(nb::borrow(inputs)),
        outputs_(nb::borrow(outputs)),
        recordings_(Recordings::Use::compile, shapeless, explain) {}

  const char* name() const override { return "compile"; }
  void traverse(Traversal& owned) const override {
    owned(inputs_);
    owned(outputs_);
    recordings_.traverse(owned);
  }
  nb::object call(const CallArguments& arguments) const override {
    bool runs = !core::compile_is_enabled();
    if (core::RecordingScope::of_program()) { // it is part of that
      CompiledTrace::note_outputs(outputs_);
      runs = true;
    }
    return runs ? call_fun(arguments.values, arguments) : recordings_.call({*this, inputs_, outputs_}, arguments);
  }
  core::CompileStats stats() const { return recordings_.stats(); }

 private:
  nb::object inputs_, outputs_;
  mutable Recordings recordings_;
};

} // namespace

void bind_compile(nb::module_& m) {
  bind_runtime_scalar(m);
  m.def(
      "compile",
      [](nb::handle fun, nb::handle inputs, nb::handle outputs, bool shapeless, bool explain) {
        return make_transformed(std::make_unique<Compiled>(fun, inputs, outputs, shapeless, explain));
      },
      nb::arg("fun"), nb::arg("inputs").none() = nb::none(), nb::arg("outputs").none() = nb::none(),
      nb::arg("shapeless") = false, nb::kw_only(), nb::arg("explain") = false,
      nb::sig("def compile(fun: collections.abc.Callable[_P, _R], inputs: object | None = None, outputs: object | None "
              "= None, "
              "shapeless: bool = False, *, explain: bool = False) -> collections.abc.Callable[_P, _R]"),
      R"(A function that is recorded once and then replayed, with the same result to the bit.

The first call with arguments of a kind (their containers, the shapes and
dtypes of arrays, and the values of everything else) runs ``fun`` on arrays
without values. Common subexpressions are computed once. Later calls of that
kind do not run ``fun``: its side effects happen once, too.

A float, complex or int argument is a constant of the recording at first; from its
second value on it is given at each call, unless ``fun`` needs its value (in a
condition, as an index). Strings and other hashable objects
are constants of a recording. A NumPy array is an array, as ``mx.array`` makes
it, wherever it stands among the arguments; a NumPy scalar is a constant.

What ``fun`` reads from around it, through variables, containers, attributes,
classes and other functions, at any depth, is looked at again at each call:
where there is another number, flag, string, container or array, ``fun`` is
recorded anew. A change of an array in place (``w[0] = 1``, ``w += 1``) is
seen, also when ``fun`` makes it, and an array or a float that was replaced
once is read anew at each call. ``docs/compile.md`` says what is not seen
(what properties compute, large NumPy arrays). Random numbers drawn without a key go on with the implicit
sequence. Inside other transforms the result is as that of ``fun`` itself, so
that they nest in any order. Called while another function is recorded, it is
part of that recording: ``fun`` runs, and none is made of it alone.

Args:
    fun (callable): Takes and returns arrays, or trees of arrays and other
        things. It must not read values of its array arguments.
    inputs (object, optional): A list or dict, or nested ones, whose arrays are
        read by ``fun`` and may be other ones at each call.
    outputs (object, optional): Containers in which ``fun`` puts other arrays:
        at each call the new ones are put there.
    shapeless (bool): Let one recording serve arguments of other sizes (not
        other numbers of axes). Sizes are then :class:`Dim` objects: ints on
        which arithmetic is recorded. Where ``fun``, or an operation, compares
        one, the recording holds for the sizes that compare alike; where one is
        needed as a number, for that number. Others are recorded anew.
        Default: ``False``.
    explain (bool): Write to standard error why each recording is made.

Returns:
    callable: Takes the arguments of ``fun`` and returns what ``fun`` returns.
    The 64 most recently used recordings are kept; see :func:`compile_stats`.

Raises:
    TypeError: If ``fun`` is not a callable; from the returned function, if an
        argument is neither an array nor hashable.
    ValueError: From the returned function, if ``fun`` reads the value of an
        array, or keeps one somewhere else than in ``outputs``.

Example:
    >>> f = mx.compile(lambda x, scale: mx.exp(-x) * scale)
    >>> f(mx.array(0.0), 3.0)
    array(3, dtype=float32)
    >>> mx.compile_stats(f)["traces"]
    1
)");
  m.def(
      "compile_stats",
      [](nb::handle fun) {
        auto* compiled = dynamic_cast<const Compiled*>(transformation_of(fun));
        if (!compiled) {
          core::fail<core::TypeError>(
              "compile_stats", "fun is a ", class_name(fun), "; it should be what mx.compile returned.");
        }
        core::CompileStats stats = compiled->stats();
        nb::dict d;
        d["calls"] = stats.calls;
        d["traces"] = stats.traces;
        d["cached"] = stats.cached;
        d["operations"] = nb::make_tuple(stats.operations.first, stats.operations.second);
        d["evictions"] = stats.evictions;
        nb::list reasons;
        for (const std::string& reason : stats.reasons) {
          reasons.append(reason);
        }
        d["reasons"] = reasons;
        return d;
      },
      nb::arg("fun"),
      nb::sig("def compile_stats(fun: collections.abc.Callable[..., typing.Any]) -> dict[str, typing.Any]"),
      R"(What a compiled function has done so far.

Args:
    fun (callable): What :func:`compile` returned.

Returns:
    dict: ``calls``; ``traces``, how often the function was recorded;
    ``cached``, the recordings kept; ``evictions``, those let go for newer
    ones; ``operations``, how many operations the last recording found and how
    many it does; ``reasons``, why the last recordings were made, oldest first.

Raises:
    TypeError: If ``fun`` is no compiled function.

Example:
    >>> f = mx.compile(lambda x: x + 1)
    >>> f(mx.zeros((2,))), f(mx.zeros((3,)))
    (array([1, 1], dtype=float32), array([1, 1, 1], dtype=float32))
    >>> mx.compile_stats(f)["reasons"]
    ['the first call', 'x was float32(2,), is float32(3,)']
)");
  m.def("disable_compile", &core::disable_compile,
      R"(Lets compiled functions run as they are, until :func:`enable_compile`.

The environment variable ``MLX_DISABLE_COMPILE`` does so from the beginning.

Example:
    >>> mx.disable_compile()
    >>> mx.compile(lambda x: print("runs") or x)(mx.array(1.0))
    runs
    array(1, dtype=float32)
    >>> mx.enable_compile()
)");
  m.def("enable_compile", &core::enable_compile, R"(Undoes :func:`disable_compile`.

Example:
    >>> mx.enable_compile()
)");
}

} // namespace mlx::python
