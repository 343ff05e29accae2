#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"

namespace pjrt {

/// A program to compile: code and the name of its format (`PJRT_Program`). Copies share the code.
class PJRT_EXPORT Program {
 public:
  /// StableHLO (or MHLO, CHLO) as MLIR text, MLIR bytecode or a portable artifact: format "mlir".
  static Program mlir(std::string code) { return Program("mlir", std::move(code)); }
  /// A serialized HloModuleProto: format "hlo".
  static Program hlo(std::string code) { return Program("hlo", std::move(code)); }
  /// The same from bytes, which are copied.
  static Program hlo(std::span<const std::byte> code) {
    return hlo(std::string(reinterpret_cast<const char*>(code.data()), code.size()));
  }
  /// A format of the plugin's own.
  Program(std::string format, std::string code)
      : format_(std::move(format)), code_(std::make_shared<const std::string>(std::move(code))) {}
  /// Reads a file: MLIR text or bytecode by what it begins with, a serialized HloModuleProto otherwise.
  static Result<Program> load(const std::filesystem::path& path);

  const std::string& format() const& noexcept { return format_; }
  std::string format() const&& { return format_; }
  /// Empty for a program that was moved from.
  std::string_view code() const& noexcept { return code_ != nullptr ? std::string_view(*code_) : std::string_view(); }
  std::string_view code() const&& = delete;

  /// The StableHLO version that a portable artifact is stamped with: "1.15.0". A hint, not a gate: newer plugins read
  /// older artifacts, and older plugins often newer ones.
  std::optional<std::string> stablehlo_version() const;

 private:
  std::string format_;
  std::shared_ptr<const std::string> code_;
};

}  // namespace pjrt
