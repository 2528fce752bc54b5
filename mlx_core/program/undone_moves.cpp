// Layout changes that are undone: what elementwise steps do between a change and its inverse, as a gradient has them of
// pixels that are shuffled or heads that are split, they do on the elements where these lie.
#include <algorithm>
#include <optional>

#include "mlx_core/ops/moves.h"
#include "mlx_core/params.h"
#include "mlx_core/program/program.h"

namespace mlx::core {

namespace {

// One after another: axes are permuted, or the elements in row-major order get another shape.
struct Move {
  std::optional<Axes> permutes;
  Shape shape; // that it gives
  bool operator==(const Move& other) const { return permutes == other.permutes && identical(shape, other.shape); }
};
using Moves = std::vector<Move>;

// Adds a move of an array of shape `from`, which `moves` made of one of shape `first`.
void add_move(Moves& moves, const Shape& first, const Shape& from, Move move) {
  if (!moves.empty() && moves.back().permutes.has_value() == move.permutes.has_value()) {
    if (move.permutes) {
      for (int& axis : *move.permutes) {
        axis = (*moves.back().permutes)[static_cast<size_t>(axis)];
      }
    }
    moves.pop_back();
    const Shape& before = moves.empty() ? first : moves.back().shape;
    bool nothing =
        move.permutes ? std::is_sorted(move.permutes->begin(), move.permutes->end()) : identical(before, move.shape);
    if (!nothing) {
      moves.push_back(std::move(move));
    }
  } else if (move.permutes || !identical(from, move.shape)) {
    moves.push_back(std::move(move));
  }
}

bool permutes(const Moves& moves) {
  return std::any_of(moves.begin(), moves.end(), [](const Move& move) { return move.permutes.has_value(); });
}

class Mover {
 public:
  explicit Mover(const Program& program) : program_(program) {
    for (const Spec& input : program.inputs()) {
      specs_.push_back(&input);
      steps_.push_back(nullptr);
    }
    for (const Program::Step& step : program.steps()) {
      for (const Spec& output : step.outputs) {
        specs_.push_back(&output);
        steps_.push_back(&step);
      }
    }
    for (const Spec* spec : specs_) {
      is_known_.push_back(is_known(spec->shape));
    }
  }

  // Whether that is less work than the program's.
  bool find() {
    constexpr int most_rounds = 32;
    barred_.assign(specs_.size(), false);
    for (int round = 0; round < most_rounds; ++round) {
      follow();
      if (!bar_those_needed_moved()) {
        return pays();
      }
    }
    return false;
  }

  SharedProgram rewritten() {
    now_.assign(specs_.size(), -1);
    for (size_t slot = 0; slot < program_.inputs().size(); ++slot) {
      now_[slot] = writer_.add_input(shape_and_dtype(slot));
    }
    for (const Program::Step& step : program_.steps()) {
      auto at = static_cast<size_t>(step.first);
      if (places_[at].base != at) {
        continue; // when it is asked for
      }
      Program::Step there = step;
      for (int32_t& operand : there.operands) {
        operand = is_moved_[at] ? on_place_of(step, static_cast<size_t>(operand)) : whole(static_cast<size_t>(operand));
      }
      if (is_moved_[at]) {
        there.outputs[0].shape = places_[at].first;
      }
      int32_t first = writer_.add_step(std::move(there));
      for (size_t k = 0; k < step.outputs.size(); ++k) {
        now_[at + k] = first + static_cast<int32_t>(k);
      }
    }
    std::vector<int32_t> outputs;
    for (int32_t output : program_.outputs()) {
      outputs.push_back(whole(static_cast<size_t>(output)));
    }
    return writer_.finish(std::move(outputs));
  }

 private:
  // A value is that of slot `base`, computed under shape `first`, after `moves`.
  struct Place {
    size_t base;
    Shape first;
    Moves moves;
    bool is_that_of(const Place& other) const { return moves == other.moves && identical(first, other.first); }
  };

  const Spec& shape_and_dtype(size_t slot) const { return *specs_[slot]; }
  const Shape& shape(size_t slot) const { return specs_[slot]->shape; }

  // Where every value is, if all elementwise steps that may be are moved.
  void follow() {
    places_.clear();
    is_moved_.assign(specs_.size(), false);
    for (size_t slot = 0; slot < specs_.size(); ++slot) {
      places_.push_back({slot, shape(slot), {}});
      const Program::Step* step = steps_[slot];
      if (!step || step->outputs.size() != 1 || !is_known_[slot] || step->stream > 0 || step->operands.empty()) {
        continue;
      }
      auto operand = static_cast<size_t>(step->operands[0]);
      const Axes* axes = permuted_axes(*step->primitive);
      if (axes || is_reshape(*step->primitive)) {
        Place place = places_[operand];
        add_move(place.moves, place.first, shape(operand), {axes ? std::optional(*axes) : std::nullopt, shape(slot)});
        places_[slot] = std::move(place);
      } else if (std::optional<size_t> model = barred_[slot] ? std::nullopt : moved_operand(*step)) {
        is_moved_[slot] = true;
        places_[slot].first = places_[*model].first;
        places_[slot].moves = places_[*model].moves;
      }
    }
  }

  static bool is_reshape(const Primitive& primitive) {
    return primitive.keeps_order() && primitive.role() != Role::repetition;
  }

  // The operand in whose place an elementwise step can be done; others are as large, or numbers.
  std::optional<size_t> moved_operand(const Program::Step& step) const {
    std::optional<size_t> found;
    for (int32_t operand : step.operands) {
      auto slot = static_cast<size_t>(operand);
      bool is_whole = identical(shape(slot), step.outputs[0].shape);
      if (step.primitive->eval_kind() != EvalKind::elementwise || !is_known_[slot] || !(is_whole || number_of(slot))) {
        return std::nullopt;
      }
      found = !found && is_whole && permutes(places_[slot].moves) ? slot : found;
    }
    return found;
  }

  // The scalar that a value repeats.
  std::optional<size_t> number_of(size_t slot) const {
    while (!shape(slot).empty()) {
      if (!steps_[slot] || !steps_[slot]->primitive->keeps_order()) {
        return std::nullopt;
      }
      slot = static_cast<size_t>(steps_[slot]->operands[0]);
    }
    return slot;
  }

  // f(slot, the step that reads it, or null for an output), the last first.
  template <typename F>
  void for_each_read(F&& f) const {
    for (int32_t output : program_.outputs()) {
      f(static_cast<size_t>(output), nullptr);
    }
    for (size_t i = program_.steps().size(); i-- > 0;) {
      const Program::Step& step = program_.steps()[i];
      for (int32_t operand : step.operands) {
        f(static_cast<size_t>(operand), &step);
      }
    }
  }
  // Whether the value itself is read, and not only what lies at its base.
  bool is_read_as_it_is(size_t slot, const Program::Step* reader) const {
    size_t at = reader ? static_cast<size_t>(reader->first) : 0;
    bool moves_on = reader && places_[at].base == places_[slot].base && !is_moved_[at];
    bool joins = reader && is_moved_[at] && !barred_[at] && (places_[slot].is_that_of(places_[at]) || number_of(slot));
    return !moves_on && !joins;
  }

  // Steps whose results somebody wants with their axes permuted stay where they are. Whether there were any.
  bool bar_those_needed_moved() {
    bool any = false;
    for_each_read([&](size_t slot, const Program::Step* reader) {
      size_t base = places_[slot].base;
      if (is_moved_[base] && permutes(places_[slot].moves) && is_read_as_it_is(slot, reader)) {
        barred_[base] = any = true;
      }
    });
    return any;
  }

  // Permuted arrays that are no longer made, against those that are. As many of each are fewer passes over the others.
  bool pays() const {
    std::vector<bool> is_read(specs_.size(), false), joins(specs_.size(), false), is_turned(specs_.size(), false);
    for_each_read([&](size_t slot, const Program::Step* reader) {
      bool as_it_is = is_read_as_it_is(slot, reader), moved = reader && is_moved_[static_cast<size_t>(reader->first)];
      is_read[slot] = is_read[slot] || as_it_is;
      is_turned[slot] = is_turned[slot] || (as_it_is && moved);
      joins[slot] = joins[slot] || (!as_it_is && moved && !number_of(slot));
    });
    int64_t gain = 0;
    for (size_t slot = 0; slot < specs_.size(); ++slot) {
      bool undone = steps_[slot] && permuted_axes(*steps_[slot]->primitive) && is_moved_[places_[slot].base];
      gain += undone || (joins[slot] && !is_read[slot] && !is_moved_[places_[slot].base]);
      gain -= is_turned[slot];
    }
    return gain >= 0 && std::find(is_moved_.begin(), is_moved_.end(), true) != is_moved_.end();
  }

  // --- writing ---

  int32_t add_moved(int32_t operand, const Move& move, Dtype dtype, const Program::Step& like) {
    Program::Step step;
    step.primitive = move.permutes ? permuting(*move.permutes) : reshaping(move.shape);
    step.outputs.push_back({move.shape, dtype});
    step.operands.push_back(operand);
    step.origin = like.origin;
    step.stream = like.stream;
    return writer_.add_step(std::move(step));
  }

  // The slot now of a value as it was.
  int32_t whole(size_t slot) {
    const Place& place = places_[slot];
    int32_t& now = now_[slot];
    if (now >= 0 && place.base != slot) {
      return now;
    }
    if (is_moved_[place.base] || place.moves.empty()) {
      int32_t at = now_[place.base];
      for (const Move& move : place.moves) {
        at = add_moved(at, move, shape_and_dtype(slot).dtype, *steps_[slot]);
      }
      return now_[slot] = at;
    }
    Program::Step step = *steps_[slot];
    step.operands[0] = whole(static_cast<size_t>(step.operands[0]));
    return now_[slot] = writer_.add_step(std::move(step));
  }

  int32_t on_place_of(const Program::Step& step, size_t slot) {
    const Place& place = places_[static_cast<size_t>(step.first)];
    if (places_[slot].is_that_of(place)) {
      return now_[places_[slot].base];
    }
    if (std::optional<size_t> number = number_of(slot)) {
      return whole(*number);
    }
    int32_t at = whole(slot);
    for (size_t i = place.moves.size(); i-- > 0;) {
      Move back{place.moves[i].permutes, i > 0 ? place.moves[i - 1].shape : place.first};
      for (size_t k = 0; back.permutes && k < back.permutes->size(); ++k) {
        (*back.permutes)[static_cast<size_t>((*place.moves[i].permutes)[k])] = static_cast<int>(k);
      }
      at = add_moved(at, back, shape_and_dtype(slot).dtype, step);
    }
    return at;
  }

  const Program& program_;
  ProgramWriter writer_;
  std::vector<const Spec*> specs_;          // by slot, as all of these
  std::vector<const Program::Step*> steps_; // null of inputs
  std::vector<bool> is_known_, is_moved_, barred_;
  std::vector<Place> places_;
  std::vector<int32_t> now_; // slots of what is written; of a step that is moved, where it is
};

} // namespace

SharedProgram without_undone_moves(SharedProgram program) {
  bool any = std::any_of(program->steps().begin(), program->steps().end(),
      [](const Program::Step& step) { return permuted_axes(*step.primitive) != nullptr; });
  Mover mover(*program);
  return any && mover.find() ? mover.rewritten() : program;
}

} // namespace mlx::core
