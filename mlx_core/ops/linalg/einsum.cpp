// einsum: sums of products by subscripts, as matrix products and sums of pairs of operands.
#include <algorithm>
#include <iomanip>

#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/linalg/einsum_path.h"
#include "mlx_core/ops/linalg/products.h"
#include "mlx_core/ops/linear.h"

namespace mlx::core {

namespace {

// An array with a different label for each axis.
struct Term {
  array value;
  Labels labels;
};

Labels chosen(const Labels& labels, auto&& wanted) {
  Labels out;
  std::copy_if(labels.begin(), labels.end(), std::back_inserter(out), wanted);
  return out;
}
Labels joined(const Labels& a, const Labels& b) {
  Labels out = a;
  std::copy(b.begin(), b.end(), std::back_inserter(out));
  return out;
}
int axis_of(const Labels& labels, Label label) {
  return static_cast<int>(std::find(labels.begin(), labels.end(), label) - labels.begin());
}
bool has(const LabelSet& set, Label label) { return set[static_cast<size_t>(label)]; }

// Repeated labels read a diagonal. An axis of length 1 that the others' broadcasts over is left out.
Term term_of(array value, Labels labels, const std::vector<Dim>& sizes) {
  for (size_t i = 0; i < labels.size(); ++i) {
    for (size_t k = i + 1; k < labels.size(); ++k) {
      if (labels[i] == labels[k]) {
        value = diagonal(value, 0, static_cast<int>(i), static_cast<int>(k));
        labels.push_back(labels[i]);
        labels.erase(labels.begin() + k);
        labels.erase(labels.begin() + i);
        k = i--; // what has moved to place i is looked at again
        break;
      }
    }
  }
  Axes left_out;
  for (size_t i = 0; i < labels.size(); ++i) {
    Dim length = value.shape()[i], size = sizes[static_cast<size_t>(labels[i])];
    if (surely_equal(length, 1) ? !surely_equal(size, 1) : !(length == size)) {
      left_out.push_back(static_cast<int>(i));
    }
  }
  Labels kept;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (std::find(left_out.begin(), left_out.end(), static_cast<int>(i)) == left_out.end()) {
      kept.push_back(labels[i]);
    }
  }
  return {squeeze(value, left_out), std::move(kept)};
}

// The term with its axes in the order of `labels`, which has all of its own; axes of length 1 for the others.
array aligned(const Term& term, const Labels& labels) {
  Axes order, added;
  for (size_t i = 0; i < labels.size(); ++i) {
    int axis = axis_of(term.labels, labels[i]);
    if (axis < static_cast<int>(term.labels.size())) {
      order.push_back(axis);
    } else {
      added.push_back(static_cast<int>(i));
    }
  }
  return expand_dims(transpose(term.value, order), added);
}

Term summed(const Term& term, const LabelSet& kept) {
  Axes axes;
  for (size_t i = 0; i < term.labels.size(); ++i) {
    if (!has(kept, term.labels[i])) {
      axes.push_back(static_cast<int>(i));
    }
  }
  Labels labels = chosen(term.labels, [&](Label l) { return has(kept, l); });
  return axes.empty() ? term : Term{sum(term.value, axes), std::move(labels)};
}

// All terms multiplied, then summed over what is not kept, in one pass.
Term multiplied(const std::vector<Term>& terms, const LabelSet& kept) {
  Labels first, last;
  LabelSet seen;
  for (const Term& term : terms) {
    for (Label label : term.labels) {
      if (!has(seen, label)) {
        (has(kept, label) ? first : last).push_back(label);
        seen.set(static_cast<size_t>(label));
      }
    }
  }
  Labels all = joined(first, last);
  array product = aligned(terms[0], all);
  for (size_t i = 1; i < terms.size(); ++i) {
    product = multiply(product, aligned(terms[i], all));
  }
  return summed({product, all}, kept);
}

// A pair: labels of both that are kept are a batch, those of both that are not are summed in a matrix product whose
// rows and columns are what either has alone.
Term pair_product(Term a, Term b, const LabelSet& kept) {
  LabelSet of_a = set_of(a.labels), of_b = set_of(b.labels);
  a = summed(a, kept | of_b);
  b = summed(b, kept | of_a);
  of_a = set_of(a.labels);
  of_b = set_of(b.labels);
  Labels batch = chosen(a.labels, [&](Label l) { return has(of_b, l) && has(kept, l); });
  Labels inner = chosen(a.labels, [&](Label l) { return has(of_b, l) && !has(kept, l); });
  Labels rows = chosen(a.labels, [&](Label l) { return !has(of_b, l); });
  Labels columns = chosen(b.labels, [&](Label l) { return !has(of_a, l); });
  bool dots = rows.empty() && columns.empty() && a.value.itemsize() >= 4; // one pass over both is quicker
  if (inner.empty() || dots) {
    return multiplied({a, b}, kept);
  }
  array left = aligned(a, joined(joined(batch, rows), inner)),
        right = aligned(b, joined(joined(batch, inner), columns));
  auto at = static_cast<std::ptrdiff_t>(batch.size());
  auto sizes = [&](const array& x, size_t skip, size_t count) {
    auto from = x.shape().begin() + at + static_cast<std::ptrdiff_t>(skip);
    return Shape(from, from + static_cast<std::ptrdiff_t>(count));
  };
  Shape row_sizes = sizes(left, 0, rows.size()), column_sizes = sizes(right, inner.size(), columns.size());
  Dim length = size_of(sizes(right, 0, inner.size()));
  Shape outer(left.shape().begin(), left.shape().begin() + at);
  auto with = [&](std::initializer_list<Shape> parts) {
    Shape shape = outer;
    for (const Shape& part : parts) {
      std::copy(part.begin(), part.end(), std::back_inserter(shape));
    }
    return shape;
  };
  array product = matmul(
      reshape(left, with({{size_of(row_sizes)}, {length}})), reshape(right, with({{length}, {size_of(column_sizes)}})));
  return {reshape(product, with({row_sizes, column_sizes})), joined(joined(batch, rows), columns)};
}

constexpr double einsum_elements = 1 << 24; // an intermediate result may have this many in any case

constexpr OpInfo einsum_info{.name = "einsum",
    .summary = "Sums of products of operands, by Einstein's convention.",
    .example =
        ">>> a, b = mx.array([[1.0, 2.0], [3.0, 4.0]]), mx.array([1.0, 10.0])\n>>> mx.einsum(\"ij,j->i\", a, b)\n"
        "array([21, 43], dtype=float32)\n>>> mx.einsum(\"ii\", a)\narray(5, dtype=float32)",
    .details =
        "subscripts has a letter for each axis of each operand, with commas between operands, and after \"->\" those "
        "of "
        "the output; letters that the output has not are summed over. Without \"->\" the output has the letters that "
        "occur once, in alphabetical order. A letter that occurs twice in one operand reads its diagonal. \"...\" "
        "stands for the axes without letters, which broadcast. Axes of length 1 broadcast too. Several operands are "
        "contracted pair by pair in the order that einsum_path finds. Integers are summed as sum() does, in 32 bits "
        "where they are narrower. Raises ValueError when subscripts and operands do not fit."};

} // namespace

array einsum(const std::string& subscripts, const std::vector<array>& operands, StreamOrDevice s) try {
  StreamScope on(s);
  Subscripts parsed = parse_subscripts("einsum", subscripts, operands);
  LabelSet output = set_of(parsed.output), all;
  Dtype dtype = operands[0].dtype();
  for (size_t i = 0; i < operands.size(); ++i) {
    dtype = promote_types(dtype, operands[i].dtype());
    all |= set_of(parsed.inputs[i]);
  }
  if (all != output) {
    dtype = summed_dtype(dtype);
  }
  std::vector<Term> terms;
  for (size_t i = 0; i < operands.size(); ++i) {
    const array& a = operands[i];
    terms.push_back(term_of(astype(a, dtype), parsed.inputs[i], parsed.sizes));
  }
  std::vector<std::vector<int>> steps{terms.size() == 1 ? std::vector<int>{0} : std::vector<int>{0, 1}};
  if (terms.size() > 2) {
    steps = find_path(parsed, einsum_elements).steps;
  }
  for (const std::vector<int>& positions : steps) {
    std::vector<Term> taken;
    for (size_t i = positions.size(); i-- > 0;) {
      auto at = terms.begin() + positions[i];
      taken.insert(taken.begin(), *at);
      terms.erase(at);
    }
    LabelSet kept = output;
    for (const Term& term : terms) {
      kept |= set_of(term.labels);
    }
    terms.push_back(taken.size() == 1   ? summed(taken[0], kept)
                    : taken.size() == 2 ? pair_product(taken[0], taken[1], kept)
                                        : multiplied(taken, kept));
  }
  return aligned(terms[0], parsed.output);
} catch (const SizeError& error) {
  error.rethrow_in("einsum");
}

// Under the limit of the largest operand or output alone: the text is for reading.
std::pair<std::vector<std::vector<int>>, std::string> einsum_path(
    const std::string& subscripts, const std::vector<array>& operands) {
  ContractionPath path = find_path(parse_subscripts("einsum_path", subscripts, operands), 0);
  std::ostringstream text;
  text << std::fixed << std::setprecision(0) << "  Complete contraction:  " << subscripts
       << "\n         Naive scaling:  " << path.naive_scaling << "\n     Optimized scaling:  " << path.most_scaling
       << "\n      Naive FLOP count:  " << path.naive_cost << "\n  Optimized FLOP count:  " << path.cost << "\n";
  return {std::move(path.steps), text.str()};
}

std::span<const OpInfo* const> einsum_ops() {
  static constexpr const OpInfo* ops[] = {&einsum_info};
  return ops;
}

} // namespace mlx::core
