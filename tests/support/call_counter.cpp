#include "support/call_counter.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string_view>
#include <type_traits>
#include <vector>

#include "pjrt/abi/functions.hpp"

namespace pjrt::test {
namespace {

constexpr std::size_t kMostPlugins = 12;  // in one process
constexpr std::size_t kMostFunctions = 300;

struct Counted {
  std::string name;
  const abi::PJRT_Api* real = nullptr;
  abi::PJRT_Api real_copy{};  // full width, null behind what the plugin has
  std::array<std::atomic<std::int64_t>, kMostFunctions> calls{};
  std::array<std::atomic<std::int64_t>, kMostFunctions> errors{};
  std::array<std::atomic<std::int64_t>, kMostFunctions> unimplemented{};  // of the errors
  std::array<std::atomic<std::int64_t>, kMostFunctions> injected{};

  /// Counts what a function answered; its caller owns the error.
  void count(std::size_t function, abi::PJRT_Error* error) {
    if (error == nullptr) return;
    errors[function].fetch_add(1, std::memory_order_relaxed);
    abi::PJRT_Error_GetCode_Args args{};
    args.struct_size = sizeof args;
    args.error = error;
    if (abi::PJRT_Error* failed = real->PJRT_Error_GetCode(&args); failed != nullptr) {
      abi::PJRT_Error_Destroy_Args destroy{};
      destroy.struct_size = sizeof destroy;
      destroy.error = failed;
      real->PJRT_Error_Destroy(&destroy);
    } else if (args.code == abi::PJRT_Error_Code_UNIMPLEMENTED) {
      unimplemented[function].fetch_add(1, std::memory_order_relaxed);
    }
  }
};

std::array<Counted, kMostPlugins> counted;
std::atomic<std::size_t> counted_plugins{0};
std::atomic<std::int64_t> fallible{0};
std::atomic<std::int64_t> failing{0};
std::atomic<const char*> failed{""};

/// Errors of our own making, told from the plugin's by their addresses.
std::mutex injected_mutex;
std::set<const void*> injected;

abi::PJRT_Error* inject() {
  auto* error = reinterpret_cast<abi::PJRT_Error*>(new char);
  const std::lock_guard lock(injected_mutex);
  injected.insert(error);
  return error;
}

bool is_injected(const void* error) {
  const std::lock_guard lock(injected_mutex);
  return injected.contains(error);
}

bool never_fails(std::string_view function) {
  for (const char* part : {"Destroy", "PJRT_Error_", "ExternalReferenceCount", "Delete", "IsDeleted", "IsReady"}) {
    if (function.find(part) != std::string_view::npos) return true;
  }
  return false;
}

/// The number of a function: core slots first, then the extensions' in the order of the list.
template <class... F>
struct List {
  template <class G>
  static constexpr int index() {
    int i = 0, found = -1;
    ((std::is_same_v<F, G> ? void(found = i) : void(), ++i), ...);
    return found;
  }
  static constexpr std::size_t size = sizeof...(F);
};
using Core = abi::core_functions_of<List>;
using Extensions = abi::extension_functions_of<List>;

template <class F>
constexpr std::size_t number_of() {
  if constexpr (Core::index<F>() >= 0) return static_cast<std::size_t>(Core::index<F>());
  return Core::size + static_cast<std::size_t>(Extensions::index<F>());
}

template <class F>
constexpr const char* name_of() {
  if constexpr (Core::index<F>() >= 0)
    return F::info.name;
  else
    return F::info.function;
}

template <class F>
bool should_fail(Counted& c) {
  if (never_fails(name_of<F>())) return false;
  if (fallible.fetch_add(1) + 1 != failing.load()) return false;
  c.injected[number_of<F>()].fetch_add(1, std::memory_order_relaxed);
  failed = name_of<F>();
  return true;
}

/// Waits as it was told, so that what it waited for is not given up while it is still being done.
void wait_all_the_same(const Counted& c, abi::PJRT_Event_Await_Args* args) {
  abi::PJRT_Error_Destroy_Args unwanted{};
  unwanted.struct_size = sizeof unwanted;
  unwanted.error = c.real_copy.PJRT_Event_Await(args);
  if (unwanted.error != nullptr) c.real_copy.PJRT_Error_Destroy(&unwanted);
}

template <std::size_t P, class F>
auto core_thunk(typename F::Args* args) {
  Counted& c = counted[P];
  c.calls[number_of<F>()].fetch_add(1, std::memory_order_relaxed);
  if constexpr (std::is_same_v<F, abi::fn::PJRT_Error_Destroy>) {
    if (is_injected(args->error)) {
      const std::lock_guard lock(injected_mutex);
      injected.erase(args->error);
      delete reinterpret_cast<char*>(args->error);
      return;
    }
  } else if constexpr (std::is_same_v<F, abi::fn::PJRT_Error_Message>) {
    if (is_injected(args->error)) {
      args->message = "injected failure";
      args->message_size = std::strlen(args->message);
      return;
    }
  } else if constexpr (std::is_same_v<F, abi::fn::PJRT_Error_GetCode>) {
    if (is_injected(args->error)) {
      args->code = abi::PJRT_Error_Code_INTERNAL;
      return static_cast<abi::PJRT_Error*>(nullptr);
    }
  } else if constexpr (std::is_same_v<F, abi::fn::PJRT_Error_ForEachPayload>) {
    if (is_injected(args->error)) return static_cast<abi::PJRT_Error*>(nullptr);
  }
  const auto real = c.real_copy.*F::slot;
  if constexpr (F::fallible) {
    if (should_fail<F>(c)) {
      if constexpr (std::is_same_v<F, abi::fn::PJRT_Event_Await>) wait_all_the_same(c, args);
      return inject();
    }
    abi::PJRT_Error* error = real(args);
    c.count(number_of<F>(), error);
    return error;
  } else {
    real(args);
  }
}

/// The plugin's own extension structs, in full width.
std::array<std::array<std::unique_ptr<void*[]>, abi::extension_types.size()>, kMostPlugins> real_extensions;

template <std::size_t P, class F>
auto extension_thunk(typename F::Args* args) {
  Counted& c = counted[P];
  c.calls[number_of<F>()].fetch_add(1, std::memory_order_relaxed);
  using Extension = typename F::Extension;
  static const Extension* const real = [] {
    for (const abi::ExtensionType& type : abi::extension_types) {
      for (const abi::ExtensionEntry& entry : type.entries) {
        if (&entry == &F::info)
          return reinterpret_cast<const Extension*>(real_extensions[P][static_cast<std::size_t>(type.type)].get());
      }
    }
    return static_cast<const Extension*>(nullptr);
  }();
  if constexpr (std::is_same_v<decltype((real->*F::slot)(args)), abi::PJRT_Error*>) {
    if (should_fail<F>(c)) return inject();
    abi::PJRT_Error* error = (real->*F::slot)(args);
    c.count(number_of<F>(), error);
    return error;
  } else {
    return (real->*F::slot)(args);
  }
}

template <std::size_t P, class... F>
void replace_core(abi::PJRT_Api& table, List<F...>) {
  const auto replace = [&]<class G>() {
    if (counted[P].real_copy.*G::slot != nullptr) table.*G::slot = &core_thunk<P, G>;
  };
  (replace.template operator()<F>(), ...);
}

template <std::size_t P, class... F>
void replace_in_extension(std::size_t type, void* copy, List<F...>) {
  const auto replace = [&]<class G>() {
    for (const abi::ExtensionEntry& entry : abi::extension_types[type].entries) {
      if (&entry != &G::info) continue;
      auto* extension = static_cast<typename G::Extension*>(copy);
      const bool inside = entry.offset + sizeof(void*) <= extension->base.struct_size;
      if (inside && extension->*G::slot != nullptr) extension->*G::slot = &extension_thunk<P, G>;
    }
  };
  (replace.template operator()<F>(), ...);
}

template <std::size_t P>
const abi::PJRT_Api* make_table() {
  const abi::PJRT_Api* real = counted[P].real;
  const std::size_t size = std::max(real->struct_size, sizeof(abi::PJRT_Api));
  auto* table = reinterpret_cast<abi::PJRT_Api*>(new void*[size / sizeof(void*) + 1]());
  std::memcpy(static_cast<void*>(table), real, real->struct_size);
  replace_core<P>(*table, Core());

  abi::PJRT_Extension_Base** link = &table->extension_start;
  for (const abi::PJRT_Extension_Base* e = real->extension_start; e != nullptr; e = e->next) {
    const auto type = static_cast<std::size_t>(e->type);
    const bool known = type < abi::extension_types.size() && abi::extension_types[type].struct_size != 0;
    const std::size_t width = std::max<std::size_t>(e->struct_size, known ? abi::extension_types[type].struct_size : 0);
    auto make_copy = [&] {
      auto copy = std::make_unique<void*[]>(width / sizeof(void*) + 1);
      std::memcpy(copy.get(), e, e->struct_size);
      return copy;
    };
    auto copy = make_copy();
    if (known) {
      real_extensions[P][type] = make_copy();
      replace_in_extension<P>(type, copy.get(), Extensions());
    }
    *link = reinterpret_cast<abi::PJRT_Extension_Base*>(copy.release());
    link = &(*link)->next;
  }
  *link = nullptr;
  return table;
}

template <std::size_t... P>
constexpr auto table_makers(std::index_sequence<P...>) {
  return std::array{&make_table<P>...};
}

template <class... F>
std::vector<const char*> names(List<F...>) {
  return {name_of<F>()...};
}

std::vector<const char*> all_names() {
  std::vector<const char*> all = names(Core());
  const std::vector<const char*> extensions = names(Extensions());
  all.insert(all.end(), extensions.begin(), extensions.end());
  return all;
}

/// The test this process runs: ctest starts one process for each.
std::string test_name() {
  const testing::UnitTest& tests = *testing::UnitTest::GetInstance();
  std::string name;
  for (int s = 0; s < tests.total_test_suite_count(); ++s) {
    const testing::TestSuite& suite = *tests.GetTestSuite(s);
    for (int t = 0; t < suite.total_test_count(); ++t) {
      if (!suite.GetTestInfo(t)->should_run()) continue;
      if (!name.empty()) return "several";
      name = std::string(suite.name()) + "." + suite.GetTestInfo(t)->name();
    }
  }
  return name.empty() ? "none" : name;
}

void write_log() {
  const char* path = std::getenv("PJRT_CALL_LOG");
  if (path == nullptr) return;
  std::ostringstream lines;
  const std::vector<const char*> functions = all_names();
  const std::string test = test_name();
  for (std::size_t p = 0; p < counted_plugins; ++p) {
    const Counted& c = counted[p];
    for (std::size_t f = 0; f < functions.size(); ++f) {
      if (c.calls[f] == 0) continue;
      lines << c.name << ' ' << functions[f] << ' ' << c.calls[f] << ' ' << c.errors[f] << ' ' << c.unimplemented[f]
            << ' ' << test << '\n';
    }
  }
  std::ofstream(path, std::ios::app) << std::move(lines).str();  // one write, so that processes do not mix their lines
}

}  // namespace

const abi::PJRT_Api* count_calls(const abi::PJRT_Api* api, const std::string& plugin) {
  static const bool at_exit = [] { return std::atexit(write_log) == 0; }();
  (void)at_exit;
  const std::size_t p = counted_plugins++;
  if (p >= kMostPlugins) std::abort();
  counted[p].name = plugin;
  counted[p].real = api;
  std::memcpy(static_cast<void*>(&counted[p].real_copy), api, std::min(api->struct_size, sizeof(abi::PJRT_Api)));
  return table_makers(std::make_index_sequence<kMostPlugins>())[p]();
}

namespace {

/// Of all of a plugin's counts for a function, whatever `count` gives, added up.
template <class F>
std::int64_t sum(const std::string& plugin, const std::string& function, F count) {
  static const std::vector<const char*> functions = all_names();
  std::int64_t total = 0;
  for (std::size_t p = 0; p < counted_plugins; ++p) {
    if (counted[p].name != plugin) continue;
    for (std::size_t f = 0; f < functions.size(); ++f) {
      if (functions[f] == function) total += count(counted[p], f);
    }
  }
  return total;
}

}  // namespace

std::int64_t calls_of(const std::string& plugin, const std::string& function) {
  return sum(plugin, function, [](const Counted& c, std::size_t f) { return c.calls[f].load(); });
}

std::int64_t successes_of(const std::string& plugin, const std::string& function) {
  return sum(plugin, function,
             [](const Counted& c, std::size_t f) { return c.calls[f] - c.errors[f] - c.injected[f]; });
}

std::int64_t fallible_calls() {
  return fallible;
}

void fail_call(std::int64_t n) {
  fallible = 0;
  failing = n;
  failed = "";
}

std::string failed_function() {
  return failed.load();
}

}  // namespace pjrt::test
