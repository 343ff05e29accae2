// Loads, uses and closes each library twice, and then has all of them in one process at once, where each has a pjrt of
// its own.
#include <dlfcn.h>

#include <cstdio>
#include <vector>

int main(int argc, char** argv) {
  std::vector<int (*)(const char*)> functions;
  for (int round = 0; round < 3; ++round) {
    for (int i = 2; i < argc; ++i) {
      void* library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
      if (library == nullptr) return std::puts(dlerror()), 2;
      const auto function = reinterpret_cast<int (*)(const char*)>(dlsym(library, "read_digits"));
      if (function == nullptr || function(argv[1]) != 0) return 1;
      if (round < 2) {
        dlclose(library);
      } else {
        functions.push_back(function);
      }
    }
  }
  for (const auto function : functions) {
    if (function(argv[1]) != 0) return 1;
  }
  return 0;
}
