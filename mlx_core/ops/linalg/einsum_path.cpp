// Reading einsum's subscripts, and the search for the order of contractions.
#include "mlx_core/ops/linalg/einsum_path.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>

#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"

namespace mlx::core {

// --- subscripts ---

namespace {

// One operand's or the output's letters. The ellipsis is kept as '.', once.
std::string letters_of(const char* op, const std::string& term, const std::string& text) {
  std::string out;
  for (size_t i = 0; i < term.size(); ++i) {
    char c = term[i];
    if (term.compare(i, 3, "...") == 0) {
      if (out.find('.') != std::string::npos) {
        fail(op, "\"", term, "\" in subscripts \"", text, "\" has more than one ellipsis.");
      }
      out += '.';
      i += 2;
    } else if (std::isalpha(static_cast<unsigned char>(c))) {
      out += c;
    } else {
      fail(op, "Subscripts \"", text, "\" contain '", c,
          "'; they are letters, with ',' between operands, \"...\" for the axes "
          "without letters, and \"->\" before those of the output.");
    }
  }
  return out;
}

class Reader {
 public:
  Reader(const char* op, const std::string& text, const std::vector<array>& operands)
      : op_(op), text_(text), operands_(operands) {}

  Subscripts read() {
    std::string plain;
    std::copy_if(text_.begin(), text_.end(), std::back_inserter(plain), [](char c) { return c != ' '; });
    size_t arrow = plain.find("->");
    std::vector<std::string> terms{""};
    for (char c : plain.substr(0, arrow)) {
      if (c == ',') {
        terms.emplace_back();
      } else {
        terms.back() += c;
      }
    }
    if (operands_.empty()) {
      fail(op_, "No operands were given; at least one is needed.");
    }
    if (terms.size() != operands_.size()) {
      fail(op_, "subscripts \"", text_, "\" are of ", terms.size(), " operands, but there are ", operands_.size(), ".");
    }
    for (size_t i = 0; i < terms.size(); ++i) {
      read_input(letters_of(op_, terms[i], text_), operands_[i], i);
    }
    read_output(arrow == std::string::npos ? implied() : letters_of(op_, plain.substr(arrow + 2), text_));
    return std::move(out_);
  }

 private:
  // Axes of an ellipsis are counted from its end, as they broadcast.
  Label label(const std::string& name) {
    auto [found, added] = labels_.emplace(name, static_cast<Label>(labels_.size()));
    if (added) {
      if (labels_.size() > most_labels) {
        fail(op_, "subscripts \"", text_, "\" name more than ", most_labels, " axes.");
      }
      out_.sizes.push_back(1);
      out_.names.push_back(name);
    }
    return found->second;
  }
  static std::string ellipsis_name(size_t from_end) { return "axis -" + std::to_string(from_end) + " of ..."; }

  void read_input(const std::string& letters, const array& a, size_t index) {
    bool ellipsis = letters.find('.') != std::string::npos;
    size_t named = letters.size() - (ellipsis ? 1 : 0), rank = a.shape().size();
    if (ellipsis ? named > rank : named != rank) {
      fail(op_, "operand ", index, " has ", rank, " dimensions (shape ", a.shape(), "), but its subscripts in \"",
          text_, "\" have ", named, ellipsis ? " letters besides the ellipsis." : ".");
    }
    Labels labels;
    for (char c : letters) {
      if (c != '.') {
        labels.push_back(label(std::string(1, c)));
        implied_[c] += 1;
        continue;
      }
      ellipsis_rank_ = std::max(ellipsis_rank_, rank - named);
      for (size_t from_end = rank - named; from_end > 0; --from_end) {
        labels.push_back(label(ellipsis_name(from_end)));
      }
    }
    for (size_t i = 0; i < rank; ++i) {
      measure(labels[i], a, i, index, std::count(labels.begin(), labels.end(), labels[i]) > 1);
    }
    out_.inputs.push_back(std::move(labels));
  }

  void measure(Label label, const array& a, size_t axis, size_t index, bool repeated) {
    Dim &known = out_.sizes[static_cast<size_t>(label)], length = a.shape()[axis];
    if (repeated) {
      auto [first, added] = diagonal_.emplace(std::pair(index, label), length);
      if (!added && !(first->second == length)) {
        fail(op_, "'", out_.names[static_cast<size_t>(label)], "' stands for axes of lengths ", first->second, " and ",
            length, " of operand ", index, " with shape ", a.shape(), "; they must be equal.");
      }
    }
    if (surely_equal(known, 1)) {
      known = length;
    } else if (surely_equal(length, 1) || known == length) {
      return;
    } else if (known == 1) {
      known = length;
    } else if (!(length == 1)) {
      fail(op_, "'", out_.names[static_cast<size_t>(label)], "' stands for an axis of length ", length, " of operand ",
          index, " with shape ", a.shape(), ", but for one of length ", known, " before.");
    }
  }

  // Without "->" the output has the axes of the ellipses, and the letters that occur once, in alphabetical order.
  std::string implied() const {
    std::string letters = ".";
    for (auto [letter, count] : implied_) {
      letters += count == 1 ? std::string(1, letter) : "";
    }
    return letters;
  }

  void read_output(const std::string& letters) {
    for (char c : letters) {
      if (c == '.') {
        for (size_t from_end = ellipsis_rank_; from_end > 0; --from_end) {
          out_.output.push_back(label(ellipsis_name(from_end)));
        }
        continue;
      }
      if (!implied_.count(c)) {
        fail(op_, "the output of \"", text_, "\" has the letter '", c, "', which no operand has.");
      }
      Label found = label(std::string(1, c));
      if (std::find(out_.output.begin(), out_.output.end(), found) != out_.output.end()) {
        fail(op_, "the output of \"", text_, "\" has the letter '", c, "' twice; use diag to write a diagonal.");
      }
      out_.output.push_back(found);
    }
  }

  const char* op_;
  const std::string& text_;
  const std::vector<array>& operands_;
  Subscripts out_;
  std::map<std::string, Label> labels_;
  std::map<char, int> implied_;
  std::map<std::pair<size_t, Label>, Dim> diagonal_;
  size_t ellipsis_rank_ = 0;
};

} // namespace

Subscripts parse_subscripts(const char* op, const std::string& text, const std::vector<array>& operands) {
  return Reader(op, text, operands).read();
}

LabelSet set_of(const Labels& labels) {
  LabelSet set;
  for (Label label : labels) {
    set.set(static_cast<size_t>(label));
  }
  return set;
}

// --- the order of contractions ---

namespace {

class Search {
 public:
  Search(const Subscripts& subscripts, double most_elements) : output_(set_of(subscripts.output)) {
    for (Dim size : subscripts.sizes) {
      sizes_.push_back(static_cast<double>(static_cast<int64_t>(size)));
    }
    limit_ = std::max(most_elements, elements(output_));
    LabelSet all = output_;
    for (const Labels& labels : subscripts.inputs) {
      terms_.push_back(set_of(labels));
      limit_ = std::max(limit_, elements(terms_.back()));
      all |= terms_.back();
    }
    path_.naive_cost = cost(all, all != output_, terms_.size());
    path_.naive_scaling = all.count();
  }

  ContractionPath run() {
    int fresh = 0; // the first term whose pairs have not been considered
    while (terms_.size() > 2) {
      consider(fresh, false);
      for (int from : {fresh, 0}) {
        if (pairs_.empty()) {
          consider(from, true);
        }
      }
      if (pairs_.empty()) {
        break;
      }
      Pair best = *std::min_element(pairs_.begin(), pairs_.end());
      take({best.left, best.right});
      forget(best);
      fresh = static_cast<int>(terms_.size()) - 1;
    }
    if (terms_.size() > 1 || path_.steps.empty()) {
      std::vector<int> rest(terms_.size());
      std::iota(rest.begin(), rest.end(), 0);
      take(rest);
    }
    return std::move(path_);
  }

  // The order of the least cost, over all ways of splitting each set of operands in two.
  ContractionPath cheapest() {
    size_t sets = size_t{1} << terms_.size();
    best_.resize(sets);
    for (size_t set = 1; set < sets; ++set) {
      split(set);
    }
    std::vector<size_t> left; // the sets of operands that the list's members are made of
    for (size_t i = 0; i < terms_.size(); ++i) {
      left.push_back(size_t{1} << i);
    }
    contract(sets - 1, left);
    return std::move(path_);
  }

 private:
  // The cheapest way to contract a set of operands (bits): one part of it first, which is 0 for a single one.
  struct Split {
    LabelSet result;
    double cost = 0;
    size_t part = 0;
  };

  void split(size_t set) {
    Split& best = best_[set];
    LabelSet over, kept = output_;
    for (size_t i = 0; i < terms_.size(); ++i) {
      (set >> i & 1 ? over : kept) |= terms_[i];
    }
    bool is_single = std::has_single_bit(set);
    best.result = is_single ? over : over & kept;
    best.cost = is_single ? 0 : std::numeric_limits<double>::infinity();
    if (elements(best.result) > limit_) {
      return;
    }
    for (size_t part = set & (set - 1); part > 0; part = (part - 1) & set) {
      const Split &a = best_[part], &b = best_[set ^ part];
      LabelSet both = a.result | b.result;
      double whole = a.cost + b.cost + cost(both, both != best.result, 2);
      if (part > (set ^ part) && whole < best.cost) {
        best.cost = whole, best.part = part;
      }
    }
  }

  void contract(size_t set, std::vector<size_t>& left) {
    if (best_[set].part == 0) {
      return;
    }
    size_t parts[] = {best_[set].part, set ^ best_[set].part};
    std::vector<int> positions;
    for (size_t part : parts) {
      contract(part, left);
    }
    for (size_t part : parts) {
      positions.push_back(static_cast<int>(std::find(left.begin(), left.end(), part) - left.begin()));
    }
    std::sort(positions.begin(), positions.end());
    take(positions);
    for (size_t i = positions.size(); i-- > 0;) {
      left.erase(left.begin() + positions[i]);
    }
    left.push_back(set);
  }

  struct Pair {
    int left, right;
    double freed, cost;
    bool operator<(const Pair& other) const { return std::tuple(-freed, cost) < std::tuple(-other.freed, other.cost); }
  };
  struct Contraction {
    LabelSet over, result;
    double cost;
  };

  double elements(const LabelSet& labels) const {
    double count = 1;
    for (size_t i = 0; i < sizes_.size(); ++i) {
      count *= labels[i] ? sizes_[i] : 1;
    }
    return count;
  }
  // A multiplication for each operand but one, and an addition where something is summed, at least one of them.
  double cost(const LabelSet& over, bool sums, size_t operands) const {
    return elements(over) * (static_cast<double>(std::max<size_t>(operands, 2) - 1) + (sums ? 1 : 0));
  }
  Contraction contraction(const std::vector<int>& positions) const {
    LabelSet over, kept = output_;
    for (size_t i = 0; i < terms_.size(); ++i) {
      bool taken = std::find(positions.begin(), positions.end(), static_cast<int>(i)) != positions.end();
      (taken ? over : kept) |= terms_[i];
    }
    LabelSet result = over & kept;
    return {over, result, cost(over, result != over, positions.size())};
  }

  // Adds the pairs within the limits whose second position is at least `from`.
  void consider(int from, bool outer) {
    for (int i = 0; i < static_cast<int>(terms_.size()); ++i) {
      for (int k = std::max(i + 1, from); k < static_cast<int>(terms_.size()); ++k) {
        const LabelSet &a = terms_[static_cast<size_t>(i)], &b = terms_[static_cast<size_t>(k)];
        if (!outer && (a & b).none()) {
          continue;
        }
        Contraction c = contraction({i, k});
        double size = elements(c.result);
        if (size <= limit_ && path_.cost + c.cost <= path_.naive_cost) {
          pairs_.push_back({i, k, elements(a) + elements(b) - size, c.cost});
        }
      }
    }
  }
  // Once a pair is contracted, those that share an operand with it are void, and the others move up.
  void forget(Pair done) {
    std::erase_if(pairs_, [&](const Pair& p) {
      return p.left == done.left || p.left == done.right || p.right == done.left || p.right == done.right;
    });
    auto moved = [&](int at) { return at - (at > done.left ? 1 : 0) - (at > done.right ? 1 : 0); };
    for (Pair& p : pairs_) {
      p.left = moved(p.left);
      p.right = moved(p.right);
    }
  }

  void take(const std::vector<int>& positions) {
    Contraction c = contraction(positions);
    path_.steps.push_back(positions);
    path_.cost += c.cost;
    path_.most_scaling = std::max(path_.most_scaling, c.over.count());
    for (size_t i = positions.size(); i-- > 0;) {
      terms_.erase(terms_.begin() + positions[i]);
    }
    terms_.push_back(c.result);
  }

  std::vector<double> sizes_;
  std::vector<LabelSet> terms_;
  std::vector<Pair> pairs_; // that could be next
  std::vector<Split> best_; // by set of operands
  LabelSet output_;
  double limit_ = 0;
  ContractionPath path_;
};

} // namespace

ContractionPath find_path(const Subscripts& subscripts, double most_elements) {
  constexpr size_t few = 6;
  constexpr double worth_a_search = 1e5;
  ContractionPath greedy = Search(subscripts, most_elements).run();
  if (subscripts.inputs.size() < 3 || subscripts.inputs.size() > few || greedy.cost < worth_a_search) {
    return greedy;
  }
  ContractionPath cheapest = Search(subscripts, most_elements).cheapest();
  return 2 * cheapest.cost < greedy.cost ? cheapest : greedy;
}

} // namespace mlx::core
