// The names of Core Graphics that metal-cpp's declarations mention, for Linux.
#pragma once

typedef double CGFloat;
typedef struct CGSize {
  CGFloat width, height;
} CGSize;
