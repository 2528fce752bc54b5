// compile: Python functions recorded once for each kind of call.
#include <deque>
#include <mutex>

#include "mlx_core/compile.h"
#include "mlx_core/compile/cache.h"
#include "mlx_core/compile/shapeless.h"
#include "mlx_core/error.h"
#include "python/src/bind_transforms.h"
#include "python/src/call_description.h"
#include "python/src/compiled_trace.h"
#include "python/src/dim_object.h"
#include "python/src/runtime_scalar.h"
#include "python/src/type_questions.h"

namespace mlx::python {

namespace {

constexpr size_t traces_before_warning = 32;
constexpr size_t reasons_kept = 16;
constexpr size_t kinds_with_numbers = 16 * core::recordings_per_function;

class Compiled final : public Transformation {
 public:
  Compiled(nb::handle fun, nb::handle inputs, nb::handle outputs, bool shapeless, bool explain)
      : Transformation(fun),
        inputs_(nb::borrow(inputs)),
        outputs_(nb::borrow(outputs)),
        shapeless_(shapeless),
        explain_(explain) {}

  const char* name() const override { return "compile"; }
  void traverse(Traversal& owned) const override {
    owned(inputs_);
    owned(outputs_);
    cache_.try_each([&](const std::shared_ptr<const CompiledTrace>& trace) { trace->traverse(owned); });
  }

  nb::object call(const CallArguments& arguments) const override {
    if (!core::compile_is_enabled() || core::sizes_are_open()) { // open sizes stay open in what is called inside
      return call_fun(arguments.values, arguments);
    }
    ++calls_;
    CallKey key(arguments, inputs_, !shapeless_);
    std::vector<bool> runtime = runtime_numbers(key);
    std::shared_ptr<const CompiledTrace> trace = find(key);
    if (!trace) {
      trace = record(arguments, key, runtime);
    }
    return trace->must_run_itself() ? call_fun(arguments.values, arguments)
                                    : trace->run({*this, inputs_, outputs_}, key);
  }

  nb::dict stats() const {
    std::lock_guard lock(mutex_);
    nb::dict d;
    d["calls"] = calls_.load();
    d["traces"] = traces_;
    d["cached"] = cache_.size();
    d["operations"] = nb::make_tuple(operations_.first, operations_.second);
    d["evictions"] = cache_.evictions();
    nb::list reasons;
    for (const std::string& reason : reasons_) {
      reasons.append(reason);
    }
    d["reasons"] = reasons;
    return d;
  }

 private:
  // What is known of the numbers in calls that are alike but for their numbers.
  struct Numbers {
    std::string first;  // the key's bytes with the first values
    bool vary = false;  // given at each call
    bool fixed = false; // their values are needed while recording
  };

  // Decides which numbers are given at each call, and makes the key independent of them.
  std::vector<bool> runtime_numbers(CallKey& key) const {
    std::vector<bool> runtime(key.numbers().size(), false);
    if (runtime.empty()) {
      return runtime;
    }
    std::lock_guard lock(mutex_);
    if (numbers_.size() >= kinds_with_numbers) {
      numbers_.clear(); // they are learnt again
    }
    std::vector<Numbers>& known = numbers_[key.bytes_without_numbers()];
    if (known.empty()) {
      known.resize(runtime.size());
      for (size_t i = 0; i < runtime.size(); ++i) {
        known[i].first = bytes_of(key, i);
      }
    }
    for (size_t i = 0; i < runtime.size(); ++i) {
      known[i].vary = known[i].vary || known[i].first != bytes_of(key, i);
      runtime[i] = known[i].vary && !known[i].fixed;
    }
    for (size_t i = 0; i < runtime.size(); ++i) {
      if (runtime[i]) {
        key.forget(key.numbers()[i]);
      }
    }
    return runtime;
  }
  static std::string bytes_of(const CallKey& key, size_t i) {
    const CallKey::Number& number = key.numbers()[i];
    return key.bytes().substr(number.offset, number.size());
  }
  void fix_numbers(const CallKey& key) const {
    std::lock_guard lock(mutex_);
    for (Numbers& number : numbers_[key.bytes_without_numbers()]) {
      number.fixed = true;
    }
  }

  std::shared_ptr<const CompiledTrace> find(const CallKey& key) const {
    // Comparing objects may run Python code, hence outside of the cache's lock.
    for (size_t i = 0;; ++i) {
      std::shared_ptr<const CompiledTrace> trace = cache_.at(key.bytes(), i);
      if (!trace || trace->fits(key)) {
        return trace;
      }
    }
  }

  std::shared_ptr<const CompiledTrace> record(
      const CallArguments& arguments, CallKey& key, std::vector<bool>& runtime) const {
    explain(arguments, key);
    std::shared_ptr<const CompiledTrace> trace;
    try {
      trace = attempt(arguments, key, runtime);
    } catch (nb::python_error&) {
      if (std::find(runtime.begin(), runtime.end(), true) == runtime.end()) {
        throw;
      }
      // The function needs the value of a number, or fails anyway: it is recorded for these numbers.
      fix_numbers(key);
      key = CallKey(arguments, inputs_, !shapeless_);
      if ((trace = find(key))) {
        return trace;
      }
      runtime.assign(key.numbers().size(), false);
      trace = attempt(arguments, key, runtime);
    }
    {
      std::lock_guard lock(mutex_);
      operations_ = trace->operations();
    }
    if (trace->reusable()) {
      cache_.insert(key.bytes(), trace);
    }
    return trace;
  }

  std::shared_ptr<const CompiledTrace> attempt(
      const CallArguments& arguments, CallKey& key, const std::vector<bool>& runtime) const {
    CompiledFunction function{*this, inputs_, outputs_};
    if (!shapeless_) {
      return std::make_shared<CompiledTrace>(function, arguments, key, runtime, false);
    }
    std::string why;
    uint64_t shown = dims_shown();
    try {
      if (!asks_for_types(fun())) {
        return std::make_shared<CompiledTrace>(function, arguments, key, runtime, true);
      }
      why = "it asks for the type of something, which a size is not to be known by";
    } catch (const std::invalid_argument& error) {
      why = error.what();
    } catch (nb::python_error& error) { // a number that is no int at heart may be the reason
      bool numbers_matter = std::find(runtime.begin(), runtime.end(), true) != runtime.end();
      if (numbers_matter || shown == dims_shown() || !error.matches(PyExc_Exception)) {
        throw;
      }
      why = error.what();
    }
    // With sizes as they are now. If it fails again, that is the function's own error.
    CallKey sized(arguments, inputs_, true);
    for (size_t i = 0; i < std::min(runtime.size(), sized.numbers().size()); ++i) {
      if (runtime[i]) {
        sized.forget(sized.numbers()[i]);
      }
    }
    auto trace = std::make_shared<CompiledTrace>(function, arguments, sized, runtime, false);
    note("its sizes cannot be left open: " + why);
    shapeless_ = false;
    key = std::move(sized);
    return trace;
  }

  void note(const std::string& reason) const {
    {
      std::lock_guard lock(mutex_);
      reasons_.push_back(reason);
      if (reasons_.size() > reasons_kept) {
        reasons_.pop_front();
      }
    }
    if (explain_) {
      PySys_FormatStderr("[compile] %s is recorded: %s\n", function_name().c_str(), reason.c_str());
    }
  }
  std::string function_name() const {
    return nb::cast<std::string>(nb::str(nb::getattr(fun(), "__name__", nb::repr(fun()))));
  }

  // Notes why a call needs a recording of its own.
  void explain(const CallArguments& arguments, const CallKey& key) const {
    std::shared_ptr<const CompiledTrace> unfit = cache_.at(key.bytes(), 0);
    std::string reason = unfit ? unfit->misfit(key) : std::string();
    CallDescription now(*this, arguments, inputs_);
    bool warn = false;
    {
      std::lock_guard lock(mutex_);
      if (reason.empty()) {
        reason = traces_ == 0 ? "the first call" : now.difference(last_);
      }
      last_ = std::move(now);
      warn = ++traces_ == traces_before_warning;
    }
    note(reason);
    if (warn && PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                    "[compile] %s has been recorded %d times, the last time because %s. Recording costs more than a "
                    "call without compile; mx.compile(..., explain=True) says why each time.",
                    function_name().c_str(), static_cast<int>(traces_before_warning), reason.c_str())) {
      throw nb::python_error();
    }
  }

  nb::object inputs_, outputs_;
  mutable std::atomic<bool> shapeless_; // false once it turned out to be impossible
  bool explain_;
  mutable core::Cache<const CompiledTrace> cache_{core::recordings_per_function};
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, std::vector<Numbers>> numbers_;
  mutable std::atomic<size_t> calls_ = 0;
  mutable size_t traces_ = 0;
  mutable std::pair<size_t, size_t> operations_;
  mutable std::deque<std::string> reasons_;
  mutable CallDescription last_;
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

A float or complex argument is a constant of the recording at first; from its
second value on it is given at each call, unless ``fun`` needs its value (in a
condition, as a Python number). Other numbers, strings and hashable objects
are constants of a recording.

Arrays that ``fun`` uses from around it are read again at each call. A change
in place (``w[0] = 1``, ``w += 1``) is seen, also when ``fun`` makes it; where
a variable, or a container or object in one, holds another array, ``fun`` is
recorded anew. Random numbers drawn without a key go on with the implicit
sequence. Inside other transforms the result is as that of ``fun`` itself, so
that they nest in any order.

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
        return compiled->stats();
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
