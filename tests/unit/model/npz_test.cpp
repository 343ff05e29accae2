// Archives of arrays: what numpy.savez and others write is read, and what lies about its sizes takes no memory.

#include "pjrt/model/npz.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "cli/zip.hpp"
#include "core/file.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/npy_bytes.hpp"

namespace pjrt::model {
namespace {

using test::value_of;
using ::testing::ElementsAre;

/// An entry of an archive made byte by byte, whose head may say anything.
struct Member {
  std::string name;
  std::string data;        // as it lies in the archive
  std::uint64_t size = 0;  // that it claims to unpack to
  int method = 0;
  int flags = 0;
};

std::string zip(const std::vector<Member>& members) {
  using test::detail::zip_number;
  std::string files;
  std::string directory;
  for (const Member& m : members) {
    const std::string facts = zip_number(20, 2) + zip_number(static_cast<unsigned>(m.flags), 2) +
                              zip_number(static_cast<unsigned>(m.method), 2) + zip_number(0x210000, 4) +
                              zip_number(test::detail::zip_checksum(m.data), 4) + zip_number(m.data.size(), 4) +
                              zip_number(m.size, 4) + zip_number(m.name.size(), 2) + zip_number(0, 2);
    directory += "PK\x01\x02" + zip_number(20, 2) + facts + zip_number(0, 10) + zip_number(files.size(), 4) + m.name;
    files += "PK\x03\x04" + facts + m.name + m.data;
  }
  return files + directory + "PK\x05\x06" + zip_number(0, 4) + zip_number(members.size(), 2) +
         zip_number(members.size(), 2) + zip_number(directory.size(), 4) + zip_number(files.size(), 4) +
         zip_number(0, 2);
}

Result<NpzFile> parse(const std::string& bytes) {
  return NpzFile::parse(test::as_bytes(bytes), "a.npz");
}

TEST(Npz, IsReadFromMemory) {
  const NpzFile file =
      value_of(parse(test::zip_of({{"x.npy", test::npy_bytes("<f4", "(2,)", test::bytes_of({1, 2}))}})));
  EXPECT_THAT(file.names(), ElementsAre("x"));
  EXPECT_EQ(value_of(file.shape("x")), (Shape{ElementType::F32, {2}}));
  EXPECT_THAT(value_of(value_of(file.read("x")).to_vector<float>()), ElementsAre(1, 2));
}

TEST(Npz, IsReadFromAPipe) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::jthread writer([&] {
    std::ofstream(path, std::ios::binary)
        << test::zip_of({{"x.npy", test::npy_bytes("<f4", "(1,)", test::bytes_of({7}))}});
  });
  const NpzFile file = value_of(NpzFile::open(path));
  EXPECT_THAT(value_of(value_of(file.read("x")).to_vector<float>()), ElementsAre(7));
}

TEST(Npz, GivesRawElementsTheTypeThatIsAskedFor) {
  const NpzFile file = value_of(parse(test::zip_of({{"x.npy", test::npy_bytes("<V2", "()", "\x80\x3f")}})));
  EXPECT_ERROR(file.shape("x"), InvalidArgument, "a.npz, array 'x': the array holds raw 2-byte elements");
  EXPECT_EQ(value_of(file.shape("x", ElementType::BF16)), (Shape{ElementType::BF16, {}}));
}

TEST(Npz, WithTwoArraysOfOneNameIsRefused) {  // programs do not agree on which of them counts
  EXPECT_ERROR(parse(test::zip_of(
                   {{"x.npy", test::npy_bytes("<f4", "()", "1234")}, {"x.npy", test::npy_bytes("<f4", "()", "5678")}})),
               InvalidArgument, "a.npz has two arrays 'x'");
}

TEST(Npz, SaysWhichArraysThereAre) {
  test::ZipMembers members;
  for (int i = 0; i < 100; ++i)
    members.emplace_back("x" + std::to_string(i) + ".npy", test::npy_bytes("<f4", "()", "1234"));
  const NpzFile file = value_of(parse(test::zip_of(members)));
  EXPECT_ERROR(file.read("y"), NotFound, "a.npz has no array 'y'");
  EXPECT_ERROR(file.read("y"), NotFound, "it has x0, x1");
  EXPECT_ERROR(file.read("y"), NotFound, "and 92 more");
}

TEST(Npz, NamesInMessagesHaveNoRawControls) {
  const NpzFile file = value_of(parse(test::zip_of({{"\x1b[31m.npy", "nothing"}})));
  EXPECT_ERROR(file.read("\x1b[31m"), InvalidArgument, "array '\\x1b[31m'");
}

TEST(Npz, NamesAreAsTheyWereGiven) {  // numpy.savez(file, **{"a\nb": x, "ü": y})
  const NpzFile file = value_of(parse(test::zip_of(
      {{"a\nb.npy", test::npy_bytes("<f4", "()", "1234")}, {"\xc3\xbc.npy", test::npy_bytes("<f4", "()", "1234")}})));
  EXPECT_THAT(file.names(), ElementsAre("a\nb", "\xc3\xbc"));
}

TEST(Npz, WithBytesBehindAnArrayIsRefused) {
  const NpzFile file = value_of(parse(test::zip_of({{"x.npy", test::npy_bytes("<f4", "()", "12345")}})));
  EXPECT_ERROR(file.read("x"), InvalidArgument, "behind the 4 bytes of f32[]");
}

TEST(Npz, WithAnArrayCutOffIsDataLoss) {
  const NpzFile file = value_of(parse(test::zip_of({{"x.npy", test::npy_bytes("<f4", "(1000000000000,)", "1234")}})));
  EXPECT_ERROR(file.read("x"), DataLoss, "4 of 4000000000000 bytes");
}

TEST(Npz, ThatClaimsMoreThanItsBytesCanHoldIsRefused) {
  const std::string head = test::npy_bytes("<f4", "(1000000000,)", "1234");
  const NpzFile stored = value_of(parse(zip({{"x.npy", head, 4000000128, 0}})));
  EXPECT_ERROR(stored.read("x"), InvalidArgument, "cannot hold 4000000128");
  const NpzFile deflated = value_of(parse(zip({{"x.npy", head, 4000000128, 8}})));
  EXPECT_ERROR(deflated.shape("x"), InvalidArgument, "cannot hold 4000000128");
}

TEST(Npz, EncryptionAndCompressionThatCannotBeReadAreNamed) {
  const std::string head = test::npy_bytes("<f4", "()", "1234");
  EXPECT_ERROR(value_of(parse(zip({{"x.npy", head, head.size(), 0, 1}}))).read("x"), Unimplemented, "is encrypted");
  EXPECT_ERROR(value_of(parse(zip({{"x.npy", head, head.size(), 97}}))).read("x"), Unimplemented,
               "compressed with number 97");
}

TEST(Npz, WithADamagedChecksumIsRefused) {
  std::string bytes = test::zip_of({{"x.npy", test::npy_bytes("<f4", "()", "1234")}});
  bytes[bytes.find("1234")] = '9';
  EXPECT_FALSE(value_of(parse(bytes)).read("x"));
}

TEST(Npz, CutOffAnywhereIsAnError) {
  const std::string whole = test::zip_of({{"x.npy", test::npy_bytes("<f4", "()", "1234")}});
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(parse(whole.substr(0, size))) << size;
}

TEST(NpzWritten, HoldsTheBytesOfNpyFiles) {
  const test::TemporaryFolder folder;
  const std::vector<std::int32_t> values = {0, 3, 1, 4, 2, 5};
  const HostView columns = value_of(HostView::strided(values.data(), {ElementType::S32, {2, 3}}, {4, 8}));
  const std::vector<std::pair<std::string, HostBuffer>> arrays = {
      {"a", value_of(HostBuffer::copy_of(std::vector<float>{1, 2}, {2}))},
      {"columns", HostBuffer::borrow(columns, nullptr)},
      {"none", value_of(HostBuffer::zeros({ElementType::F64, {0}}))}};
  ASSERT_OK(save_npz(folder / "a.npz", arrays));
  const test::ZipMembers members = test::zip_members(test::read_all(folder / "a.npz"));
  ASSERT_EQ(members.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(members[i].first, arrays[i].first + ".npy");
    EXPECT_EQ(members[i].second, test::as_text(arrays[i].second.to_npy()));
  }
}

// Files as a whole.

TEST(WholeFile, HasALimit) {
  const test::TemporaryFolder folder;
  const std::filesystem::path path = folder / "sparse";
  std::ofstream(path) << "x";
  std::filesystem::resize_file(path, std::uintmax_t{1} << 40);
  EXPECT_ERROR(pjrt::detail::read_file(path), ResourceExhausted, "at most 2147483647 are read");
}

TEST(WholeFile, ThatIsADirectoryIsRefused) {
  EXPECT_ERROR(pjrt::detail::read_file("/tmp"), InvalidArgument, "Is a directory");
}

TEST(WholeFile, OfProcHasNoSizeAndIsReadAllTheSame) {
  EXPECT_GT(value_of(pjrt::detail::read_file("/proc/self/status")).bytes().size(), 100U);
}

TEST(WholeFile, ThatIsAFifoWithoutAWriterIsNotWaitedForForEver) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_ERROR(pjrt::detail::read_file(path), Unavailable, "a FIFO that no process writes to");
}

TEST(ArrayFromDevice, TakesWhatItsHeaderAsksFor) {
  EXPECT_ERROR(HostBuffer::load("/dev/zero"), InvalidArgument, "does not begin with");
}

TEST(ArrayFromPipe, IsReadToItsEnd) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::jthread writer(
      [&] { std::ofstream(path, std::ios::binary) << test::npy_bytes("<f4", "(1,)", test::bytes_of({7}) + "more"); });
  EXPECT_ERROR(HostBuffer::load(path), InvalidArgument, "there are more bytes behind the 4 bytes of f32[1]");
}

}  // namespace
}  // namespace pjrt::model
