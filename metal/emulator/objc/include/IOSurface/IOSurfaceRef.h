// The names of IOSurface that metal-cpp's declarations mention, for Linux.
#pragma once

typedef struct __IOSurface* IOSurfaceRef;
