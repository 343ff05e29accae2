// Classifies handwritten digits with a model that JAX exported, and shows them.
//
//   digits models/digits

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <pjrt/pjrt.hpp>

using pjrt::or_throw;

/// An 8x8 image of grey values 0 to 16 as text, two characters to a pixel.
void show(std::span<const float> image) {
  constexpr std::string_view kShades = " .:-=+*#%@";
  for (std::size_t y = 0; y < 8; ++y) {
    std::cout << "    ";
    for (std::size_t x = 0; x < 8; ++x) {
      const auto shade = static_cast<std::size_t>(image[y * 8 + x] / 16.0F * 9.0F);
      std::cout << kShades[shade] << kShades[shade];
    }
    std::cout << "\n";
  }
}

int main(int argc, char** argv) try {
  const std::filesystem::path folder = argc > 1 ? argv[1] : "models/digits";
  const pjrt::Session session = or_throw(pjrt::Session::open(folder / "model.jaxexp"));
  const pjrt::HostBuffer images = or_throw(pjrt::HostBuffer::load(folder / "images.npy"));
  const pjrt::HostBuffer truth = or_throw(pjrt::HostBuffer::load(folder / "labels.npy"));

  const pjrt::SessionOutputs outputs = or_throw(session.run({{"x", images}}));
  const std::vector<std::int32_t> labels = or_throw(outputs["label"].to_vector<std::int32_t>());
  const std::vector<float> pixels = or_throw(images.to_vector<float>());
  const std::vector<std::int32_t> expected = or_throw(truth.to_vector<std::int32_t>());

  std::size_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    show(std::span(pixels).subspan(i * 64, 64));
    std::cout << "    → " << labels[i]
              << (labels[i] == expected[i] ? "" : "  (it is a " + std::to_string(expected[i]) + ")") << "\n\n";
    right += labels[i] == expected[i] ? 1 : 0;
  }
  std::cout << right << " of " << labels.size() << " digits read rightly by " << session.executable().name() << " on "
            << session.client().platform_name() << " (PJRT API " << to_string(session.client().plugin().api_version())
            << ")\n";
  return right == labels.size() ? 0 : 1;
} catch (const pjrt::Exception& e) {
  std::cerr << "digits: " << e.what() << "\n";
  return 1;
}
