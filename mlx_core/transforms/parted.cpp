// Cotangents of parts that leave nothing out, joined, where zeros around each would be added up.
#include "mlx_core/transforms/parted.h"

#include <algorithm>
#include <span>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/index/added_parts.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/transforms/cotangent_sums.h"

namespace mlx::core {

namespace {

struct Part {
  array cotangent;
  Sizes start, count, step; // steps above 0
};

// How many elements of a part lie one after another in the whole.
int64_t line_of(const Shape& whole, const Shape& part) {
  int64_t line = 1;
  for (size_t d = part.size(); d-- > 0;) {
    line *= static_cast<int64_t>(part[d]);
    if (!(part[d] == whole[d])) {
      break;
    }
  }
  return line;
}

// The part forwards along every axis; none where sizes are open.
std::optional<Part> part_of(const Node* reader, const array& cotangent) {
  std::optional<WrittenPart> read = read_part(*reader->primitive);
  if (!is_known(read->start) || !is_known(read->strides) || !is_known(reader->shape)) {
    return std::nullopt;
  }
  Part part{cotangent, sizes_of(read->start), sizes_of(reader->shape), sizes_of(read->strides)};
  Axes backwards;
  for (size_t i = 0; i < part.step.size(); ++i) {
    if (part.step[i] < 0 && part.count[i] > 0) {
      backwards.push_back(static_cast<int>(i));
      part.start[i] += (part.count[i] - 1) * part.step[i];
      part.step[i] = -part.step[i];
    }
    part.step[i] = part.count[i] == 1 ? 1 : part.step[i];
  }
  part.cotangent = backwards.empty() ? cotangent : flip(cotangent, backwards);
  return part;
}

// Parts that are equal along the axes before this one.
std::optional<array> joined(const Sizes& whole, std::span<Part> parts, size_t axis) {
  if (axis == whole.size()) {
    return parts.size() == 1 ? std::optional(parts[0].cotangent) : std::nullopt;
  }
  auto before = [axis](const Part& a, const Part& b) { return a.start[axis] < b.start[axis]; };
  std::stable_sort(parts.begin(), parts.end(), before);
  std::vector<array> pieces;
  int64_t count = parts[0].count[axis], step = parts[0].step[axis], covered = 0;
  bool in_turn = step > 1; // every step-th element in one, the next ones in another
  for (size_t first = 0, last; first < parts.size(); first = last) {
    const Part& model = parts[first];
    last = first;
    while (last < parts.size() && parts[last].start[axis] == model.start[axis]) {
      bool alike = parts[last].count[axis] == model.count[axis] && parts[last].step[axis] == model.step[axis];
      if (!alike) {
        return std::nullopt;
      }
      ++last;
    }
    bool follows = in_turn ? model.step[axis] == step && model.count[axis] == count &&
                                 model.start[axis] == static_cast<int64_t>(pieces.size())
                           : model.step[axis] == 1 && model.start[axis] == covered;
    std::optional<array> piece = follows ? joined(whole, parts.subspan(first, last - first), axis + 1) : std::nullopt;
    if (!piece) {
      return std::nullopt;
    }
    pieces.push_back(*std::move(piece));
    covered += model.count[axis];
  }
  if (covered != whole[axis] || (in_turn && static_cast<int64_t>(pieces.size()) != step)) {
    return std::nullopt;
  }
  if (pieces.size() == 1) {
    return pieces[0];
  }
  if (!in_turn) {
    return concatenate(pieces, static_cast<int>(axis));
  }
  Shape merged = pieces[0].shape();
  merged[axis] *= step;
  return reshape(stack(pieces, static_cast<int>(axis) + 1), std::move(merged));
}

} // namespace

bool is_large_part(const Node& reader, const Shape& whole) {
  std::optional<WrittenPart> part = read_part(*reader.primitive);
  return part && part->is_most_of(whole, reader.shape);
}

PartCotangents merged(PartCotangents parts, const Shape& whole) {
  PartCotangents out;
  for (auto& [reader, cotangent] : parts) {
    bool is_large = is_large_part(*reader, whole);
    auto is_same = [&, reader = reader](const auto& other) {
      return is_large && other.first->stream == reader->stream && other.first->shape == reader->shape &&
             is_large_part(*other.first, whole) &&
             read_part(*other.first->primitive)->start == read_part(*reader->primitive)->start;
    };
    auto same = std::find_if(out.begin(), out.end(), is_same);
    if (same != out.end()) {
      same->second = add(same->second, cotangent);
    } else {
      out.emplace_back(reader, std::move(cotangent));
    }
  }
  return out;
}

BarePart::BarePart(const array& of) : cotangent(of) {
  while (std::optional<Pending> node = pending(cotangent)) {
    if (node->is(Body::negative)) {
      is_negative = !is_negative;
    } else if (node->is(Body::zero_times) && node->operands[1].ndim() == 0 &&
               node->operands[0].shape() == cotangent.shape()) {
      factors.push_back(node->operands[1]);
    } else {
      return;
    }
    cotangent = node->operands[0];
  }
}

array BarePart::with_factors(array whole) const {
  for (size_t i = factors.size(); i-- > 0;) {
    whole = zero_times(whole, factors[i]);
  }
  return whole;
}

std::optional<array> put_together(const Shape& whole, const PartCotangents& given) {
  std::vector<Part> parts;
  if (!is_known(whole)) {
    return std::nullopt;
  }
  for (const auto& [reader, cotangent] : given) {
    std::optional<Part> part = part_of(reader, cotangent);
    if (!part) {
      return std::nullopt;
    }
    parts.push_back(*std::move(part));
  }
  // Of a part that is read more than once, as x[:, 0] in formulas of components, the sum, its terms in their order;
  // of few elements they are as well added up in place.
  auto before = [](const Part& a, const Part& b) {
    return std::lexicographical_compare(a.start.begin(), a.start.end(), b.start.begin(), b.start.end());
  };
  auto are_same = [](const Part& a, const Part& b) {
    return a.start == b.start && a.count == b.count && a.step == b.step;
  };
  std::stable_sort(parts.begin(), parts.end(), before);
  int64_t elements = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i == 0 || are_few(whole) || !are_same(parts[i - 1], parts[i])) {
      elements += size_of(parts[i].cotangent.shape());
    }
  }
  if (elements == 0 || elements != size_of(whole)) {
    return std::nullopt;
  }
  size_t last = 0;
  for (size_t i = 1; i < parts.size(); ++i) {
    if (are_same(parts[last], parts[i])) {
      parts[last].cotangent = sum_of(parts[last].cotangent, parts[i].cotangent);
    } else if (++last != i) {
      parts[last] = std::move(parts[i]);
    }
  }
  return joined(sizes_of(whole), std::span(parts).first(last + 1), 0);
}

std::optional<array> added_up(const Shape& whole, const PartCotangents& given) {
  constexpr size_t fewest = 3, most = 1024; // parts
  constexpr int64_t smallest = 4096, smallest_part = 2048, least_share = 16, shortest_line = 16;
  // Zeros around long lines are no work for what fuses them with other steps, which then spares passes of large arrays.
  constexpr int64_t long_line = 2048, large = 1 << 16;
  StreamNumber stream = given[0].first->stream;
  if (given.size() < fewest || given.size() > most || !is_known(whole) || size_of(whole) < smallest ||
      kernels_on(stream).device() != Device::cpu) {
    return std::nullopt;
  }
  bool are_lines_long = whole.back() >= long_line && size_of(whole) >= large;
  auto is_padded = [&](size_t k) {
    return is_large_part(*given[k].first, whole) && (k < 2 || whole.back() >= shortest_padded_line);
  };
  for (size_t k = 0; k < given.size(); ++k) {
    const auto& [reader, cotangent] = given[k];
    std::optional<WrittenPart> read = read_part(*reader->primitive);
    if (!is_known(read->start) || !is_known(reader->shape) || reader->stream != stream || !read->has_no_gaps() ||
        size_of(reader->shape) < std::max<int64_t>(smallest_part, size_of(whole) / least_share) ||
        line_of(whole, reader->shape) < shortest_line || cotangent.dtype() != given[0].second.dtype()) {
      return std::nullopt;
    }
    if (is_padded(k) && (are_lines_long || BarePart(cotangent).cotangent.dtype() != cotangent.dtype())) {
      return std::nullopt;
    }
  }
  std::vector<AddedPart> parts;
  for (const auto& [reader, cotangent] : given) {
    size_t k = parts.size();
    parts.push_back({cotangent, read_part(*reader->primitive)->start, std::nullopt, false, k < 2 || is_padded(k)});
    if (!is_padded(k)) {
      continue;
    }
    AddedPart& part = parts.back();
    BarePart bare(cotangent);
    part.part = bare.is_negative && k == 0 ? negative(bare.cotangent) : bare.cotangent;
    part.subtracts = bare.is_negative && k > 0;
    part.pads = !part.subtracts;
    for (size_t i = bare.factors.size(); i-- > 0;) {
      if (i == 0 && bare.factors[i].dtype() == cotangent.dtype()) {
        part.factor = bare.factors[i];
      } else {
        part.part = zero_times(part.part, bare.factors[i]);
      }
    }
  }
  return add_parts(whole, parts);
}

} // namespace mlx::core
