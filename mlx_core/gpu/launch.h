// How a GPU does each kind of work: supports() says whether it does, launch() encodes it. supports() reads no memory,
// and what it admits launch() must do, whatever the sizes (also none). launch_<kind>.cpp has those of a kind.
#pragma once

#include "mlx_core/backend/request.h"
#include "mlx_core/gpu/encoder.h"

namespace mlx::core::gpu {

// The name of a dtype in the shading language: "float", "bool", "bfloat", "ulong", "complex64_t" (metal/complex.h);
// null for those that it lacks, float64 and complex128. In the names of kernels a dtype is its name_of(), "float32".
const char* shader_type(Dtype dtype);
inline bool has_shader_type(Dtype dtype) { return dtype != float64 && dtype != complex128; }

bool supports(const kernel::Fused& k);
bool supports(const kernel::Copy& k);
bool supports(const kernel::Join& k);
bool supports(const kernel::Range& k);
bool supports(const kernel::RandomBits& k);
bool supports(const kernel::Product& k);
bool supports(const kernel::Reduce& k);
bool supports(const kernel::ArgReduce& k);
bool supports(const kernel::Scan& k);
bool supports(const kernel::Recurrence& k);
bool supports(const kernel::Fft& k);
bool supports(const kernel::Convolve& k);
bool supports(const kernel::Sort& k);
bool supports(const kernel::ArgSort& k);
bool supports(const kernel::ArgPartition& k);
bool supports(const kernel::SearchSorted& k);
bool supports(const kernel::Gather& k);
bool supports(const kernel::Scatter& k);
bool supports(const kernel::GatherAlong& k);
bool supports(const kernel::ScatterAlong& k);
bool supports(const kernel::Custom& k);
inline bool supports(const kernel::MatrixWork&) { return false; } // LAPACK's, on the host
inline bool supports(const kernel::AddParts&) { return false; }   // not made for streams of a GPU
inline bool supports(const kernel::Special&) { return false; }    // in float64, on the host

void launch(Encoder& encoder, const kernel::Fused& k);
void launch(Encoder& encoder, const kernel::Copy& k);
void launch(Encoder& encoder, const kernel::Join& k);
void launch(Encoder& encoder, const kernel::Range& k);
void launch(Encoder& encoder, const kernel::RandomBits& k);
void launch(Encoder& encoder, const kernel::Product& k);
void launch(Encoder& encoder, const kernel::Reduce& k);
void launch(Encoder& encoder, const kernel::ArgReduce& k);
void launch(Encoder& encoder, const kernel::Scan& k);
void launch(Encoder& encoder, const kernel::Recurrence& k);
void launch(Encoder& encoder, const kernel::Fft& k);
void launch(Encoder& encoder, const kernel::Convolve& k);
void launch(Encoder& encoder, const kernel::Sort& k);
void launch(Encoder& encoder, const kernel::ArgSort& k);
void launch(Encoder& encoder, const kernel::ArgPartition& k);
void launch(Encoder& encoder, const kernel::SearchSorted& k);
void launch(Encoder& encoder, const kernel::Gather& k);
void launch(Encoder& encoder, const kernel::Scatter& k);
void launch(Encoder& encoder, const kernel::GatherAlong& k);
void launch(Encoder& encoder, const kernel::ScatterAlong& k);
void launch(Encoder& encoder, const kernel::Custom& k);
inline void launch(Encoder&, const kernel::MatrixWork&) {}
inline void launch(Encoder&, const kernel::Special&) {}
inline void launch(Encoder&, const kernel::AddParts&) {}

} // namespace mlx::core::gpu
