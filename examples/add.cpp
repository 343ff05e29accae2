// The pieces under a session: compile, upload, execute, download.

#include <cstdio>
#include <pjrt/pjrt.hpp>
#include <vector>

namespace {

constexpr const char* kAdd = R"(
module @add {
  func.func public @main(%a: tensor<3xf32>, %b: tensor<3xf32>) -> tensor<3xf32> {
    %sum = stablehlo.add %a, %b : tensor<3xf32>
    return %sum : tensor<3xf32>
  }
})";

pjrt::Result<std::vector<float>> add(const pjrt::Client& client, std::span<const float> a, std::span<const float> b) {
  auto program = client.compile(pjrt::Program::mlir(kAdd));
  if (!program) return std::unexpected(program.error());
  auto x = client.upload(a, {3});  // shape {3}, element type from the span
  auto y = client.upload(b, {3});
  if (!x || !y) return std::unexpected(x ? y.error() : x.error());
  auto sum = (*program)(*x, *y);  // Result<Outputs>
  if (!sum) return std::unexpected(sum.error());
  return (*sum)[0].to_vector<float>();
}

}  // namespace

int main() try {
  const pjrt::Client client = pjrt::or_throw(pjrt::Client::create(pjrt::or_throw(pjrt::Plugin::load("cpu"))));
  const std::vector<float> a{1, 2, 3};
  const std::vector<float> b{10, 20, 30};
  for (const float v : pjrt::or_throw(add(client, a, b))) std::printf("%g ", v);
  std::printf("\n");
  return 0;
} catch (const pjrt::Exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
