#include <cstdio>
#include <pjrt/pjrt.hpp>

using pjrt::or_throw;  // Result<T> -> T, or throws pjrt::Exception with the whole message

int main(int argc, char** argv) try {
  const std::filesystem::path folder = argc > 1 ? argv[1] : "models/digits";

  // The session owns plugin, client and compiled program.
  const pjrt::Session session = or_throw(pjrt::Session::open(folder / "model.jaxexp"));
  const pjrt::HostBuffer images = or_throw(pjrt::HostBuffer::load(folder / "images.npy"));

  // Arrays go in and come out by name; types and shapes are checked.
  const pjrt::SessionOutputs outputs = or_throw(session.run({{"x", images}}));
  for (const std::int32_t label : or_throw(outputs["label"].span<std::int32_t>())) std::printf("%d ", label);
  std::printf("\n");
  return 0;
} catch (const pjrt::Exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
