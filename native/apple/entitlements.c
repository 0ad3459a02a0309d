/* SecTaskCopyValueForEntitlement of Apple's Security framework, on the process itself. The framework is loaded when it is
 * needed: an extension of Python that is linked to nothing but the system library runs on every Mac. */
#include "entitlements.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define SECURITY "/System/Library/Frameworks/Security.framework/Security"
#define CORE_FOUNDATION "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation"
#define ASCII UINT32_C(0x0600) /* kCFStringEncodingASCII */

typedef const void *reference; /* of CoreFoundation: CFTypeRef */

/* CoreFoundation/CFBase.h, CFString.h, CFNumber.h; Security/SecTask.h */
struct calls {
    reference (*make_string)(reference allocator, const char *text, uint32_t encoding);
    unsigned long (*type)(reference object);
    unsigned long (*boolean_type)(void);
    unsigned char (*boolean)(reference object);
    void (*release)(reference object);
    reference (*self)(reference allocator);
    reference (*value)(reference task, reference name, reference *error);
};

static struct dr_entitlements entitlements;

static bool find_calls(struct calls *calls) {
    void *core = dlopen(CORE_FOUNDATION, RTLD_LAZY | RTLD_LOCAL), *security = dlopen(SECURITY, RTLD_LAZY | RTLD_LOCAL);
    if (!core || !security)
        return false;
    *(void **)&calls->make_string = dlsym(core, "CFStringCreateWithCString");
    *(void **)&calls->type = dlsym(core, "CFGetTypeID");
    *(void **)&calls->boolean_type = dlsym(core, "CFBooleanGetTypeID");
    *(void **)&calls->boolean = dlsym(core, "CFBooleanGetValue");
    *(void **)&calls->release = dlsym(core, "CFRelease");
    *(void **)&calls->self = dlsym(security, "SecTaskCreateFromSelf");
    *(void **)&calls->value = dlsym(security, "SecTaskCopyValueForEntitlement");
    return calls->make_string && calls->type && calls->boolean_type && calls->boolean && calls->release && calls->self &&
           calls->value;
}

static bool is_true(const struct calls *calls, reference task, const char *name) {
    reference string = calls->make_string(NULL, name, ASCII);
    if (!string)
        return false;
    reference value = calls->value(task, string, NULL);
    bool result = value && calls->type(value) == calls->boolean_type() && calls->boolean(value);
    if (value)
        calls->release(value);
    calls->release(string);
    return result;
}

static void ask(void) {
    struct calls calls;
    reference task = find_calls(&calls) ? calls.self(NULL) : NULL;
    if (!task)
        return;
    entitlements.known = true;
    entitlements.write_allowlist = is_true(&calls, task, "com.apple.security.cs.jit-write-allowlist");
    entitlements.freeze_late = is_true(&calls, task, "com.apple.security.cs.jit-write-allowlist-freeze-late");
    calls.release(task);
}

struct dr_entitlements dr_apple_entitlements(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, ask);
    return entitlements;
}
