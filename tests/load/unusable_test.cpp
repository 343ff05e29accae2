// Plugins that are there and cannot be used: they are reported with place and reason, and no other is taken in their
// stead.

#include <elf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "load/discovery_fixture.hpp"
#include "pjrt/plugin.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;
using testing::ElementsAre;

std::string odd(const std::string& kind) {
  return test::read_all(std::string(PJRT_ODD_PLUGINS) + "/" + kind + ".so");
}

/// The odd plugin, which is for the machine that this test runs on, with another value at an offset of its header.
template <class T>
std::string with_header_field(std::size_t offset, T value) {
  std::string bytes = odd("old_minor");
  std::memcpy(bytes.data() + offset, &value, sizeof value);
  return bytes;
}

constexpr std::uint16_t kForeignMachine =
#if defined(__aarch64__)
    EM_X86_64;
#else
    EM_AARCH64;
#endif

class Unusable : public test::Discovery {
 protected:
  void SetUp() override {
    Discovery::SetUp();
    set("PJRT_PLUGIN_PATH", folder / "plugins");
    fs::create_directories(folder / "plugins");
  }
  fs::path write(const std::string& name, std::string_view bytes) const {
    const fs::path path = folder / ("plugins/" + name);
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  /// The problem of the only file in the folder, which loading it by path gives as well.
  std::string problem_of(const fs::path& path) const {
    const std::vector<std::string> lines = unusable();
    if (lines.size() != 1) return std::to_string(lines.size()) + " files";
    const std::string problem = lines[0].substr(lines[0].find(": ") + 2);
    EXPECT_ERROR(Plugin::load(path.string()), InvalidArgument, path.string() + " cannot be loaded: " + problem);
    EXPECT_ERROR(Plugin::load("x"), FailedPrecondition, path.string() + " cannot be loaded: " + problem);
    return problem;
  }
};

// What is wrong with the file.

TEST_F(Unusable, FileThatIsCutShort) {
  EXPECT_EQ(problem_of(write("x.so", odd("old_minor").substr(0, 700))), "the file is cut short");
}

TEST_F(Unusable, FileThatEndsInItsHeader) {
  EXPECT_EQ(problem_of(write("x.so", odd("old_minor").substr(0, 60))), "the file is cut short");
}

TEST_F(Unusable, FileThatIsEmpty) {
  EXPECT_EQ(problem_of(write("x.so", "")), "the file is empty");
}

TEST_F(Unusable, FileThatIsText) {
  EXPECT_EQ(problem_of(write("x.so", "INPUT(libx.so.1)\n")), "it is not an ELF library");
}

TEST_F(Unusable, FileThatIsAPointerOfGitLfs) {
  EXPECT_EQ(problem_of(write("x.so", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")),
            "it is a Git LFS pointer, not a library (run 'git lfs pull')");
}

TEST_F(Unusable, FileThatIsAWheel) {
  EXPECT_EQ(problem_of(write("x.so", "PK\3\4 and more")),
            "it is a zip archive or a wheel, not a library; unpack it first");
}

TEST_F(Unusable, FileForAnotherMachineNamesBoth) {
  const std::string bytes = with_header_field(offsetof(Elf64_Ehdr, e_machine), kForeignMachine);
  EXPECT_THAT(problem_of(write("x.so", bytes)),
              testing::AllOf(testing::HasSubstr("AArch64"), testing::HasSubstr("x86-64")));
}

TEST_F(Unusable, FileForAMachineWithoutAName) {
  const std::string bytes = with_header_field(offsetof(Elf64_Ehdr, e_machine), std::uint16_t{0x1234});
  EXPECT_THAT(problem_of(write("x.so", bytes)),
              testing::StartsWith("it is for ELF machine 4660, and this program for "));
}

TEST_F(Unusable, FileOf32Bits) {
  const std::string bytes = with_header_field(EI_CLASS, std::uint8_t{ELFCLASS32});
  EXPECT_EQ(problem_of(write("x.so", bytes)), "it is a 32-bit library, and this program has 64 bits");
}

TEST_F(Unusable, FileThatIsAnObjectFile) {
  const std::string bytes = with_header_field(offsetof(Elf64_Ehdr, e_type), std::uint16_t{ET_REL});
  EXPECT_EQ(problem_of(write("x.so", bytes)), "it is an object file, not a shared library");
}

TEST_F(Unusable, FileThatMayNotBeRead) {
  const fs::path path = write("x.so", odd("old_minor"));
  ::chmod(path.c_str(), 0);
  ::chmod(folder.path().c_str(), 0755);
  if (::geteuid() == 0 && ::seteuid(65534) != 0) GTEST_SKIP() << "root reads everything";
  const bool is_open = ::faccessat(AT_FDCWD, (folder / "plugins").c_str(), R_OK | X_OK, AT_EACCESS) == 0;
  const std::vector<std::string> lines = unusable();
  (void)::seteuid(0);
  if (!is_open) GTEST_SKIP() << "the folder is closed to other users";
  EXPECT_THAT(lines, ElementsAre("plugins/x.so: the file cannot be read: Permission denied"));
}

TEST_F(Unusable, LinkThatLeadsNowhere) {
  fs::create_symlink("/nowhere/y.so", folder / "plugins/x.so");
  EXPECT_THAT(unusable(), ElementsAre("plugins/x.so: it is a link to /nowhere/y.so, which does not exist"));
  EXPECT_ERROR(Plugin::load("x"), FailedPrecondition,
               "x.so cannot be loaded: it is a link to /nowhere/y.so, which does not exist");
}

TEST_F(Unusable, LinkToItself) {
  fs::create_symlink("x.so", folder / "plugins/x.so");
  EXPECT_THAT(unusable(), ElementsAre("plugins/x.so: Too many levels of symbolic links"));
}

TEST_F(Unusable, FifoIsNotOpened) {
  const fs::path path = folder / "plugins/x.so";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(problem_of(path), "it is a FIFO (named pipe), not a regular file");
}

TEST_F(Unusable, Socket) {
  const fs::path path = folder / "plugins/x.so";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.string().size(), sizeof address.sun_path);
  std::strcpy(address.sun_path, path.c_str());
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(problem_of(path), "it is a socket, not a regular file");
  ::close(socket);
}

TEST_F(Unusable, Device) {
  EXPECT_ERROR(Plugin::load("/dev/zero"), InvalidArgument,
               "plugin /dev/zero cannot be loaded: it is a character device, not a regular file");
}

TEST_F(Unusable, FileNamedByAVariableThatExportsNoGetPjrtApi) {
  const fs::path path = write("x.so", odd("no_symbol"));
  set("PJRT_NAMES_AND_LIBRARY_PATHS", "abacus:" + path.string());
  EXPECT_ERROR(Plugin::load("abacus"), FailedPrecondition, "x.so cannot be loaded: it exports no GetPjrtApi");
}

TEST_F(Unusable, FileThatNeedsLibrariesThatAreNotThere) {
  const fs::path path = write("x.so", odd("needs_absent_libraries"));
  for (const std::string& name : {path.string(), std::string("x")}) {
    EXPECT_ERROR(
        Plugin::load(name), FailedPrecondition,
        path.string() + " cannot be loaded: it needs libabsent_one.so and libabsent_two.so, not found on this machine");
  }
  EXPECT_ERROR(Plugin::load("x"), FailedPrecondition, "found as 'x' in PJRT_PLUGIN_PATH");
}

TEST_F(Unusable, FileThatDoesNotFitTheLimitOfTheAddressSpace) {
  REQUIRE_PLUGIN("cpu");
  const fs::path file = *test::plugin_file("cpu");
  set("PJRT_NAMES_AND_LIBRARY_PATHS", "x:" + file.string());
  const rlimit limit{200'000 << 10, 200'000 << 10};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &limit), 0);
  const auto plugin = Plugin::load("x");
  EXPECT_ERROR(plugin, InvalidArgument, file.string() + " cannot be loaded: ");
  EXPECT_ERROR(plugin, InvalidArgument, "failed to map segment");
  EXPECT_ERROR(plugin, InvalidArgument,
               "the address space of this process is limited to 195 MiB (ulimit -v), and the file has ");
  EXPECT_ERROR(plugin, InvalidArgument, "found as 'x' in PJRT_NAMES_AND_LIBRARY_PATHS");
}

// The choice.

TEST_F(Unusable, IsNotPassedOverForAnotherPlace) {
  const fs::path cut = write("pjrt_plugin_abacus.so", odd("old_minor").substr(0, 700));
  const fs::path other = put("data/pjrt/plugins/abacus.so");
  set("XDG_DATA_HOME", folder / "data");
  const auto plugin = Plugin::load("abacus");
  EXPECT_ERROR(plugin, FailedPrecondition, cut.string() + " cannot be loaded: the file is cut short");
  EXPECT_ERROR(plugin, FailedPrecondition,
               "found as 'abacus' in PJRT_PLUGIN_PATH (" + (folder / "plugins").string() + ")");
  EXPECT_ERROR(plugin, FailedPrecondition, "another plugin of that name was not tried: " + other.string());
}

TEST_F(Unusable, AfterLoadingIsNotPassedOverEither) {
  write("abacus.so", odd("old_minor"));
  const fs::path other = put("data/pjrt/plugins/abacus.so");
  set("XDG_DATA_HOME", folder / "data");
  EXPECT_ERROR(Plugin::load("abacus"), Unimplemented, "another plugin of that name was not tried: " + other.string());
}

TEST_F(Unusable, InAFolderOfItsOwnIsFoundByTheFoldersName) {
  write("abacus/lib/pjrt_plugin.so", odd("old_minor").substr(0, 700));
  EXPECT_ERROR(Plugin::load("abacus"), FailedPrecondition, "the file is cut short");
}

TEST_F(Unusable, LibrariesBesideAPluginDoNotHideIt) {
  write("abacus/a_damaged_helper.so", "text");
  write("abacus/a_helper_of_the_plugin.so", odd("no_symbol"));
  const fs::path plugin = write("abacus/x.so", odd("old_minor"));
  EXPECT_ERROR(Plugin::load("abacus"), Unimplemented, plugin.string());
}

TEST_F(Unusable, UnderAnotherNameIsMentioned) {
  const fs::path path = write("slide_rule.so", "");
  EXPECT_ERROR(Plugin::load("abacus"), NotFound,
               "found under another name, and cannot be used: slide_rule, " + path.string() + ": the file is empty");
}

TEST_F(Unusable, LibraryOfThatNameWithoutGetPjrtApiIsMentioned) {
  const fs::path path = write("abacus.so", odd("no_symbol"));
  EXPECT_ERROR(Plugin::load("abacus"), NotFound, "not a plugin: " + path.string() + " exports no GetPjrtApi");
  EXPECT_EQ(outcome("PJRT_PLUGIN_PATH (" + (folder / "plugins").string() + ")"),
            "no plugin in it, 1 library that exports no GetPjrtApi");
}

TEST_F(Unusable, FilesAreCountedAtTheirPlace) {
  write("a.so", "");
  write("b.so", odd("old_minor"));
  write("c.so", "text");
  EXPECT_EQ(outcome("PJRT_PLUGIN_PATH (" + (folder / "plugins").string() + ")"),
            "1 plugin, 2 files that cannot be used");
}

TEST_F(Unusable, ControlCharactersOfNamesAreEscaped) {
  write("\x1b[31mabacus\n\x9b.so", "");
  const auto plugin = Plugin::load((folder / "plugins/\x1b[31mabacus\n\x9b.so").string());
  EXPECT_ERROR(plugin, InvalidArgument, "\\x1b[31mabacus\\n\\x9b.so cannot be loaded: the file is empty");
  const auto none = Plugin::load("x\x07");
  EXPECT_ERROR(none, NotFound, "no plugin named 'x\\x07' was found");
  for (const std::string& note : none.error().notes())
    EXPECT_EQ(note.find_first_of("\x1b\n\x9b"), std::string::npos) << note;
}

TEST_F(Unusable, NamesInUnicodeAreKept) {
  const fs::path path = write("абак.so", "");
  EXPECT_ERROR(Plugin::load("абак"), FailedPrecondition, path.string() + " cannot be loaded: the file is empty");
}

// Hostile files and folders in a searched place: the time is bounded. A second is far more than any of them takes.

template <class F>
double seconds(F&& work) {
  const auto begin = steady_clock::now();
  work();
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

template <class T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

Elf64_Ehdr header_of_this_machine() {
  Elf64_Ehdr header{};
  std::memcpy(&header, odd("old_minor").data(), sizeof header);
  return header;
}

/// A library of one segment, which is the file, with a dynamic section that says where its tables lie.
std::string library_with(const std::vector<std::pair<std::int64_t, std::uint64_t>>& dynamic, const std::string& rest) {
  Elf64_Ehdr header = header_of_this_machine();
  header.e_phoff = sizeof header;
  header.e_phnum = 2;
  header.e_shoff = header.e_shnum = 0;
  const std::size_t begin = sizeof header + 2 * sizeof(Elf64_Phdr);
  std::string bytes;
  append(bytes, header);
  Elf64_Phdr load{};
  load.p_type = PT_LOAD;
  load.p_filesz = load.p_memsz = begin + dynamic.size() * sizeof(Elf64_Dyn) + rest.size();
  append(bytes, load);
  Elf64_Phdr section{};
  section.p_type = PT_DYNAMIC;
  section.p_offset = section.p_vaddr = begin;
  section.p_filesz = dynamic.size() * sizeof(Elf64_Dyn);
  append(bytes, section);
  for (const auto& [tag, value] : dynamic) append(bytes, Elf64_Dyn{tag, {value}});
  return bytes + rest;
}

TEST_F(Unusable, TablesOfSectionsThatOverlapCostNothing) {
  // 65,000 sections, each of which claims to be the same 200,000 dynamic symbols: 13,000,000,000 of them.
  constexpr std::uint64_t kSections = 65'000, kSymbols = 200'000;
  Elf64_Ehdr header = header_of_this_machine();
  header.e_phnum = 0;
  header.e_shoff = sizeof header;
  header.e_shnum = kSections;
  std::string bytes;
  append(bytes, header);
  Elf64_Shdr section{};
  section.sh_type = SHT_DYNSYM;
  section.sh_offset = sizeof header + kSections * sizeof section;
  section.sh_size = kSymbols * sizeof(Elf64_Sym);
  for (std::uint64_t i = 0; i < kSections; ++i) append(bytes, section);
  Elf64_Sym symbol{};
  symbol.st_name = 1;
  symbol.st_shndx = 1;
  for (std::uint64_t i = 0; i < kSymbols; ++i) append(bytes, symbol);
  write("x.so", bytes);
  EXPECT_LT(seconds([] { (void)find_plugins(); }), 1.0);
}

TEST_F(Unusable, HashTableWithAnEndlessChainCostsNothing) {
  std::string table;
  constexpr std::uint64_t kAt = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr) + 4 * sizeof(Elf64_Dyn);
  for (const std::uint32_t word : {1u, 0u, 0u, 0u}) append(table, word);  // one bucket, no Bloom filter
  append(table, std::uint32_t{0});                                        // symbol 0
  std::uint32_t hash = 5381;
  for (const char c : std::string_view("GetPjrtApi")) hash = hash * 33 + static_cast<unsigned char>(c);
  for (int i = 0; i < 2'000'000; ++i) append(table, hash & ~1u);  // the same hash, and no end of the chain
  write("x.so", library_with({{DT_GNU_HASH, kAt}, {DT_SYMTAB, kAt}, {DT_STRTAB, kAt}, {DT_NULL, 0}}, table));
  EXPECT_LT(seconds([] { (void)find_plugins(); }), 1.0);
  EXPECT_THAT(find_plugins().not_plugins,
              testing::Contains(testing::Field(&PluginCandidate::path, folder / "plugins/x.so")));
}

TEST_F(Unusable, HashTableWithACircleCostsNothing) {
  std::string table;
  constexpr std::uint64_t kAt = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr) + 4 * sizeof(Elf64_Dyn);
  for (const std::uint32_t word : {1u, 0xFFFFFFFFu, 1u, 1u, 1u, 1u}) append(table, word);  // symbol 1 follows symbol 1
  table.append(4096, '\1');
  write("x.so", library_with({{DT_HASH, kAt}, {DT_SYMTAB, kAt}, {DT_STRTAB, kAt}, {DT_NULL, 0}}, table));
  EXPECT_LT(seconds([] { (void)find_plugins(); }), 1.0);
}

TEST_F(Unusable, TablesAtTheEndOfTheAddressSpaceAreNotRead) {
  for (const std::uint64_t at : {~std::uint64_t{0}, ~std::uint64_t{0} - 8, std::uint64_t{1} << 63}) {
    write("x.so",
          library_with({{DT_GNU_HASH, at}, {DT_HASH, at}, {DT_SYMTAB, at}, {DT_STRTAB, at}, {DT_NEEDED, at}}, ""));
    EXPECT_ERROR(Plugin::load((folder / "plugins/x.so").string()), InvalidArgument, "exports no GetPjrtApi");
  }
}

TEST_F(Unusable, SegmentsWhoseEndOverflowsAreCutShort) {
  std::string bytes = library_with({{DT_NULL, 0}}, "");
  Elf64_Phdr load{};
  load.p_type = PT_LOAD;
  load.p_offset = 8;
  load.p_filesz = ~std::uint64_t{0} - 4;
  std::memcpy(bytes.data() + sizeof(Elf64_Ehdr), &load, sizeof load);
  EXPECT_EQ(problem_of(write("x.so", bytes)), "the file is cut short");
}

TEST_F(Unusable, SparseFileOfATerabyteCostsNothing) {
  const fs::path path = write("x.so", odd("old_minor"));
  std::error_code error;
  fs::resize_file(path, std::uintmax_t{1} << 40, error);
  if (error) GTEST_SKIP() << error.message();
  EXPECT_LT(seconds([] { (void)find_plugins(); }), 1.0);
  EXPECT_THAT(found(), ElementsAre("x x plugins/x.so"));
}

TEST_F(Unusable, SymbolsInTheOlderHashTableAreFound) {
  write("x.so", odd("sysv_hash"));
  EXPECT_THAT(found(), ElementsAre("x x plugins/x.so"));
}

TEST_F(Unusable, FolderOfManyFilesIsSearchedInTime) {
  for (int i = 0; i < 20'000; ++i) std::ofstream(folder / ("plugins/" + std::to_string(i) + ".so"));
  put("plugins/abacus.so");
  EXPECT_LT(seconds([] { (void)find_plugins(); }), 10.0);
  EXPECT_THAT(found(), ElementsAre("abacus abacus plugins/abacus.so"));
  const auto none = Plugin::load("slide_rule");
  EXPECT_LT(none.error().notes().size(), 60u);  // not one for each file
}

TEST_F(Unusable, FoldersThatLinkToEachOtherManyTimesAreSearchedInTime) {
  for (int i = 0; i < 700; ++i)
    fs::create_directory_symlink(".", folder / ("plugins/" + std::to_string(i)));  // 700^4 paths
  PluginSearch search;
  EXPECT_LT(seconds([&] { search = find_plugins(); }), 20.0);
  const auto of_path = testing::Field(&SearchedPlace::place, testing::StartsWith("PJRT_PLUGIN_PATH"));
  const auto in_part = testing::Field(&SearchedPlace::outcome, testing::HasSubstr("searched in part"));
  EXPECT_THAT(search.places, testing::Contains(testing::AllOf(of_path, in_part)));
}

}  // namespace
}  // namespace pjrt
