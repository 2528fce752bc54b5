// The names of Core Foundation that metal-cpp's declarations mention, for Linux.
#pragma once

// Apple's brings these along, and metal-cpp counts on it.
#include <math.h>
#include <stddef.h>
#include <stdint.h>

typedef double CFTimeInterval;
