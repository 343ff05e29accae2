// Collectives between processes, over host memory: libtpu runs them without a TPU.

#include "pjrt/ext/collectives.hpp"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "pjrt/ext/megascale.hpp"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using ext::Collectives;
using ext::Communicator;
using ext::Megascale;
using ext::ReductionKind;
using test::value_of;
using ::testing::ElementsAre;
using Ids = std::vector<std::int64_t>;

Megascale megascale() {
  return value_of(test::counted_plugin("tpu").extension<Megascale>());
}

class TpuCollectives : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("tpu"); }

  /// Of one process, which has one device.
  static Collectives alone() {
    const auto context = value_of(megascale().create_default_client_context());
    return value_of(megascale().create_collectives(context, {.addresses = {"localhost:1"}}));
  }
};

TEST_F(TpuCollectives, NeedAPortAndATransport) {
  const auto context = value_of(megascale().create_default_client_context());
  ASSERT_OK(context.initialize());
  if (value_of(context.megascale_port()) != -1) GTEST_SKIP() << "libtpu was given a port";
  const Collectives collectives = value_of(megascale().create_collectives(context, {.addresses = {"localhost:1"}}));
  EXPECT_ERROR(collectives.create_communicators(Ids{0}, Ids{0}), InvalidArgument, "megascale_port is not set");
}

TEST_F(TpuCollectives, NeedAnInitializedContext) {
  EXPECT_ERROR(alone().create_communicators(Ids{0}, Ids{0}), Internal, "without a communication backend");
}

TEST_F(TpuCollectives, RefuseRanksOfNoProcess) {
  const auto context = value_of(megascale().create_default_client_context());
  const Collectives nobody = value_of(megascale().create_collectives(context, {}));
  EXPECT_ERROR(nobody.create_communicators(Ids{0}, Ids{0}), InvalidArgument, "Rank 0 invalid");
}

TEST_F(TpuCollectives, OfNoRanksMakeNoCommunicators) {
  EXPECT_TRUE(value_of(alone().create_communicators({}, {})).empty());
}

TEST_F(TpuCollectives, KeepTheirContextUntilTheLastIsGone) {
  std::optional<Collectives> first = alone();
  std::optional<Collectives> second = first;
  first.reset();
  EXPECT_EQ(test::calls_of("tpu", "PJRT_Collectives_Destroy"), 0);
  EXPECT_EQ(test::calls_of("tpu", "PJRT_Megascale_DeleteClientContext"), 0);
  second.reset();
  EXPECT_EQ(test::calls_of("tpu", "PJRT_Collectives_Destroy"), 1);
  EXPECT_EQ(test::calls_of("tpu", "PJRT_Megascale_DeleteClientContext"), 1);
}

/// A TCP port that nobody uses.
int free_port() {
  const int s = ::socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_any;
  socklen_t size = sizeof address;
  const bool bound = s >= 0 && ::bind(s, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(s, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (s >= 0) ::close(s);
  if (!bound) throw std::runtime_error("no free port");
  return ntohs(address.sin6_port);
}

using Floats = std::vector<float>;

/// What a process gives: the n-th of the two has n times as much as the first.
Floats numbers_of(int rank) {
  const float n = static_cast<float>(rank + 1);
  return {n, 10 * n, 100 * n, 1000 * n};
}

std::span<const std::byte> bytes_of(const Floats& numbers, std::size_t first = 0, std::size_t count = 2) {
  return std::as_bytes(std::span(numbers).subspan(first, count));
}
std::span<std::byte> room_in(Floats& numbers) {
  return std::as_writable_bytes(std::span(numbers));
}

/// This process, rank 0, and another, rank 1. libtpu reads its flags once, when it is loaded: each test wants a process
/// of its own.
class TpuProcesses : public TpuCollectives {
 protected:
  using Work = std::function<Floats(const Communicator&, int rank)>;

  void SetUp() override {
    TpuCollectives::SetUp();
    if (IsSkipped()) return;
    const void* loaded = ::dlopen(test::plugin_file("tpu")->c_str(), RTLD_NOW | RTLD_NOLOAD);
    if (loaded != nullptr) GTEST_SKIP() << "libtpu is loaded already, with other flags";
  }

  Communicator join(int rank) const {
    const std::string flags = "--megascale_port=" + std::to_string(ports[static_cast<std::size_t>(rank)]) +
                              " --megascale_transport_type=grpc --megascale_use_insecure_grpc=true";
    ::setenv("LIBTPU_INIT_ARGS", flags.c_str(), 1);
    const auto context = value_of(megascale().create_default_client_context());
    or_throw(context.initialize());
    EXPECT_EQ(value_of(context.megascale_port()), ports[static_cast<std::size_t>(rank)]);
    const Collectives collectives = value_of(megascale().create_collectives(
        context, {.addresses = {"localhost:" + std::to_string(ports[0]), "localhost:" + std::to_string(ports[1])}}));
    return std::move(
        value_of(collectives.create_communicators(devices, Ids{rank}, std::vector<std::string>{"clique"})).at(0));
  }

  /// What each gets. Ours is forked before libtpu has threads.
  std::array<Floats, 2> run(const Work& work) const {
    std::array<int, 2> line{};
    if (::pipe(line.data()) != 0) throw std::runtime_error("no pipe");
    const pid_t other = ::fork();
    if (other == 0) {
      bool written = false;
      try {
        const Floats got = work(join(1), 1);
        const std::size_t size = got.size() * sizeof(float);
        written = ::write(line[1], got.data(), size) == static_cast<ssize_t>(size);
      } catch (...) {  // told on stderr by value_of
      }
      ::_exit(written ? 0 : 1);
    }
    ::close(line[1]);
    std::array<Floats, 2> got = {work(join(0), 0), Floats(16)};
    const ssize_t size = ::read(line[0], got[1].data(), got[1].size() * sizeof(float));
    ::close(line[0]);
    got[1].resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)) / sizeof(float));
    int status = 0;
    ::waitpid(other, &status, 0);
    EXPECT_EQ(status, 0) << "in the other process";
    return got;
  }

  ext::Rendezvous meeting(std::int64_t op_id = 1) const {
    return {.run_id = 1, .global_device_ids = devices, .op_id = op_id, .timeout = std::chrono::seconds(60)};
  }

  const std::array<int, 2> ports = {free_port(), free_port()};
  const Ids devices = {0, 2048};
};

TEST_F(TpuProcesses, SayWhoTheyAre) {
  EXPECT_EQ(value_of(join(0).to_string()), "CollectivesCommunicator [rank: 0]");
}

TEST_F(TpuProcesses, Reduce) {
  const auto got = run([this](const Communicator& communicator, int rank) {
    const Floats mine = numbers_of(rank);
    Floats all;
    std::int64_t op = 0;
    for (const ReductionKind kind :
         {ReductionKind::Sum, ReductionKind::Product, ReductionKind::Min, ReductionKind::Max}) {
      Floats reduced(2);
      or_throw(
          communicator.all_reduce(bytes_of(mine), room_in(reduced), ElementType::F32, 2, kind, meeting(++op)).await());
      all.insert(all.end(), reduced.begin(), reduced.end());
    }
    return all;
  });
  // 1 and 2, 10 and 20: sums, products, minima, maxima
  EXPECT_THAT(got[0], ElementsAre(3, 30, 2, 200, 1, 10, 2, 20));
  EXPECT_EQ(got[1], got[0]);
}

TEST_F(TpuProcesses, ReduceAndScatter) {
  const auto got = run([this](const Communicator& communicator, int rank) {
    const Floats mine = numbers_of(rank);
    Floats reduced(2);
    or_throw(
        communicator
            .reduce_scatter(bytes_of(mine, 0, 4), room_in(reduced), ElementType::F32, 2, ReductionKind::Sum, meeting())
            .await());
    return reduced;
  });
  EXPECT_THAT(got[0], ElementsAre(3, 30));
  EXPECT_THAT(got[1], ElementsAre(300, 3000));
}

TEST_F(TpuProcesses, Gather) {
  const auto got = run([this](const Communicator& communicator, int rank) {
    const Floats mine = numbers_of(rank);
    Floats all(4);
    or_throw(communicator.all_gather(bytes_of(mine), room_in(all), ElementType::F32, 2, meeting()).await());
    return all;
  });
  EXPECT_THAT(got[0], ElementsAre(1, 10, 2, 20));
  EXPECT_EQ(got[1], got[0]);
}

TEST_F(TpuProcesses, Permute) {
  const auto got = run([this](const Communicator& communicator, int rank) {
    const Floats mine = numbers_of(rank);
    Floats theirs(2);
    const std::int64_t other = 1 - rank;
    or_throw(communicator
                 .collective_permute(bytes_of(mine), room_in(theirs), ElementType::F32, 2, other, Ids{other}, meeting())
                 .await());
    return theirs;
  });
  EXPECT_THAT(got[0], ElementsAre(2, 20));
  EXPECT_THAT(got[1], ElementsAre(1, 10));
}

TEST_F(TpuProcesses, PermuteGivesZerosToWhomNobodySends) {
  const auto got = run([this](const Communicator& communicator, int rank) {
    const Floats mine = numbers_of(rank);
    Floats theirs = {-1, -1};
    const auto source = rank == 1 ? std::optional<std::int64_t>(0) : std::nullopt;
    const Ids targets = rank == 0 ? Ids{1} : Ids{};
    or_throw(communicator
                 .collective_permute(bytes_of(mine), room_in(theirs), ElementType::F32, 2, source, targets, meeting())
                 .await());
    return theirs;
  });
  EXPECT_THAT(got[0], ElementsAre(0, 0));
  EXPECT_THAT(got[1], ElementsAre(1, 10));
}

TEST_F(TpuProcesses, GiveAllToAll) {
  const auto got = run([this](const Communicator& communicator, int rank) {
    const Floats mine = numbers_of(rank);
    Floats theirs(4);
    const std::array send = {bytes_of(mine, 0), bytes_of(mine, 2)};
    const std::array receive = {room_in(theirs).first(8), room_in(theirs).subspan(8)};
    or_throw(communicator.all_to_all(send, receive, ElementType::F32, 2, meeting()).await());
    return theirs;
  });
  EXPECT_THAT(got[0], ElementsAre(1, 10, 2, 20));
  EXPECT_THAT(got[1], ElementsAre(100, 1000, 200, 2000));
}

TEST_F(TpuProcesses, WaitNoLongerThanTheySay) {
  run([this](const Communicator& communicator, int rank) {
    if (rank == 1) {  // is there, and takes no part
      std::this_thread::sleep_for(std::chrono::seconds(3));
      return Floats();
    }
    const Floats mine = numbers_of(rank);
    Floats all(4);
    ext::Rendezvous soon = meeting();
    soon.timeout = std::chrono::seconds(1);
    EXPECT_ERROR(communicator.all_gather(bytes_of(mine), room_in(all), ElementType::F32, 2, soon).await(),
                 DeadlineExceeded, "Timed out");
    return all;
  });
}

TEST_F(TpuProcesses, CommunicatorsOutliveWhatTheyWereMadeOf) {
  std::optional<Communicator> communicator = join(0);
  EXPECT_EQ(test::calls_of("tpu", "PJRT_Collectives_Destroy"), 0);
  communicator.reset();
  EXPECT_EQ(test::calls_of("tpu", "PJRT_Collectives_Communicator_Destroy"), 1);
  EXPECT_EQ(test::calls_of("tpu", "PJRT_Collectives_Destroy"), 1);
}

}  // namespace
}  // namespace pjrt
