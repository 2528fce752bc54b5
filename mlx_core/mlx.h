// The whole public C++ API.
#pragma once

#include "mlx_core/allocator.h"
#include "mlx_core/array.h"
#include "mlx_core/control_flow.h"
#include "mlx_core/device.h"
#include "mlx_core/dtype.h"
#include "mlx_core/ops.h"
#include "mlx_core/random.h"
#include "mlx_core/registry.h"
#include "mlx_core/transforms.h"
