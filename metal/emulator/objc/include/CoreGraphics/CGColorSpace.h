// The names of Core Graphics that metal-cpp's declarations mention, for Linux.
#pragma once

typedef struct CGColorSpace* CGColorSpaceRef;
