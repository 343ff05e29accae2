#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/plugin.hpp"
#include "pjrt/version.hpp"

namespace pjrt {

/// A compiled program in a form to keep: the plugin's bytes behind a header that says which plugin wrote them.
///
/// Plugins load what other versions of themselves wrote without complaint and then compute wrong numbers, so the bytes
/// alone are not safe to load. `Client::deserialize` compares the header with its own plugin first.
///
/// A serialized executable is code: load only files that come from a trusted source. The hash in the header finds
/// accidental damage (integrity); it does not prove who wrote the file (authenticity).
class PJRT_EXPORT SerializedExecutable {
 public:
  SerializedExecutable(const SerializedExecutable&) = default;
  SerializedExecutable& operator=(const SerializedExecutable&) = default;
  /// What was moved from has no bytes.
  SerializedExecutable(SerializedExecutable&& other) noexcept
      : origin_(std::move(other.origin_)),
        bytes_(std::move(other.bytes_)),
        payload_begin_(std::exchange(other.payload_begin_, 0)) {
    other.bytes_.clear();
  }
  SerializedExecutable& operator=(SerializedExecutable&& other) noexcept {
    SerializedExecutable taken(std::move(other));
    std::swap(origin_, taken.origin_);
    bytes_.swap(taken.bytes_);
    std::swap(payload_begin_, taken.payload_begin_);
    return *this;
  }

  /// Who wrote an executable.
  struct Origin {
    /// "cpu", "tpu": the plugin's own name for its platform.
    std::string platform;
    Version api_version;
    /// The plugin's `xla_version` attribute; empty if it has none.
    std::string xla_version;
    /// Tells plugin files apart: their size and a hash of parts of them.
    std::string plugin_id;

    friend bool operator==(const Origin&, const Origin&) = default;
  };

  /// Reads header and bytes. InvalidArgument for anything that this library did not write, DataLoss if it is cut off or
  /// damaged.
  static Result<SerializedExecutable> parse(std::span<const std::byte> bytes);
  /// The same from a file.
  static Result<SerializedExecutable> load(const std::filesystem::path& path);

  const Origin& origin() const& noexcept { return origin_; }
  Origin origin() const&& { return origin_; }
  /// What the plugin wrote.
  std::span<const std::byte> payload() const& noexcept;
  std::span<const std::byte> payload() const&& = delete;
  /// Header and payload.
  std::span<const std::byte> bytes() const& noexcept { return bytes_; }
  std::span<const std::byte> bytes() const&& = delete;
  /// Writes header and payload to a file, whole or not at all.
  [[nodiscard]] Result<void> save(const std::filesystem::path& path) const;

  /// For the library itself.
  SerializedExecutable(Origin origin, std::span<const std::byte> payload);

 private:
  SerializedExecutable() = default;
  Origin origin_;
  std::vector<std::byte> bytes_;
  std::size_t payload_begin_ = 0;
};

}  // namespace pjrt
