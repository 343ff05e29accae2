/* A library that a plugin needs and the loader does not find; -DNAME is its only function. */

__attribute__((visibility("default"))) void NAME(void) {
}
