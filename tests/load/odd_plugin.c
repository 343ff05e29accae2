/* A plugin's table as far as its version, with one thing wrong; -DODD_… says which. */

#include <stddef.h>

#ifdef ODD_OTHER_MAJOR
#define MAJOR 1
#else
#define MAJOR 0
#endif
#ifdef ODD_OLD_MINOR
#define MINOR 56
#else
#define MINOR 114
#endif

static struct {
  size_t struct_size;
  void* extension_start;
  struct {
    size_t struct_size;
    void* extension_start;
    int major;
    int minor;
  } version;
  void (*functions[138])(void);
} table = {
#ifdef ODD_TABLE_OF_NOTHING
    8,
#else
    sizeof table,
#endif
    NULL,
    {24, NULL, MAJOR, MINOR},
    {NULL}};

#ifdef ODD_UNDEFINED_SYMBOL
void function_that_nobody_defines(void);
#endif

#ifdef ODD_NEEDS_ABSENT_LIBRARIES
void absent_one(void);
void absent_two(void);
#endif

#ifdef ODD_NO_SYMBOL
__attribute__((visibility("default"))) const void* GetAnotherApi(void) {
  return &table;
}
#else
__attribute__((visibility("default"))) const void* GetPjrtApi(void) {
#ifdef ODD_UNDEFINED_SYMBOL
  function_that_nobody_defines();
#endif
#ifdef ODD_NEEDS_ABSENT_LIBRARIES
  absent_one();
  absent_two();
#endif
#ifdef ODD_NULL_TABLE
  (void)table;
  return NULL;
#else
  return &table;
#endif
}
#endif
