// Which recording serves a call, and what is learnt from calls that none serves.
#include "python/src/compile/recordings.h"

#include <algorithm>

#include "mlx_core/error.h"
#include "mlx_core/interruption.h"
#include "python/src/compile/dim_object.h"
#include "python/src/compile/runtime_scalar.h"

namespace mlx::python {

namespace {

constexpr size_t traces_before_warning = 32;
constexpr size_t kinds_with_numbers = 16 * core::recordings_per_function;
constexpr size_t misfits_before_warning = 3; // of one place
constexpr size_t most_counted = 1000;        // places

std::string bytes_of(const CallKey& key, size_t i) {
  const CallKey::Number& number = key.numbers()[i];
  return key.bytes().substr(number.offset, number.size);
}

std::string name_of_function(const CompiledFunction& function) {
  return nb::cast<std::string>(
      nb::str(nb::getattr(function.transformation.fun(), "__name__", nb::repr(function.transformation.fun()))));
}

} // namespace

template <typename... Values>
void Recordings::warn(const char* format, Values... values) const {
  std::string text = std::string("[compile] ") + format;
  if (use_ == Use::compile && PyErr_WarnFormat(PyExc_RuntimeWarning, 1, text.c_str(), values...)) {
    throw nb::python_error();
  }
}

nb::object Recordings::call(const CompiledFunction& function, const CallArguments& arguments) {
  log_.count_call();
  CallKey key(arguments, function.inputs, !shapeless_);
  Surroundings::Found found;
  std::vector<nb::object> owned;                                      // what is found while recording
  Trace trace = numbers_vary_ ? nullptr : find(function, key, found); // as the numbers are
  if (!trace) {
    std::vector<bool> runtime = runtime_numbers(key);
    trace = find(function, key, found);
    if (!trace) {
      trace = record(function, arguments, key, runtime, found, owned);
    }
  }
  return trace->must_run_itself() ? function.transformation.call_fun(arguments.values, arguments)
                                  : trace->run(key, found);
}

// Decides which numbers are given at each call, and makes the key independent of them.
std::vector<bool> Recordings::runtime_numbers(CallKey& key) {
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
    numbers_vary_ = numbers_vary_ || known[i].vary;
    runtime[i] = known[i].vary && !known[i].fixed;
  }
  for (size_t i = 0; i < runtime.size(); ++i) {
    if (runtime[i]) {
      key.forget(key.numbers()[i]);
    }
  }
  return runtime;
}

// Ints first, which are needed more often than floats; then all numbers.
void Recordings::fix_numbers(
    const CallKey& key, const std::vector<bool>& runtime, const std::vector<std::string>& ints_around) {
  std::lock_guard lock(mutex_);
  bool any = !ints_around.empty();
  for (const std::string& name : ints_around) {
    given_.numbers.erase(name);
    fixed_around_.insert(name);
  }
  std::vector<Numbers>& numbers = numbers_[key.bytes_without_numbers()];
  for (size_t i = 0; i < std::min(numbers.size(), runtime.size()); ++i) {
    if (runtime[i] && counts_as_int(key.numbers()[i].value.ptr())) {
      numbers[i].fixed = any = true;
    }
  }
  if (!any) {
    for (Numbers& number : numbers) {
      number.fixed = true;
    }
    fixed_around_.merge(given_.numbers);
    given_.numbers.clear();
  }
}

Surroundings Recordings::look_around(const CompiledFunction& function, const CallKey& key) const {
  Surroundings::Given given;
  {
    std::lock_guard lock(mutex_);
    given = given_;
  }
  return Surroundings(where_to_look(function, key), given);
}

Recordings::Trace Recordings::find(const CompiledFunction& function, const CallKey& key, Surroundings::Found& found) {
  return cache_.find(key.bytes(), [&](const CompiledTrace& trace) { return trace.fits(function, key, found); });
}

Recordings::Trace Recordings::record(const CompiledFunction& function, const CallArguments& arguments, CallKey& key,
    std::vector<bool>& runtime, Surroundings::Found& found, std::vector<nb::object>& owned) {
  Trace replaced = explain(function, arguments, key);
  std::shared_ptr<CompiledTrace> trace;
  while (!trace) {
    const Surroundings around = look_around(function, key);
    bool stand_ins = needs_stand_ins(around, runtime);
    try {
      trace = attempt(function, arguments, key, runtime, around);
      continue;
    } catch (nb::python_error& error) {
      around.undo(where_to_look(function, key));
      if (!stand_ins || core::is_interruption(error)) {
        throw;
      }
    } catch (const std::invalid_argument&) { // among others: the function kept a number somewhere
      around.undo(where_to_look(function, key));
      if (!stand_ins) {
        throw;
      }
    }
    // The function needs the value of a number, or fails anyway: it is recorded for these numbers.
    replaced = nullptr; // its number is one that the new recording does not serve
    fix_numbers(key, runtime, around.given_ints());
    key = CallKey(arguments, function.inputs, !shapeless_);
    runtime = runtime_numbers(key);
    if (Trace known = find(function, key, found)) {
      return known;
    }
  }
  log_.set_operations(trace->operations());
  owned = trace->take_found(found);
  if (trace->is_cut_off() && !warned_of_places_.exchange(true)) {
    warn(
        "%s finds more than %d places around it, of which only the nearest are looked at again at each call. Pass "
        "what is large as an argument, or list it in inputs.",
        name_of_function(function).c_str(), static_cast<int>(Surroundings::most));
  }
  if (!trace->unseen().empty() && !warned_of_unseen_.exchange(true)) {
    warn(
        "%s reads %s, a large array of another library, from around it, and what is written to that later is not seen. "
        "Pass it as an argument, or make an mx.array of it.",
        name_of_function(function).c_str(), trace->unseen().c_str());
  }
  if (trace->reusable() && (use_ == Use::compile || !trace->keeps_arrays())) {
    if (replaced) { // the new one serves its calls, too
      cache_.erase(key.bytes(), replaced);
    }
    cache_.insert(key.bytes(), trace);
  }
  return trace;
}

std::shared_ptr<CompiledTrace> Recordings::attempt(const CompiledFunction& function, const CallArguments& arguments,
    CallKey& key, const std::vector<bool>& runtime, Surroundings around) {
  if (!shapeless_) {
    return std::make_shared<CompiledTrace>(function, arguments, key, runtime, std::move(around), false);
  }
  std::string why;
  uint64_t shown = dims_shown();
  try {
    auto trace = std::make_shared<CompiledTrace>(function, arguments, key, runtime, around, true);
    if (shown == dims_shown() || around.asks_for_types().empty()) {
      return trace;
    }
    why = around.asks_for_types() + " asks for the type of something, which tells an open size from an int";
  } catch (const std::invalid_argument& error) {
    why = error.what();
  } catch (nb::python_error& error) { // a size that is no int at heart may be the reason
    bool stand_ins = needs_stand_ins(around, runtime);
    if (stand_ins || shown == dims_shown() || !error.matches(PyExc_Exception)) {
      throw;
    }
    why = error.what();
  }
  // With sizes as they are now. If it fails again, that is the function's own error.
  around.undo(where_to_look(function, key));
  CallKey sized(arguments, function.inputs, true);
  for (size_t i = 0; i < std::min(runtime.size(), sized.numbers().size()); ++i) {
    if (runtime[i]) {
      sized.forget(sized.numbers()[i]);
    }
  }
  auto trace = std::make_shared<CompiledTrace>(function, arguments, sized, runtime, std::move(around), false);
  note(function, "its sizes cannot be left open: " + why);
  shapeless_ = false;
  key = std::move(sized);
  return trace;
}

void Recordings::note(const CompiledFunction& function, const std::string& reason) {
  log_.note(reason);
  if (explain_) {
    PySys_FormatStderr("[compile] %s is recorded: %s\n", name_of_function(function).c_str(), reason.c_str());
  }
}

// Notes why a call needs a recording of its own. What changed around the function is given at each call from now on,
// where that can be; then the recording is returned whose calls the new one will serve.
Recordings::Trace Recordings::explain(
    const CompiledFunction& function, const CallArguments& arguments, const CallKey& key) {
  Trace unfit = cache_.at(key.bytes(), 0);
  std::string reason = unfit ? unfit->misfit(function, key) : std::string();
  std::vector<Surroundings::Misfit> changed;
  if (unfit) {
    changed = unfit->changed_places(function, key);
  }
  CallDescription now(function.transformation, arguments, function.inputs);
  bool many = false, all_given = !changed.empty();
  std::string often;
  {
    std::lock_guard lock(mutex_);
    if (reason.empty()) {
      reason = log_.traces() == 0 ? "the first call" : now.difference(last_);
    }
    last_ = std::move(now);
    many = log_.count_trace() == traces_before_warning;
    if (misfits_.size() > most_counted) {
      misfits_.clear();
    }
    for (const Surroundings::Misfit& misfit : changed) {
      bool number = misfit.kind == Surroundings::Misfit::number && !fixed_around_.contains(misfit.name);
      if (number) {
        given_.numbers.insert(misfit.name);
      } else if (misfit.kind == Surroundings::Misfit::array) {
        given_.arrays.insert(misfit.name);
      } else {
        all_given = false;
      }
      if (++misfits_[misfit.name] == misfits_before_warning) {
        often = misfit.name;
      }
    }
  }
  note(function, reason);
  if (many) {
    warn(
        "%s has been recorded %d times, the last time because %s. Recording costs more than a call without "
        "compile; mx.compile(..., explain=True) says why each time.",
        name_of_function(function).c_str(), static_cast<int>(traces_before_warning), reason.c_str());
  }
  if (!often.empty()) {
    warn(
        "%s has been recorded %d times because %s, which it reads from around it, was something else. Pass it as "
        "an argument, or list what holds it in inputs.",
        name_of_function(function).c_str(), static_cast<int>(misfits_before_warning), often.c_str());
  }
  return all_given ? unfit : nullptr;
}

} // namespace mlx::python
