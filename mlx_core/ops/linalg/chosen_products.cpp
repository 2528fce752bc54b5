// Products of chosen matrices: one primitive, and the ways in which its terms are brought together.
#include "mlx_core/ops/linalg/chosen_products.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core {

namespace {

// --- evaluation ---

struct Term { // matrices of a, of b and of the result, those of the first lane first
  int64_t of[3];
};
enum Matrices : uint8_t { left, right, result };

// A stack of matrices (lanes, count, rows, columns).
struct Stack {
  View view;
  int64_t lanes() const { return view.sizes[0]; }
  int64_t count() const { return view.sizes[1]; }
  int64_t rows() const { return view.sizes[2]; }
  int64_t columns() const { return view.sizes[3]; }
  // So many of a lane one below the other, from this one on, as one matrix. They may be no such thing.
  View below_each_other(int64_t first, int64_t matrices = 1) const {
    int64_t along = rows() == 1 ? view.strides[1] : view.strides[2];
    return view.laid_out({matrices * rows(), columns()}, {along, view.strides[3]}, start(first));
  }
  bool lie_below_each_other() const { return rows() == 1 || view.strides[1] == rows() * view.strides[2]; }
  int64_t start(int64_t number) const {
    return number / count() * view.strides[0] + number % count() * view.strides[1];
  }
};

class ChosenTerms {
 public:
  ChosenTerms(const View& a, const View& b, const View& out, std::vector<Term> terms, bool zero_terms, Kernels& kernels)
      : stacks_{{a}, {b}, {out}}, terms_(std::move(terms)), zero_terms_(zero_terms), kernels_(kernels) {}

  void run() {
    const int64_t m = stacks_[left].rows(), k = stacks_[left].columns(), n = stacks_[right].columns();
    const auto terms = static_cast<int64_t>(terms_.size());
    const int64_t results = different(result), rights = different(right), size = stacks_[result].view.size();
    sums_ = results < terms;
    // What each way reads and writes, in elements, a product or a group being as good as some of them.
    constexpr int64_t for_product = 1 << 12, for_group = 1 << 15, least_room = 1 << 20;
    const int64_t once = m * k + k * n + m * n;
    const int64_t room = std::max(least_room, stacks_[left].view.size() + stacks_[right].view.size() + size);
    const int64_t by_rows = 2 * terms * m * (k + n) + rights * (k * n + for_group);
    const int64_t by_inner = 2 * terms * k * (m + n) + results * (m * n + for_group);
    const int64_t each = sums_ ? INT64_MAX : terms * (once + for_product);
    const int64_t stacked = terms * once > room ? INT64_MAX : 3 * terms * once + for_group;
    const bool inner = by_inner < std::min({by_rows, each, stacked});
    if (sums_ && !inner) {
      fill_with_zeros(0, size);
    } else {
      fill_others_with_zeros();
    }
    if (terms == 0 || size == 0 || k == 0) {
      return;
    }
    if (inner) {
      groups_of(result, [&](size_t first, size_t last) { run_inner(first, last); });
    } else if (by_rows < std::min(each, stacked)) {
      groups_of(right, [&](size_t first, size_t last) { run_rows(first, last); });
    } else {
      each < stacked ? run_each() : run_stacked();
    }
  }

 private:
  int64_t different(Matrices of) const {
    std::vector<int64_t> numbers;
    for (const Term& term : terms_) {
      numbers.push_back(term.of[of]);
    }
    std::ranges::sort(numbers);
    return std::ranges::unique(numbers).begin() - numbers.begin();
  }

  // f(first, last) for the terms with the same matrix, in order. Among them the terms keep theirs.
  template <typename F>
  void groups_of(Matrices of, F&& f) {
    std::ranges::stable_sort(terms_, {}, [=](const Term& term) { return term.of[of]; });
    for (size_t first = 0, last = 0; first < terms_.size(); first = last) {
      while (last < terms_.size() && terms_[last].of[of] == terms_[first].of[of]) {
        ++last;
      }
      f(first, last);
    }
  }

  // One behind the other, in one lane.
  bool follow(Matrices of, size_t first, size_t last) const {
    const int64_t begin = terms_[first].of[of], end = begin + static_cast<int64_t>(last - first);
    for (size_t t = first; t < last; ++t) {
      if (terms_[t].of[of] != begin + static_cast<int64_t>(t - first)) {
        return false;
      }
    }
    return begin / stacks_[of].count() == (end - 1) / stacks_[of].count();
  }

  void multiply(const View& a, const View& b, const View& out) {
    kernels_.run(kernel::Product{a, b, out, zero_terms_});
  }

  array room_for(Shape shape) const { return array::uninitialized(std::move(shape), stacks_[left].view.dtype); }

  // Lanes and numbers of such matrices, as indices.
  struct Places {
    array lanes, numbers;
    std::array<kernel::Index, 2> indices;
    std::array<int64_t, 1> count;
  };
  Places places(Matrices of, size_t first, size_t last) const {
    const auto terms = static_cast<int64_t>(last - first);
    Places to{array::uninitialized({terms}, int64), array::uninitialized({terms}, int64), {}, {terms}};
    auto* lanes = static_cast<int64_t*>(to.lanes.mutable_data());
    auto* numbers = static_cast<int64_t*>(to.numbers.mutable_data());
    for (size_t t = first; t < last; ++t) {
      *lanes++ = terms_[t].of[of] / stacks_[of].count();
      *numbers++ = terms_[t].of[of] % stacks_[of].count();
    }
    to.indices = {kernel::Index{to.lanes.view(), 0}, kernel::Index{to.numbers.view(), 1}};
    return to;
  }

  // Copies of such matrices, one below the other: (terms, 1, 1, rows, columns).
  array copies(Matrices of, size_t first, size_t last) const {
    const Stack& stack = stacks_[of];
    Places from = places(of, first, last);
    array to = room_for({from.count[0], 1, 1, stack.rows(), stack.columns()});
    const std::array<int64_t, 4> slice{1, 1, stack.rows(), stack.columns()};
    kernels_.run(kernel::Gather{stack.view, from.indices, from.count, slice, to.view()});
    return to;
  }
  // The same as one matrix, where they lie or copied to memory that `kept` holds.
  View below_each_other(Matrices of, size_t first, size_t last, std::optional<array>& kept) const {
    const Stack& stack = stacks_[of];
    const auto terms = static_cast<int64_t>(last - first);
    if (terms == 1 || (stack.lie_below_each_other() && follow(of, first, last))) {
      return stack.below_each_other(terms_[first].of[of], terms);
    }
    kept = copies(of, first, last);
    return kept->view().laid_out({terms * stack.rows(), stack.columns()}, {stack.columns(), 1});
  }

  void put(const array& products, size_t first, size_t last) {
    const Stack& out = stacks_[result];
    Places to = places(result, first, last);
    const std::array<int64_t, 4> slice{1, 1, out.rows(), out.columns()};
    View updates = products.view().laid_out(
        {to.count[0], 1, 1, out.rows(), out.columns()}, {out.rows() * out.columns(), 0, 0, out.columns(), 1});
    kernels_.run(kernel::Scatter{
        sums_ ? ScatterMode::add : ScatterMode::set, to.indices, to.count, slice, std::move(updates), out.view});
  }

  // Matrices of a that meet the same of b: one below the other, with it.
  void run_rows(size_t first, size_t last) {
    const Stack& out = stacks_[result];
    std::optional<array> kept;
    const View rows = below_each_other(left, first, last, kept);
    const View matrix = stacks_[right].below_each_other(terms_[first].of[right]);
    if (!sums_ && follow(result, first, last)) {
      multiply(rows, matrix, out.below_each_other(terms_[first].of[result], static_cast<int64_t>(last - first)));
      return;
    }
    array products = room_for({rows.sizes[0], out.columns()});
    multiply(rows, matrix, products.view());
    put(products, first, last);
  }

  // Terms of one result: side by side those of a, one below the other those of b.
  void run_inner(size_t first, size_t last) {
    const auto terms = static_cast<int64_t>(last - first);
    const Stack& a = stacks_[left];
    const View out = stacks_[result].below_each_other(terms_[first].of[result]);
    std::optional<array> kept, kept_right;
    const View below = below_each_other(right, first, last, kept_right);
    if (terms == 1) {
      multiply(a.below_each_other(terms_[first].of[left]), below, out);
      return;
    }
    const int64_t m = a.rows(), k = a.columns();
    if (k == 1 && follow(left, first, last)) {
      multiply(a.view.laid_out({m, terms}, {a.view.strides[2], a.view.strides[1]}, a.start(terms_[first].of[left])),
          below, out);
      return;
    }
    kept = copies(left, first, last);
    View beside = kept->view().laid_out({m, terms * k}, m == 1 ? Strides{terms * k, 1} : Strides{1, m});
    if (m > 1 && k > 1) {
      array turned = room_for({m, terms, k});
      kernels_.run(kernel::Copy{kept->view().laid_out({m, terms, k}, {k, m * k, 1}), turned.view()});
      kept = turned;
      beside = turned.view().laid_out({m, terms * k}, {terms * k, 1});
    }
    multiply(beside, below, out);
  }

  void run_each() {
    for (const Term& term : terms_) {
      multiply(stacks_[left].below_each_other(term.of[left]), stacks_[right].below_each_other(term.of[right]),
          stacks_[result].below_each_other(term.of[result]));
    }
  }

  void run_stacked() {
    const size_t all = terms_.size();
    const auto terms = static_cast<int64_t>(all);
    const Stack& out = stacks_[result];
    const array a = copies(left, 0, all), b = copies(right, 0, all);
    auto stack = [&](const View& view, int64_t rows, int64_t columns, int64_t start = 0) {
      return view.laid_out({terms, rows, columns}, {rows * columns, columns, 1}, start);
    };
    const int64_t m = out.rows(), k = stacks_[left].columns(), n = out.columns();
    if (follow(result, 0, all)) {
      multiply(stack(a.view(), m, k), stack(b.view(), k, n), stack(out.view, m, n, out.start(terms_[0].of[result])));
      return;
    }
    const array products = room_for({terms, m, n});
    multiply(stack(a.view(), m, k), stack(b.view(), k, n), products.view());
    put(products, 0, all);
  }

  void fill_with_zeros(int64_t first, int64_t elements) {
    if (elements > 0) {
      const View& out = stacks_[result].view;
      const array zero(0, out.dtype);
      kernels_.run(kernel::Copy{zero.view().laid_out({elements}, {0}), out.laid_out({elements}, {1}, first)});
    }
  }
  // Results without terms, or with terms of nothing.
  void fill_others_with_zeros() {
    const Stack& out = stacks_[result];
    const int64_t each = out.rows() * out.columns(), all = out.lanes() * out.count();
    std::vector<int64_t> given;
    for (const Term& term : terms_) {
      given.push_back(stacks_[left].columns() > 0 ? term.of[result] : all);
    }
    given.push_back(all);
    std::ranges::sort(given);
    int64_t next = 0;
    for (int64_t number : given) {
      fill_with_zeros(next * each, (number - next) * each);
      next = std::max(next, number + 1);
    }
  }

  Stack stacks_[3];
  std::vector<Term> terms_;
  bool zero_terms_, sums_ = false;
  Kernels& kernels_;
};

// --- the primitive ---

array adjoint(const array& a) { return conj_of(swapaxes(a, -2, -1)); }

class ChosenMatmul final : public Primitive {
 public:
  explicit ChosenMatmul(ChosenProducts how) : how_(how) {}
  const char* name() const override { return "ChosenMatmul"; }
  Dependence dependence() const override { return Dependence::contracts_axes; }
  void visit(ParamVisitor& v) const override {
    v("count", how_.count);
    v("sums", how_.sums);
    v("zero_terms", how_.zero_terms);
    v("rows", Axes(how_.rows.begin(), how_.rows.end()));
  }

  Specs infer(Operands operands) const override {
    const array &a = operands[0], &b = operands[1];
    return {Spec{Shape{how_.sums ? Dim(1) : lanes(operands), how_.count, a.shape(-2), b.shape(-1)}, a.dtype()}};
  }

  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    array& y = outputs[0];
    y.allocate();
    std::vector<Term> terms = checked_terms(operands, y.shape(1));
    ChosenTerms(operands[0].view(), operands[1].view(), y.view(), std::move(terms), how_.zero_terms, kernels).run();
  }

  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    ChosenProducts how = how_;
    how.zero_terms = true;
    Tangent sum;
    for (size_t k = 0; k < 2; ++k) {
      if (tangents[k]) {
        const array &a = k == 0 ? *tangents[0] : primals[0], &b = k == 1 ? *tangents[1] : primals[1];
        array part = chosen_products(a, b, primals[2], how);
        sum = sum ? add(*sum, part) : part;
      }
    }
    return {sum};
  }

  // A term of the result is one of a's cotangent, with the matrices' roles exchanged.
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(3);
    if (!cotangents[0]) {
      return out;
    }
    const array &a = primals[0], &b = primals[1], &c = *cotangents[0];
    const bool one_lane = surely_equal(lanes(primals), 1);
    auto how = [&](const array& of, std::array<int, 3> rows) {
      return ChosenProducts{of.shape(1), !one_lane && surely_equal(of.shape(0), 1), true, rows};
    };
    auto [i, j, r] = how_.rows;
    if (wanted[0]) {
      out[0] = broadcast_to(chosen_products(c, adjoint(b), primals[2], how(a, {r, j, i})), a.shape());
    }
    if (wanted[1]) {
      out[1] = broadcast_to(chosen_products(adjoint(a), c, primals[2], how(b, {i, r, j})), b.shape());
    }
    return out;
  }

  // Lanes of lanes are lanes.
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    const Dim outer = lanes_of(operands, axes);
    std::vector<array> own;
    for (size_t k = 0; k < 3; ++k) {
      own.push_back(batch_first(operands[k], axes[k]));
    }
    Dim inner = 1;
    for (size_t k = 0; k < 3; ++k) {
      Dim length = own[k].shape()[axes[k] ? 1 : 0];
      inner = surely_equal(length, 1) ? inner : length;
    }
    for (size_t k = 0; k < 3; ++k) {
      Shape shape = own[k].shape();
      bool has_lanes = !surely_equal(shape[axes[k] ? 1 : 0], 1);
      if (axes[k] || has_lanes) {
        Shape all = axes[k] ? shape : prepended(outer, shape);
        all[1] = inner;
        own[k] = flatten(broadcast_to(own[k], all), 0, 1);
      }
    }
    ChosenProducts how = how_;
    how.sums = false;
    array y = unflatten(chosen_products(own[0], own[1], own[2], how), 0, {outer, inner});
    return {{how_.sums ? sum(y, {1}, true) : y}, {0}};
  }

 private:
  static Dim lanes(Operands operands) {
    for (const array& operand : operands) {
      if (!surely_equal(operand.shape(0), 1)) {
        return operand.shape(0);
      }
    }
    return 1;
  }

  std::vector<Term> checked_terms(Operands operands, Dim count) const {
    const int64_t lengths[] = {static_cast<int64_t>(operands[0].shape(1)), static_cast<int64_t>(operands[1].shape(1)),
        static_cast<int64_t>(count)};
    const array& indices = operands[2];
    const auto* data = static_cast<const int64_t*>(indices.raw_data());
    const Strides& strides = indices.strides();
    const auto all = static_cast<int64_t>(lanes(operands)), terms = static_cast<int64_t>(indices.shape(2));
    const bool several[] = {!(operands[0].shape(0) == 1), !(operands[1].shape(0) == 1), !how_.sums};
    std::vector<Term> checked;
    checked.reserve(static_cast<size_t>(all * terms));
    for (int64_t lane = 0; lane < all; ++lane) {
      const int64_t* of_lane = data + (indices.shape(0) == 1 ? 0 : lane * strides[0]);
      for (int64_t t = 0; t < terms; ++t) {
        Term& term = checked.emplace_back();
        for (size_t k = 0; k < 3; ++k) {
          const int64_t row = how_.rows[k], index = of_lane[row * strides[1] + t * strides[2]], length = lengths[k];
          if (index < -length || index >= length) {
            constexpr const char* names[] = {"lhs_indices", "rhs_indices", "the results' indices"};
            constexpr const char* matrices[] = {"a's matrices.", "b's matrices.", "the results."};
            fail<std::out_of_range>("gather_mm", "index ", index, " of ", names[row],
                " is out of bounds for axis 0 of length ", length, ": ", matrices[row]);
          }
          term.of[k] = (several[k] ? lane * length : 0) + (index < 0 ? index + length : index);
        }
      }
    }
    return checked;
  }

  ChosenProducts how_;
};

} // namespace

array chosen_products(const array& a, const array& b, const array& indices, const ChosenProducts& how) {
  return applied(make_primitive<ChosenMatmul>(how), {a, b, indices});
}

std::span<const Remake> chosen_product_remakes() {
  static constexpr Remake rows[] = {
      {"ChosenMatmul",
          [](const Parts& p) {
            Axes order = p.axes("rows");
            Parts::require(order.size() == 3 && p[0].ndim() == 4 && p[1].ndim() == 4 && p[2].ndim() == 3 &&
                               p[2].dtype() == int64 && p[0].dtype() == p[1].dtype(),
                "the operands of products of chosen matrices make no sense.");
            for (int row : order) {
              Parts::require(row >= 0 && row < 3, "an index of products of chosen matrices is missing.");
            }
            return std::vector<array>{chosen_products(p[0], p[1], p[2],
                {p.size("count"), p.flag("sums"), p.flag("zero_terms"), {order[0], order[1], order[2]}})};
          }},
  };
  return rows;
}

} // namespace mlx::core
