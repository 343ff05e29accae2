#pragma once

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fake_plugin/fake.hpp"
#include "fake_plugin/run.hpp"
#include "pjrt/chunk.hpp"
#include "pjrt/client.hpp"
#include "pjrt/event.hpp"
#include "pjrt/plugin.hpp"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"

/// Tests on the fake plugin.

namespace pjrt::test {

namespace fn = abi::fn;

inline std::string fake_file(int minor) {
  return PJRT_FAKE_PLUGINS "/libpjrt_fake-0." + std::to_string(minor) + ".so";
}

template <class Function>
Function* fake_symbol(int minor, const char* name) {
  void* library = ::dlopen(fake_file(minor).c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  return reinterpret_cast<Function*>(::dlsym(library, name));
}

/// The fake plugin of API 0.minor as the library sees it, behind the counter of calls.
inline Plugin counted_fake(int minor) {
  static std::map<int, const abi::PJRT_Api*> tables;
  const abi::PJRT_Api*& table = tables[minor];
  const std::string name = "fake-0." + std::to_string(minor);
  if (table == nullptr) table = count_calls(fake_symbol<const abi::PJRT_Api*()>(minor, "GetPjrtApi")(), name);
  return value_of(Plugin::adopt(table, name));
}

/// A fake plugin, which nobody has told anything yet. At the end, everything must have been destroyed once, and no rule
/// broken.
class OnFake : public ::testing::Test {
 protected:
  explicit OnFake(int minor = 114)
      : fake(*fake_symbol<fake::FakePlugin*()>(minor, "pjrt_fake")()), plugin(counted_fake(minor)) {
    fake.reset();
  }
  ~OnFake() override {
    EXPECT_THAT(fake.live(), ::testing::IsEmpty()) << "were not destroyed";
    EXPECT_THAT(fake.faults(), ::testing::IsEmpty());
    fake.reset();
  }

  /// A client with that many devices.
  Client make_client(int devices = 1) {
    ClientOptions options;
    options.options.add("cpu_device_count", devices);
    return value_of(Client::create(plugin, options));
  }
  /// The same plugin behind another table, not counted.
  Plugin with_table(const fake::TableOptions& options) { return value_of(Plugin::adopt(fake.table(options), "odd")); }
  /// The same plugin, whose extension `type` says that it has `size` bytes.
  Plugin with_extension(int type, std::size_t size) {
    return with_table({.extensions = {{type}}, .extension_sizes = {{type, size}}});
  }
  /// How often a function was called.
  std::size_t calls_of(std::string_view function) const {
    return static_cast<std::size_t>(std::ranges::count(fake.calls(), function, &fake::Call::function));
  }
  /// A program of our own, compiled.
  LoadedExecutable compile(const Client& client, fake::Program program) {
    fake.program("program", std::move(program));
    return value_of(client.compile(Program("fake", "program")));
  }

  fake::FakePlugin& fake;
  const Plugin plugin;
};

/// The same on each version.
class OnEveryFake : public OnFake, public ::testing::WithParamInterface<int> {
 protected:
  OnEveryFake() : OnFake(GetParam()) {}
};

/// A chunk with these bytes.
inline Chunk chunk_of(std::string_view text) {
  return Chunk::copy_of(std::as_bytes(std::span(text)));
}

inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Hears of exceptions that callbacks let out, in place of the line on stderr.
class HeardExceptions {
 public:
  HeardExceptions() {
    heard_.clear();
    before_ = on_callback_exception([](const char* where) noexcept { heard_.emplace_back(where); });
  }
  HeardExceptions(const HeardExceptions&) = delete;
  ~HeardExceptions() { on_callback_exception(before_); }
  const std::vector<std::string>& where() const { return heard_; }

 private:
  static inline std::vector<std::string> heard_;
  CallbackExceptionHandler before_;
};

inline std::string fake_name(const ::testing::TestParamInfo<int>& info) {
  return "Api0_" + std::to_string(info.param);
}

}  // namespace pjrt::test
