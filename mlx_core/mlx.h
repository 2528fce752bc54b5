// The whole public C++ API.
#pragma once

#include "mlx_core/allocator.h"
#include "mlx_core/array.h"
#include "mlx_core/check_grads.h"
#include "mlx_core/compile.h"
#include "mlx_core/control_flow.h"
#include "mlx_core/debug.h"
#include "mlx_core/device.h"
#include "mlx_core/dtype.h"
#include "mlx_core/export.h"
#include "mlx_core/graph.h"
#include "mlx_core/jacobian.h"
#include "mlx_core/ops.h"
#include "mlx_core/random.h"
#include "mlx_core/registry.h"
#include "mlx_core/sparse_jacobian.h"
#include "mlx_core/transforms.h"
