// The tables of function pointers, and what every function does before it is answered.

#include <array>
#include <cstdio>
#include <cstdlib>
#include <deque>

#include "fake_plugin/objects.hpp"

namespace pjrt::fake {

extern const int kMinor;  // the API version of this plugin: version.cpp

namespace {

template <class... F>
struct List {};

const abi::PJRT_Api* make_table(const TableOptions& options);

FakePlugin& plugin() {
  static FakePlugin* const fake = [] {
    auto* f = new FakePlugin(kMinor);  // plugins are never unloaded
    for (auto answer : {answer_clients, answer_buffers, answer_transfers, answer_executables, answer_extensions})
      answer(*f);
    f->make_table = make_table;
    f->callback_error = [](abi::PJRT_Error_Code code, const char* message, std::size_t size) {
      return plugin().make_error({static_cast<ErrorCode>(code), text(message, size)});
    };
    return f;
  }();
  return *fake;
}

/// What a plugin of this version wants of `Args` at least: it knows nothing of newer fields.
template <class Args>
std::size_t minimum_size() {
  std::size_t size = abi::struct_size<Args>;
  for (const abi::NewerField& field : abi::newer_fields<Args>) {
    if (field.since_minor > kMinor) size = std::min<std::size_t>(size, field.offset);
  }
  return size;
}

Outcome answer(std::string_view function, void* args, std::size_t minimum, std::size_t fixed_size) try {
  FakePlugin& f = plugin();
  std::size_t sent = fixed_size;
  if (minimum != 0) std::memcpy(&sent, args, sizeof sent);
  f.record(function, args, sent);
  if (const auto it = f.wanted_sizes.find(function); it != f.wanted_sizes.end()) minimum = it->second;
  if (sent < minimum) {
    return Failure{ErrorCode::InvalidArgument, "Unexpected " + std::string(function) + "_Args size: expected " +
                                                   std::to_string(minimum) + ", got " + std::to_string(sent) +
                                                   ". The plugin is built with PJRT API version 0." +
                                                   std::to_string(f.minor) + "."};
  }
  const FakePlugin::Answer a = f.answer_of(function);
  return a ? a(args) : Outcome();
} catch (const Failure& failure) {
  return failure;
} catch (const Fault& fault) {
  plugin().blame(std::string(function) + ": " + fault.what);
  return Failure{ErrorCode::Internal, fault.what};
}

template <class Struct, class Returned, class Args>
Returned returned(Returned (*Struct::*)(Args*));

template <class F>
auto thunk(typename F::Args* args) {
  using Args = typename F::Args;
  using Error = decltype(returned(F::slot));
  const Outcome outcome = answer(name_of<F>(), args, minimum_size<Args>(), sizeof(Args));
  if constexpr (!std::is_void_v<Error>)
    return outcome ? reinterpret_cast<Error>(plugin().make_error(*outcome)) : nullptr;
}

using Thunks = std::map<std::string_view, void*>;

template <class... F>
void add_thunks(Thunks& all, List<F...>) {
  (all.emplace(name_of<F>(), reinterpret_cast<void*>(&thunk<F>)), ...);
}

[[noreturn]] void poison() {
  std::fputs("fake plugin: a slot behind the reported size was called\n", stderr);
  std::abort();
}

/// Room for a struct of slots, poisoned, with some behind.
void** new_slots(std::size_t size) {
  static auto* const all = new std::deque<std::vector<void*>>;
  return all->emplace_back(size / sizeof(void*) + 8, reinterpret_cast<void*>(&poison)).data();
}

const abi::PLUGIN_Profiler_Api* profiler_api() {
  using namespace profiler;
  static const Api api = {sizeof(Api),         nullptr,
                          thunk<ErrorDestroy>, thunk<ErrorMessage>,
                          thunk<ErrorGetCode>, thunk<Create>,
                          thunk<Destroy>,      thunk<Start>,
                          thunk<Stop>,         thunk<CollectData>,
                          thunk<Consume>,      thunk<ConsumeResultDestroy>,
                          thunk<Serialize>};
  return &api;
}

abi::PJRT_Extension_Base* make_extension(int number, const TableOptions& options, const Thunks& thunks) {
  const bool known = number >= 0 && static_cast<std::size_t>(number) < abi::extension_types.size();
  const auto type = known ? abi::extension_types[static_cast<std::size_t>(number)]
                          : abi::ExtensionType{number, "", sizeof(abi::PJRT_Extension_Base), {}};
  const auto given = options.extension_sizes.find(number);
  const std::size_t size = given != options.extension_sizes.end() ? given->second : type.struct_size;
  void** slots = new_slots(std::max<std::size_t>(size, type.struct_size));
  for (const abi::ExtensionEntry& entry : type.entries) {
    if (entry.offset + sizeof(void*) > size) continue;
    void*& slot = slots[entry.offset / sizeof(void*)];
    slot = nullptr;
    if (std::string_view(entry.field) == "profiler_api") slot = const_cast<abi::PLUGIN_Profiler_Api*>(profiler_api());
    if (entry.function != nullptr && std::ranges::find(options.null_slots, entry.function) == options.null_slots.end())
      slot = thunks.at(entry.function);
  }
  auto* base = reinterpret_cast<abi::PJRT_Extension_Base*>(slots);
  *base = {size, static_cast<abi::PJRT_Extension_Type>(number), nullptr};
  return base;
}

const abi::PJRT_Api* make_table(const TableOptions& options) {
  static const Thunks thunks = [] {
    Thunks all;
    add_thunks(all, abi::core_functions_of<List>());
    add_thunks(all, abi::extension_functions_of<List>());
    return all;
  }();
  const int minor = options.minor.value_or(kMinor);
  void** slots = new_slots(sizeof(abi::PJRT_Api));
  auto* table = reinterpret_cast<abi::PJRT_Api*>(slots);
  table->struct_size = 0;
  for (const abi::CoreFunction& function : abi::core_functions) {
    if (function.since_minor <= std::max(minor, kMinors[0]))
      table->struct_size = std::max<std::size_t>(table->struct_size, function.offset + sizeof(void*));
  }
  if (options.struct_size) table->struct_size = *options.struct_size;
  for (const abi::CoreFunction& function : abi::core_functions) {
    if (function.offset + sizeof(void*) > table->struct_size) continue;
    const bool null = function.since_minor > minor ||
                      std::ranges::find(options.null_slots, function.name) != options.null_slots.end();
    slots[function.offset / sizeof(void*)] = null ? nullptr : thunks.at(function.name);
  }
  table->pjrt_api_version = {sizeof(abi::PJRT_Api_Version), nullptr, options.major.value_or(0), minor};

  std::vector<int> chain = options.extensions.value_or(std::vector<int>());
  for (const abi::ExtensionType& type : abi::extension_types) {
    if (!options.extensions && type.struct_size != 0) chain.push_back(type.type);
  }
  abi::PJRT_Extension_Base** link = &table->extension_start;
  for (const int number : chain) {
    *link = make_extension(number, options, thunks);
    link = &(*link)->next;
  }
  *link = nullptr;
  return table;
}

}  // namespace

void answer_extensions(FakePlugin& f) {
  f.usually<profiler::ErrorDestroy>([&f](auto& a) { f.take<ErrorObject>(a.error); });
  f.usually<profiler::ErrorMessage>(
      [&f](auto& a) { give(a.message, a.message_size, f.at<ErrorObject>(a.error)->failure.message); });
  f.usually<profiler::ErrorGetCode>(
      [&f](auto& a) { a.code = static_cast<int>(f.at<ErrorObject>(a.error)->failure.code); });
}

}  // namespace pjrt::fake

extern "C" __attribute__((visibility("default"))) const pjrt::abi::PJRT_Api* GetPjrtApi() {
  static const pjrt::abi::PJRT_Api* const api = pjrt::fake::make_table({});
  return api;
}

/// The test's hold on the plugin.
extern "C" __attribute__((visibility("default"))) pjrt::fake::FakePlugin* pjrt_fake() {
  return &pjrt::fake::plugin();
}
