// The names of the Mach kernel that metal-cpp's declarations mention, for Linux.
#pragma once

typedef int kern_return_t;
typedef unsigned int mach_port_t;
typedef mach_port_t task_id_token_t;
