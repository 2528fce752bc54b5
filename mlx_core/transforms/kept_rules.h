// Primitives whose rules are recorded, as they run programs under transforms: when a rule is asked for the same a
// second time. From then on what it did is done again around other arrays, with the same primitives, which by then have
// their own lists of calls and recorded rules.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "mlx_core/primitive.h"

namespace mlx::core {

class KeepsRules : public Primitive {
 public:
  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const final;
  Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const final;
  Mapped vmap(Operands operands, const MapAxes& axes) const final;

 protected:
  // What it runs. Operands from first_constant() on are the same in each run: programs meet them as they are, so that
  // it matters to their rules how these were made. The other operands are arrays to all rules, and nothing else.
  virtual std::vector<const Program*> programs() const = 0;
  virtual size_t first_constant() const = 0;
  // As those of Primitive.
  virtual Tangents jvp_rule(Operands primals, const Tangents& tangents) const = 0;
  virtual Tangents vjp_rule(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const = 0;
  virtual Mapped vmap_rule(Operands operands, const MapAxes& axes) const = 0;

 private:
  struct Question;
  struct Answer;
  struct Kept;

  Answer answer(const Question& question) const;
  Answer ask(const Question& question, Operands all) const;
  std::shared_ptr<const Kept> recorded(const Question& question) const;

  mutable std::mutex mutex_;
  mutable std::vector<std::shared_ptr<const Kept>> kept_; // without a program when it was asked once
};

} // namespace mlx::core
