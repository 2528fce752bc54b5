// The part of Apple's <dispatch/dispatch.h> that a Metal host needs to hand over bytes, for Linux.
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dispatch_queue_s* dispatch_queue_t;
typedef struct dispatch_data_s* dispatch_data_t;
typedef void* dispatch_block_t; // no block is taken: see below

// Copies the bytes; a destructor other than the default one is not supported.
#define DISPATCH_DATA_DESTRUCTOR_DEFAULT ((dispatch_block_t)0)
dispatch_data_t dispatch_data_create(
    const void* bytes, size_t size, dispatch_queue_t queue, dispatch_block_t destructor);
size_t dispatch_data_get_size(dispatch_data_t data);
void dispatch_release(void* object);

#ifdef __cplusplus
}
#endif
