// Derivatives through decompositions whose values may coincide (ops/linalg/confluent.h): the chain rule needs, of what
// is made of values and vectors, derivatives along the parting of the values. They are found in the graph.
//
// Through a second decomposition that follows, the derivative along the parting of the first takes the same: so much is
// done, and no more, for graphs grow by a factor with each.
//
// Forward mode is the transpose of reverse mode here: where values nearly coincide, whether n / gap or its series has
// more digits shows in n, which only reverse mode knows.
#pragma once

#include "mlx_core/ops/linalg/confluent.h"
#include "mlx_core/transforms/tape.h"

namespace mlx::core {

// The decomposition that this node is an application of; null for others.
const Confluent* confluent(const Node* node);
// The same decomposition of the same matrix, with the same vectors, before place i of the tape; null when there is
// none. What is made of both is smooth only together.
Node* earlier_twin(const Tape& tape, size_t i);
// Projections of all outputs of an application.
std::vector<array> outputs_of(Node* application);

// An application, with the tangents of its operands.
struct Decomposition {
  Node* node;
  Tangents tangents;
  std::vector<array> outputs;
};

// Which of the outputs depend on vectors of a decomposition.
std::vector<bool> made_of_vectors(const Tape& tape, std::span<const array> outputs);
// Numbers between -1 and 1 without a pattern.
array irregular_numbers(const Shape& shape, Dtype dtype);
// A frame that is open while it lives derives nothing by itself.
class HelpingFrame {
 public:
  HelpingFrame();
  ~HelpingFrame();
  HelpingFrame(const HelpingFrame&) = delete;
  HelpingFrame& operator=(const HelpingFrame&) = delete;
};

// Forward, where there is no reverse mode, and for derivatives along a parting: adds to the tangents of `outputs` what
// comes from vectors of equal values that turn into each other.
void add_turning(const Tape& tape, const Decomposition& decomposition, std::span<const array> outputs, int depth,
    Tangents& tangents);
// Reverse: the cotangent of the application's operand.
array pulled_through(Node* application, const Tangents& cotangents, std::span<const array> outputs);

} // namespace mlx::core
