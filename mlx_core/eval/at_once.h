// What is done with evaluated arrays without a graph, where nobody can tell it from one that is evaluated: x[5] is a
// view, and x[5] = v writes a few elements in place.
#pragma once

#include <optional>

#include "mlx_core/array.h"

namespace mlx::core {

// Whether a view of x may be made now: x is evaluated by the host, memory is not scarce, and no transform, recording or
// observer is open.
bool may_view_now(const array& x);
// Such a view; offset and strides in elements of x's memory.
array view_now(const array& x, int64_t offset, Shape shape, Strides strides);
// The scalar that x repeats, or that is all of its memory, where that is known without computing anything.
std::optional<array> repeated_number(const array& x);

// Whether what x is computed from takes as little as going on without it: a few elementwise steps and views of few
// elements.
bool is_cheap(const array& x);

// Evaluates arrays where that is some hundred steps on few elements (elementwise ones, views, reductions, and whatever
// else is work for kernels alone, as moves, sorts and products are), of which no other thread can know: each node is
// referred to by the others, by one more array for each root (a handle of the caller's), and for each of the roots by
// `held` arrays, which are the span's own where that has copies. The caller makes sure that nobody copies one of these
// meanwhile. False where it is more, or where a step fails, and an ordinary evaluation has to do it.
bool eval_own_steps(std::span<const array> roots, uint32_t held);

// Evaluates arrays where that is cheap, too, and needs nobody else: it waits for no other thread, asks no interrupt
// check and calls nothing of the user's, so that the caller may hold a lock that others need. False where it is not,
// with nothing done.
bool eval_if_cheap(std::span<const array> arrays);
// The first part of that: whether they look cheap, as long as nobody else evaluates them.
bool may_be_evaluated_at_once(std::span<const array> arrays);

// Whether x's memory may be changed now: as above, and only this one reference leads to it.
bool may_write_now(const array& x);
// The same as far as x's node goes: views of its memory may still be held.
bool may_soon_be_written(const array& x);
// A part of such an array's memory gets these elements, row-major, or one element again and again. It is serial, and
// cannot be interrupted: for few elements.
void write_now(
    const array& x, int64_t offset, const Sizes& sizes, const Strides& strides, const void* elements, bool one);

} // namespace mlx::core
