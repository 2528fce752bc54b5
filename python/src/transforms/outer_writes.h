// What recorded functions change in place of the arrays around them. An update in place binds a handle to another node,
// so that it can wait: while a function is recorded its handles hold what a HandleLog says, what they hold in the end
// comes out of the loop or branch as further arrays, and only then, when nothing can fail any more, they are bound.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "python/src/compile/handle_log.h"

namespace nb = nanobind;

namespace mlx::python {

// A function changed handles that were not known when its recording began: it is to be recorded again, with what they
// hold among what goes in.
struct WritesFound {};

// The handles around one loop or branch, or one call of a transform, that its functions change.
class OuterWrites {
 public:
  OuterWrites();
  ~OuterWrites();
  OuterWrites(const OuterWrites&) = delete;
  OuterWrites& operator=(const OuterWrites&) = delete;

  // Before the functions are recorded, for the first time or again.
  void start() { next_inside_ = 0; }

  size_t count() const { return known_->handles.size(); }
  nb::handle handle(size_t i) const { return known_->handles[i]; }
  // What they hold now.
  std::vector<core::array> values() const;
  // Lets them hold these while a function runs.
  void give(HandleLog& log, std::span<const core::array> arrays) const;
  // Afterwards, when no other log is open inside of this one: when the function runs again, it will have made others in
  // the place of the handles that it made.
  void ran(HandleLog& log);
  // Adds those that it has changed. Whether there were any that were not known.
  bool find(HandleLog& log);
  // Appends what they hold in the end.
  void take(HandleLog& log, std::vector<core::array>& arrays) const;
  // Binds them to what came out. Everything that can fail is done.
  void bind(std::span<const core::array> arrays);

 private:
  // Functions are recorded in the same order each time. So what was found by loops and branches inside of this one is
  // known when this one is recorded again; otherwise each level would double the recordings.
  struct Known {
    std::vector<nb::object> handles;
    std::vector<std::unique_ptr<Known>> inside;
  };
  static void forget_made(Known& known, HandleLog& log);

  OuterWrites* around_;
  Known own_;
  Known* known_;
  size_t next_inside_ = 0;
  bool bound_ = false;
};

// Changes that are made all at once, in the end: those of a function that is called once, under a transform.
class PendingWrites {
 public:
  // Those that a function made while this log was open, in the place of earlier ones.
  void take(const HandleLog& log);
  const std::vector<std::pair<nb::object, core::array>>& all() const { return all_; }
  // Appends the values that the transform of this frame has to bring out.
  void give_out(uint64_t frame, std::vector<core::array>& outputs);
  size_t given_out() const { return given_out_.size(); }
  nb::handle handle_given_out(size_t i) const { return all_[given_out_[i]].first; }
  // Makes them; with these values in the place of those that were given out.
  void apply(std::span<const core::array> brought_out = {});

 private:
  std::vector<std::pair<nb::object, core::array>> all_;
  std::vector<size_t> given_out_;
};

// "`n`, an array from around it", by what the functions call it: a variable, or an element or attribute of one.
std::string name_of_outer(nb::handle handle, std::span<const nb::handle> functions);

} // namespace mlx::python
