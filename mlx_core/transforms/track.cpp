// Tracks: the states of sweeps, at iterations asked for in falling order, from a few of them that are kept.
//
// Which ones are kept follows Griewank and Walther, Revolve (ACM TOMS 26, 2000): with c kept states, a chain of at most
// binomial(c + r, c) of them can be gone through backwards while none is computed more than r times again.
#include "mlx_core/transforms/track.h"

#include <cmath>

#include "mlx_core/eval/gate.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/transforms/loop_statistics.h"

namespace mlx::core {

namespace {

double binomial(int64_t n, int64_t k) {
  double value = 1;
  for (int64_t i = 1; i <= k; ++i) {
    value = value * static_cast<double>(n - k + i) / static_cast<double>(i);
  }
  return value;
}

// Of `length` states, the first of which is kept: how many steps from it to keep the next one, with `kept` of them at
// most, that one included.
int64_t distance_to_next(int64_t length, int64_t kept) {
  if (length <= kept) {
    return 1;
  }
  int64_t repeats = 1;
  while (binomial(kept + repeats, kept) < static_cast<double>(length)) {
    ++repeats;
  }
  // The part before the next kept state is gone through with one repeat less, the part after with one state less.
  double least = std::max(1.0, static_cast<double>(length) - binomial(kept - 1 + repeats, kept - 1));
  double most = std::min(static_cast<double>(length - 1), binomial(kept + repeats - 1, kept));
  return static_cast<int64_t>((least + most) / 2);
}

struct Counts {
  int64_t kept = 0, most_kept = 0, steps = 0;
  void keep(int64_t change) { most_kept = std::max(most_kept, kept += change); }
};

// A body that is run many times, with the same constants behind its other operands.
class Repeated {
 public:
  Repeated(const Program& body, const CallList* calls, const std::vector<array>& constants)
      : body_(body), calls_(calls), constants_(constants) {
    if (calls_) {
      run_.emplace(*calls_);
      for (size_t k = 0; k < constants.size(); ++k) {
        run_->give(first_constant(body, constants) + k, constants[k]);
      }
      run_->begin();
    }
  }

  std::vector<array> operator()(std::vector<array> in) {
    if (!calls_) {
      in.insert(in.end(), constants_.begin(), constants_.end());
      return core::run(body_, std::move(in));
    }
    pause_if_asked();
    poll_(calls_->work() + 1);
    for (size_t k = 0; k < in.size(); ++k) {
      run_->give(k, in[k]);
    }
    run_->run();
    std::vector<array> out;
    for (const Spec& spec : body_.output_specs()) {
      out.push_back(run_->copied(run_->output(out.size()), spec));
    }
    ++called_;
    return out;
  }

  int64_t called() const { return called_; }

 private:
  static size_t first_constant(const Program& body, const std::vector<array>& constants) {
    return body.inputs().size() - constants.size();
  }

  const Program& body_;
  const CallList* calls_;
  const std::vector<array>& constants_;
  std::optional<CallRun> run_;
  InterruptPoll poll_{1 << 18};
  int64_t called_ = 0;
};

struct Course {
  std::vector<Repeated> bodies;
  const SweepStates& initial;
  int64_t iterations;
  Counts counts = {};
};

// The sweeps `top`, top - 2, ..., which go in the same direction. Those in between, in the other one, are a track of
// their own that is asked from its end.
class Track {
 public:
  Track(Course& course, size_t top)
      : course_(course),
        top_(top),
        most_kept_(2 + 2 * static_cast<size_t>(std::ceil(std::log2(course.iterations + 2)))) {
    if (top > 0) {
      other_ = std::make_unique<Track>(course, top - 1);
    }
    kept_.push_back({0, course.initial});
    current_ = kept_.back();
  }

  // Their states after `steps` steps. Cheap when asked for in falling order, in rising order, and in falling runs each
  // of which begins higher than the one before, as the tracks of higher order do.
  const SweepStates& at(int64_t steps) {
    while (kept_.back().steps > steps) {
      kept_.pop_back();
      course_.counts.keep(-1);
    }
    if (current_.steps > steps || current_.steps < kept_.back().steps) {
      current_ = kept_.back();
    }
    bool jumps = steps - current_.steps > 1;
    if (jumps && current_.steps > kept_.back().steps && has_place(steps)) {
      keep_current();
    }
    while (current_.steps < steps) {
      int64_t target = steps;
      bool keeps = jumps && current_.steps == kept_.back().steps && steps - current_.steps > 1 && has_place(steps);
      if (keeps) {
        int64_t places = static_cast<int64_t>(most_kept_ - kept_.size());
        target = current_.steps + distance_to_next(steps - current_.steps + 1, places + 1);
      }
      while (current_.steps < target) {
        advance();
      }
      if (keeps) {
        keep_current();
      }
    }
    return current_.states;
  }

  // Their states at the end, for the track that nobody asks from its end.
  const SweepStates& run() {
    while (current_.steps < course_.iterations) {
      advance();
    }
    return current_.states;
  }
  Track& other() { return *other_; }

 private:
  struct Position {
    int64_t steps = 0;
    SweepStates states;
  };

  void keep_current() {
    kept_.push_back(current_);
    course_.counts.keep(1);
  }

  // Whether one more can be kept. When there is no place, those far from where the track is asked now go, so that their
  // distances from there grow geometrically.
  bool has_place(int64_t steps) {
    if (kept_.size() < most_kept_) {
      return true;
    }
    std::vector<Position> thinned{std::move(kept_[0])};
    for (size_t i = 1; i < kept_.size(); ++i) {
      bool last = i + 1 == kept_.size();
      if (last || kept_[i + 1].steps - thinned.back().steps > 2 * (steps - kept_[i + 1].steps)) {
        thinned.push_back(std::move(kept_[i]));
      }
    }
    course_.counts.keep(static_cast<int64_t>(thinned.size()) - static_cast<int64_t>(kept_.size()));
    kept_ = std::move(thinned);
    return kept_.size() < most_kept_;
  }

  void advance() {
    int64_t iteration = top_ % 2 == 0 ? current_.steps : course_.iterations - 1 - current_.steps;
    const SweepStates* across = other_ ? &other_->at(course_.iterations - 1 - current_.steps) : nullptr;
    SweepStates next(current_.states.size());
    for (size_t sweep = top_ % 2; sweep <= top_; sweep += 2) {
      std::vector<array> in{array(iteration)};
      for (size_t j = 0; j <= sweep; ++j) {
        const std::vector<array>& state = (j % 2 == top_ % 2 ? current_.states : *across)[j];
        in.insert(in.end(), state.begin(), state.end());
      }
      next[sweep] = course_.bodies[sweep](std::move(in));
      ++course_.counts.steps;
    }
    current_.states = std::move(next);
    ++current_.steps;
  }

  Course& course_;
  size_t top_;
  size_t most_kept_;
  std::unique_ptr<Track> other_;
  std::vector<Position> kept_; // in rising order; the first is the start
  Position current_;
};

} // namespace

SweepStates run_tracks(const SweepBodies& bodies, const std::vector<const CallList*>& calls,
    const std::vector<array>& constants, const SweepStates& initial, int64_t iterations) {
  Course course{{}, initial, iterations};
  course.bodies.reserve(bodies.size());
  for (size_t i = 0; i < bodies.size(); ++i) {
    course.bodies.emplace_back(*bodies[i], calls[i], constants);
  }
  Track track(course, bodies.size() - 1);
  SweepStates last(bodies.size());
  auto collect = [&](const SweepStates& states, size_t top) {
    for (size_t sweep = top % 2; sweep <= top; sweep += 2) {
      last[sweep] = states[sweep];
    }
  };
  if (bodies.size() > 2) { // its end comes first when it is gone through backwards
    collect(track.other().at(iterations), bodies.size() - 2);
  }
  collect(track.run(), bodies.size() - 1);
  for (const Repeated& body : course.bodies) {
    count_called_iterations(body.called());
  }
  count_reverse_pass(course.counts.most_kept, course.counts.steps);
  return last;
}

} // namespace mlx::core
