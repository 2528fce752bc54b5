// The recordings of control flow, by the code of its functions.
#include "python/src/transforms/control_calls.h"

#include <algorithm>

#include "mlx_core/compile.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/frame.h"
#include "python/src/compile/recordings.h"

namespace mlx::python {

namespace {

constexpr size_t most_kept = 256;    // sets of functions
constexpr size_t calls_of_trial = 8; // after which recordings that rarely serve are given up

// What is known of calls with functions of this code.
struct Known {
  std::vector<nb::object> codes; // kept, so that no other code gets their addresses
  Recordings recordings{Recordings::Use::control_flow};
  std::atomic<bool> just_runs = false;
};

core::Cache<Known>& known_calls() {
  static auto& cache = *new core::Cache<Known>(most_kept); // never destroyed: Python may be gone
  return cache;
}

// A call as compile sees one.
class ControlCall final : public Transformation {
 public:
  using Run = std::function<nb::object(std::span<PyObject* const>)>;
  ControlCall(const char* op, const nb::tuple& functions, const Run& run)
      : Transformation(functions), op_(op), run_(run) {}
  const char* name() const override { return op_; }
  nb::object call(const CallArguments& arguments) const override { return run_(arguments.values); }
  nb::object call_fun(std::span<PyObject* const> values, const CallArguments&) const override { return run_(values); }

 private:
  const char* op_;
  const Run& run_;
};

nb::handle code_of(nb::handle function) {
  PyObject* f = PyMethod_Check(function.ptr()) ? PyMethod_GET_FUNCTION(function.ptr()) : function.ptr();
  return PyFunction_Check(f) ? PyFunction_GET_CODE(f) : nullptr;
}

std::shared_ptr<Known> known_call(const char* op, const nb::tuple& functions, bool& first) {
  std::string key;
  core::append_bytes(key, op);
  for (nb::handle function : functions) {
    nb::handle code = code_of(function);
    if (!code) {
      return nullptr;
    }
    core::append_bytes(key, code.ptr());
  }
  std::shared_ptr<Known> known = known_calls().at(key, 0);
  first = !known;
  if (first) {
    known = std::make_shared<Known>();
    for (nb::handle function : functions) {
      known->codes.push_back(nb::borrow(code_of(function)));
    }
    known_calls().insert(key, known);
  }
  return known;
}

// Within a derivative it may: what is recorded is a program, through which transforms see. What is recorded around it
// has the functions run, as they are part of that; lanes of a vmap are what a log stands for.
bool may_be_recorded() {
  const std::vector<core::Frame*>& frames = core::Frame::open();
  auto differentiates = [](const core::Frame* f) { return f->kind() == core::Frame::Kind::differentiate; };
  return !open_handle_log && !core::RecordingScope::op() && std::all_of(frames.begin(), frames.end(), differentiates);
}

} // namespace

nb::object control_call(const char* op, const nb::tuple& functions, std::span<PyObject* const> arguments,
    const std::function<nb::object(std::span<PyObject* const>)>& run) {
  bool first = true;
  std::shared_ptr<Known> known;
  if (may_be_recorded() && core::compile_is_enabled()) {
    known = known_call(op, functions, first);
  }
  if (!known || first || known->just_runs) {
    return run(arguments);
  }
  auto [calls, traces] = known->recordings.calls_and_traces();
  if (calls >= calls_of_trial && 2 * traces > calls) {
    known->just_runs = true;
    return run(arguments);
  }
  ControlCall call(op, functions, run);
  try {
    return known->recordings.call({call, nb::none(), nb::none()}, {arguments, arguments.size(), nullptr});
  } catch (const std::invalid_argument&) { // it cannot be recorded, or fails anyway and says why as it would at once
    known->just_runs = true;
    return run(arguments);
  }
}

} // namespace mlx::python
