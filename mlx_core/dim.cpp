// The expressions behind symbolic Dims. Two ways to write the same size are one expression as far as sums, products,
// exact quotients and minima go, so that comparing them needs no guard.
#include "mlx_core/dim.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <tuple>

namespace mlx::core {

namespace {

thread_local SymbolTrace* open_trace = nullptr;

SymbolTrace& trace_of(Dim d) {
  SymbolTrace* trace = SymbolTrace::of(d);
  if (!trace) {
    throw std::logic_error("[Dim] A symbolic size was used outside the trace it belongs to.");
  }
  return *trace;
}

constexpr size_t longest_sum = 64;

// A sum of products of atoms: symbols, and expressions that are no sums themselves. A product is a sorted list of their
// indices; that of none is 1.
using Product = std::vector<uint32_t>;
using Sum = std::map<Product, int64_t>;

void add_to(Sum& sum, const Product& product, int64_t factor) {
  int64_t& entry = sum[product];
  entry = checked_add(entry, factor);
  if (entry == 0) {
    sum.erase(product);
  }
}
Sum combined(const Sum& a, const Sum& b, int64_t factor) { // a + factor * b
  Sum out = a;
  for (const auto& [product, count] : b) {
    add_to(out, product, checked_multiply(factor, count));
  }
  return out;
}
Sum multiplied(const Sum& a, const Sum& b) {
  Sum out;
  for (const auto& [p, m] : a) {
    for (const auto& [q, n] : b) {
      Product both(p);
      both.insert(both.end(), q.begin(), q.end());
      std::sort(both.begin(), both.end());
      add_to(out, both, checked_multiply(m, n));
    }
  }
  return out;
}
bool is_constant(const Sum& sum) { return sum.empty() || (sum.size() == 1 && sum.begin()->first.empty()); }
int64_t constant_of(const Sum& sum) { return sum.empty() ? 0 : sum.begin()->second; }

// The values that a size can have; nullopt where no bound is known.
struct Range {
  std::optional<int64_t> least, most;

  bool is(int64_t value) const { return least == value && most == value; }
  bool below(int64_t value) const { return most && *most < value; }
  bool above(int64_t value) const { return least && *least > value; }
};
std::optional<int64_t> plus(std::optional<int64_t> a, std::optional<int64_t> b) {
  int64_t out = 0;
  return a && b && !__builtin_add_overflow(*a, *b, &out) ? std::optional(out) : std::nullopt;
}
std::optional<int64_t> times(std::optional<int64_t> a, int64_t b) {
  int64_t out = 0;
  return a && !__builtin_mul_overflow(*a, b, &out) ? std::optional(out) : std::nullopt;
}
std::optional<int64_t> larger(std::optional<int64_t> a, std::optional<int64_t> b) {
  return !a ? b : !b ? a : std::max(*a, *b);
}
std::optional<int64_t> smaller(std::optional<int64_t> a, std::optional<int64_t> b) {
  return !a ? b : !b ? a : std::min(*a, *b);
}

constexpr int deepest_bound = 4, most_steps = 256;

} // namespace

struct SymbolTrace::Table {
  explicit Table(SymbolTrace& trace) : trace(trace) {}

  Sum sum_of(Dim d) const {
    if (d.is_symbolic()) {
      return sums[place(d)];
    }
    return d.value_ == 0 ? Sum() : Sum{{{}, d.value_}};
  }
  // Of a + b, a - b, a * b and exact quotients; nullopt for what is no sum, or a long one.
  std::optional<Sum> sum_of(char op, Dim a, Dim b) const {
    try {
      std::optional<Sum> out;
      switch (op) {
        case '+': out = combined(sum_of(a), sum_of(b), 1); break;
        case '-': out = combined(sum_of(a), sum_of(b), -1); break;
        case '*': out = multiplied(sum_of(a), sum_of(b)); break;
        case '/':
        case 'f': {
          if (b.is_symbolic() || b.value_ <= 0) {
            return std::nullopt;
          }
          out = sum_of(a);
          for (auto& [product, factor] : *out) {
            if (factor % b.value_ != 0) {
              return std::nullopt;
            }
            factor /= b.value_;
          }
          break;
        }
        default: return std::nullopt;
      }
      return out->size() <= longest_sum ? out : std::nullopt;
    } catch (const SizeError&) { // a factor is too large
      return std::nullopt;
    }
  }

  Dim make(char op, Dim a, Dim b) {
    int64_t hint = compute(op, trace.hint_of(a), trace.hint_of(b));
    std::optional<Sum> sum = sum_of(op, a, b);
    if (sum && is_constant(*sum)) {
      return constant_of(*sum);
    }
    if (sum) {
      if (auto found = by_sum.find(*sum); found != by_sum.end()) {
        return Dim::expression_at(trace.id_, found->second);
      }
    } else if (op == 'f' && range(sum_of(a)).above(-1) && range(sum_of(b)).above(0)) {
      op = '/'; // the same here
    }
    auto [known, fresh] = by_parts.try_emplace({op, a.value_, b.value_}, trace.expressions_.size());
    return fresh ? add({op, a, b, hint}, std::move(sum)) : Dim::expression_at(trace.id_, known->second);
  }
  Dim add(Expression expression, std::optional<Sum> sum) {
    size_t at = trace.expressions_.size();
    if (at >> Dim::index_bits) {
      throw SizeError(SizeError::no_op, "there are too many different sizes.");
    }
    trace.expressions_.push_back(expression);
    sums.push_back(sum ? *std::move(sum) : Sum{{{static_cast<uint32_t>(at)}, 1}});
    by_sum.emplace(sums.back(), at);
    return Dim::expression_at(trace.id_, at);
  }
  // An expression of this value.
  Dim of_sum(const Sum& sum) {
    if (auto found = by_sum.find(sum); found != by_sum.end()) {
      return Dim::expression_at(trace.id_, found->second);
    }
    Dim out = 0;
    for (auto term = sum.rbegin(); term != sum.rend(); ++term) { // the number comes last
      Dim product = 1;
      for (uint32_t atom : term->first) {
        product = product * Dim::expression_at(trace.id_, atom);
      }
      out = out + product * Dim(term->second);
    }
    return out;
  }
  Dim lesser(Dim a, Dim b) {
    std::optional<Sum> apart = sum_of('-', a, b);
    if (!apart) {
      return make('m', a, b);
    }
    Range between = range(*apart);
    if (between.below(1)) {
      return a;
    }
    if (between.above(-1)) {
      return b;
    }
    // min(a, b) = b + min(a - b, 0) = a + min(b - a, 0): written with the one that begins with a positive factor.
    bool turned = apart->rbegin()->second < 0;
    Dim difference = of_sum(turned ? combined({}, *apart, -1) : *apart);
    return (turned ? a : b) + make('m', difference, 0);
  }

  // As far as a few steps show.
  Range range(const Sum& sum) const {
    steps_left = most_steps;
    return range(sum, 0);
  }

  SymbolTrace& trace;
  std::vector<Sum> sums; // of the expressions
  std::map<Sum, size_t> by_sum;
  std::map<std::tuple<char, int64_t, int64_t>, size_t> by_parts;
  std::set<int64_t> guarded;
  int64_t symbols = 0;

 private:
  mutable int steps_left = 0;

  Range range(const Sum& sum, int depth) const {
    if (--steps_left < 0) {
      return {};
    }
    Range out{0, 0};
    for (const auto& [product, factor] : sum) {
      Range part = range_of(product, depth);
      out.least = plus(out.least, times(factor > 0 ? part.least : part.most, factor));
      out.most = plus(out.most, times(factor > 0 ? part.most : part.least, factor));
    }
    for (const auto& [product, factor] : sum) {
      if (product.size() != 1 || depth == deepest_bound) {
        continue;
      }
      // A minimum with 0 is at most what it is of, d * (a / d) at most a, and a / d, too, unless a is negative: they go
      // together with other terms.
      const Expression& e = trace.expressions_[product[0]];
      bool divides = (e.op == '/' || e.op == 'f') && !e.right.is_symbolic() && e.right.value_ > 0;
      if (!divides && !(e.op == 'm' && !e.right.is_symbolic() && e.right.value_ == 0)) {
        continue;
      }
      int64_t divisor = divides ? e.right.value_ : 1;
      bool exact = factor % divisor == 0;
      if ((e.op == '/' || !exact) && !range(sum_of(e.left), depth + 1).above(-1)) {
        continue;
      }
      try {
        Sum other = sum;
        other.erase(product);
        Range bound = range(combined(other, sum_of(e.left), exact ? factor / divisor : factor), depth + 1);
        (factor < 0 ? out.least : out.most) =
            factor < 0 ? larger(out.least, bound.least) : smaller(out.most, bound.most);
      } catch (const SizeError&) { // no bound then
      }
    }
    return out;
  }

  Range range_of(const Product& product, int depth) const {
    if (product.empty()) {
      return {1, 1};
    }
    if (product.size() == 1) {
      return range_of(trace.expressions_[product[0]], depth);
    }
    for (uint32_t atom : product) {
      if (!range_of(trace.expressions_[atom], depth).above(-1)) {
        return {};
      }
    }
    return {0, std::nullopt};
  }
  Range range_of(const Expression& e, int depth) const {
    if (e.op == 's') {
      return {0, std::nullopt};
    }
    if (e.op == '<' || e.op == '=') {
      return {0, 1};
    }
    if (depth == deepest_bound) {
      return {};
    }
    Range left = range(sum_of(e.left), depth + 1), right = range(sum_of(e.right), depth + 1);
    if (e.op == 'm') {
      return {
          left.least && right.least ? smaller(left.least, right.least) : std::nullopt, smaller(left.most, right.most)};
    }
    if ((e.op == '/' || e.op == 'f') && left.above(-1) && right.above(0)) {
      return {0, left.most};
    }
    return {};
  }
};

SymbolTrace::SymbolTrace() : table_(std::make_unique<Table>(*this)), outer_(open_trace) {
  static std::atomic<uint64_t> last{0};
  auto taken = [this] { // as far as a Dim can tell
    for (SymbolTrace* trace = outer_; trace; trace = trace->outer_) {
      if (((trace->id_ ^ id_) & 0xffff) == 0) {
        return true;
      }
    }
    return false;
  };
  do {
    id_ = ++last;
  } while ((id_ & 0xffff) == 0 || taken()); // 0 is that of sizes of no trace
  open_trace = this;
}
SymbolTrace::~SymbolTrace() { open_trace = outer_; }

bool SymbolTrace::is_open(uint64_t id) {
  SymbolTrace* trace = open_trace;
  while (trace && trace->id_ != id) {
    trace = trace->outer_;
  }
  return trace;
}
SymbolTrace* SymbolTrace::of(Dim symbolic) {
  SymbolTrace* trace = open_trace;
  while (trace && symbolic.code() >> Dim::index_bits != (trace->id_ & 0xffff)) {
    trace = trace->outer_;
  }
  return trace;
}

int64_t SymbolTrace::compute(char op, int64_t a, int64_t b) {
  switch (op) {
    case '+': return checked_add(a, b);
    case '-': return checked_subtract(a, b);
    case '*': return checked_multiply(a, b);
    case '/': return checked_divide(a, b);
    case 'f': return floor_quotient(a, b);
    case 'm': return std::min(a, b);
    case '<': return a < b;
    case '=': return a == b;
    default: throw SizeError(SizeError::no_op, "there is no such operation on sizes.");
  }
}

std::string SymbolTrace::to_string(Dim d) const {
  if (!d.is_symbolic()) {
    return std::to_string(d.value_);
  }
  const Expression& e = expression(d);
  if (e.op == 's') {
    return "s" + std::to_string(e.left.value_);
  }
  std::string left = to_string(e.left), right = to_string(e.right);
  switch (e.op) {
    case 'm': return "min(" + left + ", " + right + ")";
    case 'f': return "(" + left + " // " + right + ")";
    case '=': return "(" + left + " == " + right + ")";
    default: return "(" + left + " " + e.op + " " + right + ")";
  }
}

void SymbolTrace::guard(Dim expression, int64_t expected) {
  if (table_->guarded.insert(expression.value_).second) {
    guards_.push_back({expression, expected});
  }
}

Dim Dim::symbol(int64_t hint) {
  if (!open_trace) {
    throw std::logic_error("[Dim] A symbolic size was made outside of any trace.");
  }
  int64_t ordinal = open_trace->table_->symbols++;
  return open_trace->table_->add({'s', Dim(ordinal), Dim(0), hint}, std::nullopt);
}

// The trace of two sizes, one of which at least is symbolic. That of a trace around it becomes a number.
SymbolTrace& Dim::common_trace(Dim& a, Dim& b) {
  if (!a.is_symbolic() || !b.is_symbolic()) {
    return trace_of(a.is_symbolic() ? a : b);
  }
  SymbolTrace &of_a = trace_of(a), &of_b = trace_of(b);
  if (&of_a == &of_b) {
    return of_a;
  }
  SymbolTrace* inner = open_trace;
  while (inner != &of_a && inner != &of_b) {
    inner = inner->outer_;
  }
  Dim& outer_size = inner == &of_a ? b : a;
  outer_size = outer_size.concrete();
  return *inner;
}

Dim Dim::combine(char op, Dim a, Dim b) {
  SymbolTrace& trace = common_trace(a, b);
  return trace.table_->make(op, a, b);
}

Dim Dim::lesser(Dim a, Dim b) {
  SymbolTrace& trace = common_trace(a, b);
  return trace.table_->lesser(a, b);
}

bool Dim::compare(char op, Dim a, Dim b) {
  SymbolTrace& trace = common_trace(a, b);
  SymbolTrace::Table& table = *trace.table_;
  if (std::optional<Sum> apart = table.sum_of('-', a, b)) {
    Range between = table.range(*apart);
    if (op == '=' ? between.is(0) : between.below(0)) {
      return true;
    }
    if (between.above(op == '=' ? 0 : -1) || (op == '=' && between.below(0))) {
      return false;
    }
  }
  bool answer = SymbolTrace::compute(op, trace.hint_of(a), trace.hint_of(b));
  trace.guard(table.make(op, a, b), answer);
  return answer;
}

void Dim::out_of_range(int64_t value, bool is_signed) {
  throw SizeError(SizeError::no_op,
      "the size " + (is_signed ? std::to_string(value) : std::to_string(static_cast<uint64_t>(value))) +
          " is out of range.");
}

int64_t Dim::concrete() const {
  SymbolTrace& trace = trace_of(*this);
  int64_t hint = trace.hint_of(*this);
  trace.guard(*this, hint);
  return hint;
}

std::string Dim::to_string() const { return is_symbolic() ? trace_of(*this).to_string(*this) : std::to_string(value_); }

} // namespace mlx::core
