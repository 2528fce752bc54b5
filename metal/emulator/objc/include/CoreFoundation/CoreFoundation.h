// The names of Core Foundation that metal-cpp's declarations mention, for Linux.
#pragma once

typedef double CFTimeInterval;
