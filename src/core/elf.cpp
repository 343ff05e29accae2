#include "core/elf.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace pjrt::detail {
namespace {

/// A file mapped read-only; empty if that failed.
class Mapping {
 public:
  explicit Mapping(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    struct stat file{};
    if (::fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_size > 0) {
      void* at = ::mmap(nullptr, static_cast<std::size_t>(file.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
      if (at != MAP_FAILED) bytes_ = {static_cast<const std::byte*>(at), static_cast<std::size_t>(file.st_size)};
    }
    ::close(fd);
  }
  ~Mapping() {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  /// `count` objects of type T at `offset`, or none if they do not lie inside the file.
  template <class T>
  std::span<const T> at(std::uint64_t offset, std::uint64_t count) const {
    if (offset > bytes_.size() || count > (bytes_.size() - offset) / sizeof(T)) return {};
    return {reinterpret_cast<const T*>(bytes_.data() + offset), static_cast<std::size_t>(count)};
  }
  /// The header, if it is that of a 64-bit shared library.
  const Elf64_Ehdr* library() const {
    const auto headers = at<Elf64_Ehdr>(0, 1);
    const bool is_library = !headers.empty() && std::memcmp(headers[0].e_ident, ELFMAG, SELFMAG) == 0 &&
                            headers[0].e_ident[EI_CLASS] == ELFCLASS64 && headers[0].e_type == ET_DYN;
    return is_library ? headers.data() : nullptr;
  }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace

bool exports_symbol(const std::filesystem::path& file, std::string_view symbol) {
  const Mapping map(file);
  const Elf64_Ehdr* header = map.library();
  if (header == nullptr) return false;
  const auto sections = map.at<Elf64_Shdr>(header->e_shoff, header->e_shnum);
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_DYNSYM || section.sh_link >= sections.size()) continue;
    const Elf64_Shdr& strings = sections[section.sh_link];
    const auto names = map.at<char>(strings.sh_offset, strings.sh_size);
    for (const Elf64_Sym& s : map.at<Elf64_Sym>(section.sh_offset, section.sh_size / sizeof(Elf64_Sym))) {
      if (s.st_shndx == SHN_UNDEF || s.st_name >= names.size()) continue;
      const std::string_view rest(names.data() + s.st_name, names.size() - s.st_name);
      if (rest.size() > symbol.size() && rest.starts_with(symbol) && rest[symbol.size()] == '\0') return true;
    }
  }
  return false;
}

bool is_cut_short(const std::filesystem::path& file) {
  const Mapping map(file);
  const Elf64_Ehdr* header = map.library();
  if (header == nullptr) return false;
  const auto segments = map.at<Elf64_Phdr>(header->e_phoff, header->e_phnum);
  return segments.size() < header->e_phnum ||
         std::ranges::any_of(
             segments,
             [&](const Elf64_Phdr& s) {
               return s.p_type == PT_LOAD && s.p_filesz > 0 && map.at<std::byte>(s.p_offset, s.p_filesz).empty();
             });
}

}  // namespace pjrt::detail
