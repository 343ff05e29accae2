// A plugin of somebody's program that runs models: linked into a shared library or a module.
#include <cstdio>
#include <pjrt/pjrt.hpp>

/// Reads the digits of models/digits in `folder`; 0 if all went well.
extern "C" __attribute__((visibility("default"))) int read_digits(const char* folder) {
  const auto session = pjrt::Session::open(std::string(folder) + "/model.jaxexp");
  if (!session) return std::puts(std::string(session.error().message()).c_str()), 1;
  const auto images = pjrt::HostBuffer::load(std::string(folder) + "/images.npy");
  if (!images) return std::puts(std::string(images.error().message()).c_str()), 1;
  const auto outputs = session->run({{"x", *images}});
  if (!outputs) return std::puts(std::string(outputs.error().message()).c_str()), 1;
  const auto& labels = (*outputs)["label"];
  const auto span = labels.span<std::int32_t>();
  if (!span) return 1;
  for (const std::int32_t label : *span) std::printf("%d ", label);
  std::puts("");
  return std::fflush(stdout);
}
