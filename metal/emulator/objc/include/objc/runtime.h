// The part of Apple's <objc/runtime.h> that metal-cpp uses, for Linux.
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct objc_class* Class;
typedef struct objc_selector* SEL;
typedef struct objc_object {
  Class isa;
}* id;
typedef signed char BOOL;

SEL sel_registerName(const char* name);
const char* sel_getName(SEL selector);
// Never null: a class that the stand-in lacks says so when it is sent a message.
void* objc_lookUpClass(const char* name);
void* objc_getProtocol(const char* name);

#ifdef __cplusplus
}
#endif
