// One pool of worker threads per process, which helps several callers at once. Nested calls run inline; a forked child
// starts a new pool.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace mlx::core::cpu {

// Threads that work at once for a caller, itself included (MLX_NUM_THREADS, else the CPUs this process may use).
// Throws std::invalid_argument when the variable holds something else than a number of threads.
int thread_count();
// For tests and benchmarks: 1 makes everything run on the caller.
void set_thread_count(int count);

// Calls body(context, i) for each i in [0, count), on the caller and the workers; on the caller alone where no thread
// can be had. Returns when all are done. An exception thrown by a body is rethrown here once (the first one), after the
// others have finished. Between two indices the caller looks whether it is interrupted; then the remaining ones are
// left out, bodies that look are stopped, and Interrupted is thrown.
void parallel_run(int64_t count, void (*body)(void* context, int64_t i), void* context);

// Whether a worker looks out for calls. To wake one takes longer than many a call; so where none does it is no, until
// it is asked again and again.
bool help_is_near();

template <typename F>
void parallel_for(int64_t count, F&& f) {
  auto call = [](void* context, int64_t i) { (*static_cast<std::remove_reference_t<F>*>(context))(i); };
  parallel_run(count, call, const_cast<void*>(static_cast<const void*>(std::addressof(f))));
}

} // namespace mlx::core::cpu
