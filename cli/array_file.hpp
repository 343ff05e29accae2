#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/file.hpp"
#include "core/npy.hpp"
#include "model/safetensors.hpp"
#include "pjrt/model/npz.hpp"

namespace pjrt::cli {

/// A file of arrays: .npy, .npz or safetensors by its content, whatever its name. "-" is standard input.
class ArrayFile {
 public:
  static Result<ArrayFile> open(const std::filesystem::path& path);

  /// Whether its arrays have names (.npz and safetensors); an .npy file has one array without.
  bool is_archive() const noexcept { return !std::holds_alternative<One>(what_); }
  /// "an .npz".
  std::string_view kind() const noexcept {
    return std::holds_alternative<model::NpzFile>(what_) ? "an .npz" : "a safetensors file";
  }
  /// Whether it can be opened again.
  bool is_regular() const noexcept { return regular_; }

  /// The names of an archive, in the order in which the arrays must be read.
  std::vector<std::string> names() const;
  /// An array of an archive; `check` is asked before memory is taken for it. `as`: see HostBuffer::load.
  Result<HostBuffer> read(const std::string& name, std::optional<ElementType> as,
                          const pjrt::detail::ShapeCheck& check);
  /// The array of an .npy file.
  Result<HostBuffer> read(std::optional<ElementType> as, const pjrt::detail::ShapeCheck& check);

 private:
  struct One {
    pjrt::detail::FileSource source;
  };
  struct Tensors {
    pjrt::detail::FileSource source;
    std::vector<model::Safetensor> entries;
    std::size_t next = 0;
  };
  using What = std::variant<One, model::NpzFile, Tensors>;
  ArrayFile(std::filesystem::path path, bool regular, What what)
      : path_(std::move(path)), regular_(regular), what_(std::move(what)) {}
  std::filesystem::path path_;
  bool regular_;
  What what_;
};

}  // namespace pjrt::cli
