// The expression table behind symbolic Dims.
#include "mlx_core/dim.h"

#include <stdexcept>

namespace mlx::core {

namespace {

thread_local SymbolTrace* open_trace = nullptr;

SymbolTrace& current() {
  if (!open_trace) {
    throw std::logic_error("[Dim] A symbolic size was used outside the trace it belongs to.");
  }
  return *open_trace;
}

int64_t compute(char op, int64_t a, int64_t b) {
  switch (op) {
    case '+': return checked_add(a, b);
    case '-': return checked_subtract(a, b);
    case '*': return checked_multiply(a, b);
    default: return checked_divide(a, b);
  }
}

} // namespace

SymbolTrace::SymbolTrace() : outer_(open_trace) { open_trace = this; }
SymbolTrace::~SymbolTrace() { open_trace = outer_; }

const SymbolTrace::Expression& SymbolTrace::at(const SymbolTrace& trace, Dim d) {
  return trace.expressions_.at(static_cast<size_t>(d.value_ - std::numeric_limits<int64_t>::min()));
}

Dim SymbolTrace::add(Expression expression) {
  // The same expression gets the same index, so that equality of expressions needs no guard.
  for (size_t i = 0; i < expressions_.size(); ++i) {
    const Expression& e = expressions_[i];
    if (expression.op != 's' && e.op == expression.op && e.left.value_ == expression.left.value_ &&
        e.right.value_ == expression.right.value_) {
      return Dim::expression_at(i);
    }
  }
  expressions_.push_back(expression);
  return Dim::expression_at(expressions_.size() - 1);
}

int64_t SymbolTrace::evaluate(Dim d, const std::vector<int64_t>& sizes) const {
  if (!d.is_symbolic()) {
    return d.value_;
  }
  const Expression& e = at(*this, d);
  if (e.op == 's') {
    return sizes.at(static_cast<size_t>(e.left.value_));
  }
  return compute(e.op, evaluate(e.left, sizes), evaluate(e.right, sizes));
}

std::string SymbolTrace::broken_guard(const std::vector<int64_t>& sizes) const {
  for (const Guard& guard : guards_) {
    int64_t value = evaluate(guard.expression, sizes);
    if (value != guard.expected) {
      return to_string(guard.expression) + " was " + std::to_string(guard.expected) + ", is " + std::to_string(value);
    }
  }
  return "";
}

std::string SymbolTrace::to_string(Dim d) const {
  if (!d.is_symbolic()) {
    return std::to_string(d.value_);
  }
  const Expression& e = at(*this, d);
  if (e.op == 's') {
    return "s" + std::to_string(e.left.value_);
  }
  return "(" + to_string(e.left) + " " + e.op + " " + to_string(e.right) + ")";
}

Dim Dim::symbol(int64_t hint) {
  SymbolTrace& trace = current();
  int64_t ordinal = static_cast<int64_t>(trace.symbols_.size());
  trace.symbols_.push_back(static_cast<int64_t>(trace.expressions_.size()));
  return trace.add({'s', Dim(ordinal), Dim(0), hint});
}

Dim Dim::combine(char op, Dim a, Dim b) {
  SymbolTrace& trace = current();
  auto hint = [&](Dim d) { return d.is_symbolic() ? SymbolTrace::at(trace, d).hint : d.value_; };
  return trace.add({op, a, b, compute(op, hint(a), hint(b))});
}

void Dim::out_of_range(int64_t value, bool is_signed) {
  throw SizeError(SizeError::no_op,
      "the size " + (is_signed ? std::to_string(value) : std::to_string(static_cast<uint64_t>(value))) +
          " is out of range.");
}

int64_t Dim::concrete() const {
  SymbolTrace& trace = current();
  int64_t hint = SymbolTrace::at(trace, *this).hint;
  for (const SymbolTrace::Guard& guard : trace.guards_) {
    if (guard.expression.value_ == value_) {
      return hint;
    }
  }
  trace.guards_.push_back({*this, hint});
  return hint;
}

std::string Dim::to_string() const { return is_symbolic() ? current().to_string(*this) : std::to_string(value_); }

} // namespace mlx::core
