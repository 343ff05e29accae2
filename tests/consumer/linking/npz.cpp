// Needs all of the library that reads files, libzip included.
#include <cstdio>
#include <pjrt/pjrt.hpp>

int main(int argc, char** argv) {
  const auto file = pjrt::model::NpzFile::open(argc > 1 ? argv[1] : "");
  std::puts(file ? "read" : std::string(file.error().message()).c_str());
  return file ? 0 : 1;
}
