/* libkern/OSCacheControl.h, modelled: see model.h. */
#include "model.h"
