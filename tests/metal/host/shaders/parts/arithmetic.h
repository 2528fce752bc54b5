// Arithmetic of the tests.
#pragma once
#include "offset.h"

inline float twice(float x) { return 2 * x; }
