#include "pjrt/serialized_executable.hpp"

#include <charconv>
#include <cstring>
#include <map>
#include <string_view>

#include "core/file.hpp"
#include "core/hash.hpp"
#include "core/try.hpp"

namespace pjrt {
namespace {

// "pjrt-cpp executable 1\n", lines "key: value\n", an empty line, the plugin's bytes.
constexpr std::string_view kMagic = "pjrt-cpp executable 1\n";
constexpr std::string_view kHash = "hash: ";

std::string hex(std::uint64_t value) {
  char digits[17];
  const auto end = std::to_chars(digits, digits + 16, value, 16).ptr;
  return std::string(digits, end);
}

/// Of everything before the line with the hash, and of the payload.
std::string hash_of(std::string_view header, std::span<const std::byte> payload) {
  return hex(detail::hash(payload, detail::hash(std::as_bytes(std::span(header)))));
}

std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  return text;
}

Error bad(ErrorCode code, std::string what) {
  return Error(code, "serialized executable: " + std::move(what));
}

}  // namespace

SerializedExecutable::SerializedExecutable(Origin origin, std::span<const std::byte> payload)
    : origin_(std::move(origin)) {
  for (std::string* text : {&origin_.platform, &origin_.xla_version, &origin_.plugin_id})
    *text = one_line(std::move(*text));
  std::string header(kMagic);
  header += "platform: " + origin_.platform + "\n";
  header += "api_version: " + to_string(origin_.api_version) + "\n";
  header += "xla_version: " + origin_.xla_version + "\n";
  header += "plugin_id: " + origin_.plugin_id + "\n";
  header += "payload_size: " + std::to_string(payload.size()) + "\n";
  header += std::string(kHash) + hash_of(header, payload) + "\n\n";
  payload_begin_ = header.size();
  bytes_.resize(header.size() + payload.size());
  std::memcpy(bytes_.data(), header.data(), header.size());
  if (!payload.empty()) std::memcpy(bytes_.data() + header.size(), payload.data(), payload.size());
}

std::span<const std::byte> SerializedExecutable::payload() const& noexcept {
  return std::span(bytes_).subspan(payload_begin_);
}

Result<SerializedExecutable> SerializedExecutable::parse(std::span<const std::byte> bytes) try {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic)) {
    return std::unexpected(
        bad(ErrorCode::InvalidArgument, "not written by this library")
            .with_note("a plugin's bare bytes can be given to Client::deserialize_raw, at your own risk"));
  }
  const std::size_t end = text.find("\n\n");
  if (end == std::string_view::npos) return std::unexpected(bad(ErrorCode::DataLoss, "cut off in its header"));
  std::map<std::string, std::string, std::less<>> lines;
  for (std::size_t at = kMagic.size(); at < end + 1;) {
    const std::size_t stop = text.find('\n', at);
    const std::string_view line = text.substr(at, stop - at);
    const std::size_t colon = line.find(": ");
    if (colon == std::string_view::npos) return std::unexpected(bad(ErrorCode::DataLoss, "its header is damaged"));
    lines.emplace(line.substr(0, colon), line.substr(colon + 2));
    at = stop + 1;
  }
  SerializedExecutable s;
  s.origin_.platform = lines["platform"];
  s.origin_.xla_version = lines["xla_version"];
  s.origin_.plugin_id = lines["plugin_id"];
  const std::string& version = lines["api_version"];
  const std::size_t dot = version.find('.');
  if (dot == std::string::npos) return std::unexpected(bad(ErrorCode::DataLoss, "its header is damaged"));
  std::from_chars(version.data(), version.data() + dot, s.origin_.api_version.major);
  std::from_chars(version.data() + dot + 1, version.data() + version.size(), s.origin_.api_version.minor);

  s.payload_begin_ = end + 2;
  const std::span<const std::byte> payload = bytes.subspan(s.payload_begin_);
  if (std::to_string(payload.size()) != lines["payload_size"]) {
    return std::unexpected(
        bad(ErrorCode::DataLoss, "it has " + std::to_string(payload.size()) + " bytes of " + lines["payload_size"]));
  }
  const std::size_t hash_line = text.substr(0, end).rfind('\n') + 1;
  if (text.substr(hash_line, end - hash_line) != std::string(kHash) + hash_of(text.substr(0, hash_line), payload)) {
    return std::unexpected(bad(ErrorCode::DataLoss, "its bytes are damaged"));
  }
  s.bytes_.assign(bytes.begin(), bytes.end());
  return s;
}
PJRT_CATCH

Result<SerializedExecutable> SerializedExecutable::load(const std::filesystem::path& path) try {
  PJRT_TRY(const detail::FileContents file, detail::read_file(path));
  Result<SerializedExecutable> s = parse(file.bytes());
  if (!s) return std::unexpected(s.error().with_context(path.string()));
  return s;
}
PJRT_CATCH

Result<void> SerializedExecutable::save(const std::filesystem::path& path) const try {
  return detail::write_file(path, bytes_);
}
PJRT_CATCH

}  // namespace pjrt
