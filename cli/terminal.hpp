#pragma once

#include <streambuf>
#include <string>
#include <string_view>

namespace pjrt::cli {

/// Names, paths and messages of models and plugins, on one line: what could act on a terminal becomes an escape such as
/// \x1b. A name that is shown so is found under that spelling.
std::string shown(std::string_view text);

/// The same for text of several lines, whose line breaks and tabs stay.
std::string shown_lines(std::string_view text);

/// The same for JSON, where only strings can hold such characters: \u202e. Line breaks stay.
std::string shown_json(std::string_view json);

/// Passes text on to another buffer as shown_lines makes it, so that nothing raw reaches a terminal, whoever writes it.
class ShownText final : public std::streambuf {
 public:
  explicit ShownText(std::streambuf* to) : to_(to) {}

  /// Lets std::cout and std::cerr write through such buffers for the rest of the process.
  static void install();

 protected:
  int_type overflow(int_type c) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override;

 private:
  bool write(std::string_view text);
  std::streambuf* to_;
  std::string begun_;  // the first bytes of a character
};

}  // namespace pjrt::cli
