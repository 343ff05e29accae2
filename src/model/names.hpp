#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/model/interface.hpp"

namespace pjrt::model {

/// Finds the inputs or outputs of a model by what people call them, by looking into hash tables that are made once.
///
/// The first of these that fits any value decides, and if it fits several it is an error: the path; the author's name;
/// either as a listing shows it; the key at the end of either ("layers.0.w" for "args[0]['layers.0.w']"); the last
/// steps of either, however they are spelled ("['conv1'].kernel", "conv1.kernel"); the same with keys taken apart at
/// '.' and
/// '/' ("params/conv1/kernel"); the number ("arg3" of inputs, "out3" of outputs, "arr_3" of both). Keys are read as
/// Python writes them.
class PJRT_EXPORT NameIndex {
 public:
  NameIndex();
  /// `what` is "input" or "output". Copies what it needs.
  NameIndex(std::span<const SessionValue> values, std::string_view what);
  NameIndex(NameIndex&&) noexcept;
  NameIndex& operator=(NameIndex&&) noexcept;
  ~NameIndex();

  /// NotFound names the closest values; InvalidArgument those among which `text` does not decide.
  Result<std::size_t> find(std::string_view text) const;
  /// The same without numbers.
  bool contains(std::string_view text) const;

 private:
  struct Tables;
  std::unique_ptr<const Tables> tables_;
};

/// "args[0]['w'] (params['w'])", for messages.
PJRT_EXPORT std::string label(const SessionValue& value);

}  // namespace pjrt::model
