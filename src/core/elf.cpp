#include "core/elf.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/printable.hpp"

namespace pjrt::detail {
namespace {

// Bounds on what is read. The largest plugins have 15 segments, 40 dynamic entries, 20 needed libraries, and chains of
// a few symbols in their hash tables.
constexpr std::size_t kMostSegments = 4096;
constexpr std::size_t kMostDynamicEntries = 4096;
constexpr std::size_t kMostNeeded = 256;
constexpr std::size_t kMostSymbolsOfOneHash = 4096;
constexpr std::size_t kLongestName = 4096;

#if defined(__x86_64__)
constexpr unsigned kThisMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kThisMachine = EM_AARCH64;
#elif defined(__riscv)
constexpr unsigned kThisMachine = EM_RISCV;
#elif defined(__powerpc64__)
constexpr unsigned kThisMachine = EM_PPC64;
#elif defined(__s390x__)
constexpr unsigned kThisMachine = EM_S390;
#else
constexpr unsigned kThisMachine = EM_NONE;  // unknown: the loader decides
#endif
constexpr unsigned kThisByteOrder = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;

std::string machine_name(unsigned machine) {
  constexpr std::pair<unsigned, const char*> kNames[] = {
      {EM_X86_64, "x86-64"},       {EM_AARCH64, "AArch64"},  {EM_386, "x86 (32 bits)"}, {EM_ARM, "Arm (32 bits)"},
      {EM_RISCV, "RISC-V"},        {EM_PPC64, "POWER"},      {EM_S390, "s390x"},        {EM_PPC, "PowerPC (32 bits)"},
      {EM_LOONGARCH, "LoongArch"}, {EM_SPARCV9, "SPARC V9"}, {EM_MIPS, "MIPS"},         {EM_IA_64, "Itanium"}};
  for (const auto& [number, name] : kNames) {
    if (number == machine) return name;
  }
  return "ELF machine " + std::to_string(machine);
}

/// A regular file, read at offsets. Not mapped: an address-space limit that keeps a plugin from being loaded must not
/// keep it from being found, and a mapped file that shrinks ends the process.
class File {
 public:
  File(int descriptor, std::uint64_t size) : descriptor_(descriptor), size_(size) {}
  ~File() { ::close(descriptor_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  std::uint64_t size() const { return size_; }

  /// As many bytes at `offset` as there are, `count` at most.
  std::size_t read(std::uint64_t offset, void* to, std::size_t count) const {
    std::size_t done = 0;
    while (done < count && offset + done < size_) {
      const ssize_t n =
          ::pread(descriptor_, static_cast<char*>(to) + done, count - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }
  template <class T>
  bool get(std::uint64_t offset, T& value) const {
    return read(offset, &value, sizeof value) == sizeof value;
  }

 private:
  int descriptor_;
  std::uint64_t size_;
};

/// What a file that is not ELF most likely is.
std::string what_it_is(const File& file) {
  std::array<char, 64> bytes{};
  const std::string_view head(bytes.data(), file.read(0, bytes.data(), bytes.size()));
  if (head.empty()) return "the file is empty";
  if (head.starts_with("version https://git-lfs")) return "it is a Git LFS pointer, not a library (run 'git lfs pull')";
  if (head.starts_with("PK\3\4")) return "it is a zip archive or a wheel, not a library; unpack it first";
  if (head.starts_with("MZ")) return "it is a library for Windows";
  for (const std::string_view magic : {"\xCF\xFA\xED\xFE", "\xCE\xFA\xED\xFE", "\xCA\xFE\xBA\xBE"}) {
    if (head.starts_with(magic)) return "it is a library for macOS";
  }
  if (head.starts_with("!<arch>")) return "it is a static library, not a shared one";
  if (head.starts_with("<")) return "it is an HTML or XML page, not a library";
  return "it is not an ELF library";
}

/// The dynamic section, as far as it is asked for, and the segments that say where its addresses lie in the file.
class Library {
 public:
  Library(const File& file, const Elf64_Ehdr& header) : file_(file) {
    segments_.resize(std::min<std::size_t>(header.e_phnum, kMostSegments));
    const std::size_t bytes = segments_.size() * sizeof(Elf64_Phdr);
    complete_ = header.e_phnum <= kMostSegments && header.e_phentsize == sizeof(Elf64_Phdr) &&
                file.read(header.e_phoff, segments_.data(), bytes) == bytes;
    if (!complete_) segments_.clear();
    for (const Elf64_Phdr& s : segments_) {
      if (s.p_type == PT_LOAD && s.p_filesz > 0 && (s.p_offset > file.size() || s.p_filesz > file.size() - s.p_offset))
        complete_ = false;
      if (s.p_type == PT_DYNAMIC) read_dynamic(s);
    }
  }

  /// Whether the program headers and all that they load lie inside the file. The loader would map what is not there,
  /// and SIGBUS end the process.
  bool is_complete() const { return complete_; }

  std::vector<std::string> needed() const {
    std::vector<std::string> names;
    for (const std::uint64_t offset : needed_) {
      if (std::string name = string_at(offset); !name.empty()) names.push_back(std::move(name));
    }
    return names;
  }

  bool defines(std::string_view symbol) const {
    return gnu_hash_ != 0 ? defines_by_gnu_hash(symbol) : hash_ != 0 && defines_by_hash(symbol);
  }

 private:
  void read_dynamic(const Elf64_Phdr& segment) {
    std::vector<Elf64_Dyn> entries(std::min<std::size_t>(segment.p_filesz / sizeof(Elf64_Dyn), kMostDynamicEntries));
    entries.resize(file_.read(segment.p_offset, entries.data(), entries.size() * sizeof(Elf64_Dyn)) /
                   sizeof(Elf64_Dyn));
    for (const Elf64_Dyn& entry : entries) {
      switch (entry.d_tag) {
        case DT_NULL:
          return;
        case DT_NEEDED:
          if (needed_.size() < kMostNeeded) needed_.push_back(entry.d_un.d_val);
          break;
        case DT_SYMTAB:
          symbols_ = entry.d_un.d_ptr;
          break;
        case DT_STRTAB:
          strings_ = entry.d_un.d_ptr;
          break;
        case DT_GNU_HASH:
          gnu_hash_ = entry.d_un.d_ptr;
          break;
        case DT_HASH:
          hash_ = entry.d_un.d_ptr;
          break;
        default:
          break;
      }
    }
  }

  /// Reads what lies at an address of the loaded library.
  std::size_t read(std::uint64_t address, void* to, std::size_t count) const {
    for (const Elf64_Phdr& s : segments_) {
      if (s.p_type != PT_LOAD || address < s.p_vaddr || address - s.p_vaddr >= s.p_filesz) continue;
      const std::uint64_t into = address - s.p_vaddr;
      return file_.read(s.p_offset + into, to,
                        static_cast<std::size_t>(std::min<std::uint64_t>(count, s.p_filesz - into)));
    }
    return 0;
  }
  template <class T>
  bool get(std::uint64_t address, T& value) const {
    return read(address, &value, sizeof value) == sizeof value;
  }

  std::string string_at(std::uint64_t offset) const {
    std::string text(kLongestName, '\0');
    text.resize(read(strings_ + offset, text.data(), text.size()));
    const std::size_t end = text.find('\0');
    return end == std::string::npos ? std::string() : text.substr(0, end);
  }

  bool is_definition_of(std::string_view symbol, std::uint64_t index) const {
    Elf64_Sym entry{};
    if (!get(symbols_ + index * sizeof entry, entry) || entry.st_shndx == SHN_UNDEF) return false;
    std::string name(symbol.size() + 1, '\xFF');
    return read(strings_ + entry.st_name, name.data(), name.size()) == name.size() && name.back() == '\0' &&
           std::string_view(name).substr(0, symbol.size()) == symbol;
  }

  bool defines_by_gnu_hash(std::string_view symbol) const {
    std::uint32_t hash = 5381;
    for (const char c : symbol) hash = hash * 33 + static_cast<unsigned char>(c);
    struct Head {
      std::uint32_t buckets;
      std::uint32_t first_symbol;
      std::uint32_t bloom_words;
      std::uint32_t bloom_shift;
    } head{};
    if (!get(gnu_hash_, head) || head.buckets == 0) return false;
    const std::uint64_t buckets = gnu_hash_ + sizeof head + std::uint64_t{8} * head.bloom_words;
    const std::uint64_t chains = buckets + std::uint64_t{4} * head.buckets;
    std::uint32_t index = 0;
    if (!get(buckets + std::uint64_t{4} * (hash % head.buckets), index) || index < head.first_symbol) return false;
    for (std::size_t step = 0; step < kMostSymbolsOfOneHash; ++step, ++index) {
      std::uint32_t found = 0;
      if (!get(chains + std::uint64_t{4} * (index - head.first_symbol), found)) return false;
      if ((found | 1) == (hash | 1) && is_definition_of(symbol, index)) return true;
      if ((found & 1) != 0) return false;
    }
    return false;
  }

  /// The table of the System V ABI, which libraries have that were linked with --hash-style=sysv.
  bool defines_by_hash(std::string_view symbol) const {
    std::uint32_t hash = 0;
    for (const char c : symbol) {
      hash = (hash << 4) + static_cast<unsigned char>(c);
      hash ^= (hash & 0xF0000000U) >> 24;
      hash &= 0x0FFFFFFFU;
    }
    std::uint32_t counts[2] = {};  // of buckets and of chain entries
    if (!get(hash_, counts) || counts[0] == 0) return false;
    std::uint64_t at = hash_ + 8 + std::uint64_t{4} * (hash % counts[0]);
    for (std::size_t step = 0; step < kMostSymbolsOfOneHash; ++step) {
      std::uint32_t index = 0;
      if (!get(at, index) || index == STN_UNDEF || index >= counts[1]) return false;
      if (is_definition_of(symbol, index)) return true;
      at = hash_ + 8 + std::uint64_t{4} * counts[0] + std::uint64_t{4} * index;
    }
    return false;
  }

  const File& file_;
  std::vector<Elf64_Phdr> segments_;
  bool complete_ = false;
  std::vector<std::uint64_t> needed_;
  std::uint64_t symbols_ = 0;
  std::uint64_t strings_ = 0;
  std::uint64_t gnu_hash_ = 0;
  std::uint64_t hash_ = 0;
};

std::optional<std::string> not_a_regular_file(mode_t mode) {
  if (S_ISREG(mode)) return std::nullopt;
  if (S_ISDIR(mode)) return "it is a directory; name the .so file in it";
  if (S_ISFIFO(mode)) return "it is a FIFO (named pipe), not a regular file";
  if (S_ISSOCK(mode)) return "it is a socket, not a regular file";
  if (S_ISCHR(mode)) return "it is a character device, not a regular file";
  if (S_ISBLK(mode)) return "it is a block device, not a regular file";
  return "it is not a regular file";
}

LibraryFile failed(std::string problem) {
  return {std::move(problem), false, {}};
}

}  // namespace

LibraryFile inspect_library(const std::filesystem::path& path, std::string_view symbol) {
  // Before it is opened: opening a FIFO waits for a writer, and opening a device may do anything.
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    const int why = errno;
    std::error_code error;
    const std::filesystem::path target = std::filesystem::read_symlink(path, error);
    return failed(why == ENOENT && !error ? "it is a link to " + printable(target.string()) + ", which does not exist"
                                          : std::strerror(why));
  }
  if (auto kind = not_a_regular_file(status.st_mode)) return failed(*std::move(kind));
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return failed(std::string("the file cannot be read: ") + std::strerror(errno));
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return failed("it is not a regular file");
  }
  const File file(descriptor, static_cast<std::uint64_t>(status.st_size));

  Elf64_Ehdr header{};
  const std::size_t head = file.read(0, &header, sizeof header);
  if (head < SELFMAG || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return failed(what_it_is(file));
  if (head < sizeof(Elf32_Ehdr)) return failed("the file is cut short");
  const bool same_width = header.e_ident[EI_CLASS] == ELFCLASS64;
  const bool same_order = header.e_ident[EI_DATA] == kThisByteOrder;
  const unsigned machine =
      same_order ? header.e_machine : static_cast<unsigned>(header.e_machine >> 8 | (header.e_machine & 0xFF) << 8);
  if (kThisMachine != EM_NONE && machine != kThisMachine)
    return failed("it is for " + machine_name(machine) + ", and this program for " + machine_name(kThisMachine));
  if (!same_width) return failed("it is a 32-bit library, and this program has 64 bits");
  if (!same_order) return failed("it has the byte order of another machine");
  if (head < sizeof header) return failed("the file is cut short");
  if (header.e_type != ET_DYN) {
    return failed(header.e_type == ET_REL    ? "it is an object file, not a shared library"
                  : header.e_type == ET_CORE ? "it is a core dump, not a shared library"
                                             : "it is not a shared library");
  }
  const Library library(file, header);
  if (!library.is_complete()) return failed("the file is cut short");
  return {std::nullopt, library.defines(symbol), library.needed()};
}

}  // namespace pjrt::detail
